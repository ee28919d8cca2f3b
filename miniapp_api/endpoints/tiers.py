"""Tiers as members see them: where they stand on each ladder, what it gives, until when, and how they came there."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from loyalty.access import Action
from loyalty.errors import NotFound
from loyalty.ladders import queries as ladders
from loyalty.ladders.rules import MAIN, Benefits, Ladder, Ladders, Step
from loyalty.tiers import queries as tiers
from loyalty.tiers.queries import Interval, Standing
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoBody, NoQuery, Summary
from miniapp_api.endpoints.me import Tier, tier_of, tier_view
from templates.words import Locale


@dataclass(frozen=True, slots=True)
class TierBenefits:
    """What a tier gives. `birthday_points` is null where the programme's own gift is given; `texts` say the rest."""

    multiplier_percent: int
    birthday_points: int | None
    birthday_coupon: str | None
    free_shipping: bool
    member_price_percent: int
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TierStep:
    """One step of the ladder: reached at `reach_from`, kept with `keep_from`, both in the ladder's metric."""

    tier: Tier
    reach_from: int
    keep_from: int
    benefits: TierBenefits


@dataclass(frozen=True, slots=True)
class TierHeld:
    """A tier held in [starts_at, ends_at); `ends_at` is null while it lasts. `reason` says why it began."""

    tier: Tier
    reason: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class TierStanding:
    """Where the member stands on one ladder.

    `growth` is the metric so far, of which `missing` lack to the next tier (null at the top); where upgrades wait for
    a period, `begins_at` is when the next tier that is reached already begins. The tier ends at `until` (null: never)
    unless `gap` more is counted by then; `in_grace` after a review that was not passed. `set_by_hand` ends by itself
    at `set_until`.
    """

    ladder: str
    ladder_name: str
    metric: Literal["growth", "spend", "visits", "points_earned", "points_balance"]
    tier: Tier
    since: datetime | None
    growth: int
    next_tier: Tier | None
    missing: int
    begins_at: datetime | None
    until: datetime | None
    gap: int
    in_grace: bool
    set_by_hand: bool
    set_until: datetime | None
    benefits: TierBenefits
    steps: tuple[TierStep, ...]
    history: tuple[TierHeld, ...]


@dataclass(frozen=True, slots=True)
class TierStandings:
    """Every ladder that members see, the main one first."""

    items: tuple[TierStanding, ...]


async def read_tier(call: Call[NoBody, NoQuery]) -> TierStanding:
    """Where the member stands on the main ladder."""
    return await _standing(call, MAIN)


async def read_tiers(call: Call[NoBody, NoQuery]) -> TierStandings:
    """Where the member stands on every ladder."""
    programme = await ladders.in_force(call.now)
    history = await tiers.history(call.member_id, ladder=None)
    return TierStandings(
        items=tuple(
            standing_view(one, [held for held in history if held.ladder == one.ladder.code], programme, call.locale)
            for one in await tiers.all_of(call.member_id, at=call.now)
        )
    )


async def read_tier_of_ladder(call: Call[NoBody, NoQuery]) -> TierStanding:
    """Where the member stands on one ladder."""
    return await _standing(call, call.path["ladder"])


async def _standing(call: Call[NoBody, NoQuery], ladder: str) -> TierStanding:
    programme = await ladders.in_force(call.now)
    found = programme.by_code.get(ladder)
    if found is None or not found.ladder.shown:
        raise NotFound(what="ladder")
    standing = await tiers.standing(call.member_id, at=call.now, ladder=ladder)
    return standing_view(standing, await tiers.history(call.member_id, ladder=ladder), programme, call.locale)


def standing_view(standing: Standing, history: list[Interval], programme: Ladders, locale: Locale) -> TierStanding:
    """A standing in the words of `locale`."""
    ladder = standing.ladder
    return TierStanding(
        ladder=ladder.code,
        ladder_name=ladder_name(ladder, locale),
        metric=ladder.measure.metric.value,
        tier=tier_view(standing.tier, locale),
        since=standing.since,
        growth=standing.count,
        next_tier=tier_view(standing.next_tier, locale) if standing.next_tier else None,
        missing=standing.missing,
        begins_at=standing.rises_at,
        until=standing.until,
        gap=standing.gap,
        in_grace=standing.in_grace,
        set_by_hand=standing.pin is not None,
        set_until=standing.pin.until if standing.pin else None,
        benefits=benefits_view(standing.tier.benefits, locale),
        steps=tuple(_step(step, locale) for step in ladder.steps),
        history=tuple(
            TierHeld(tier_of(held.tier, programme, locale), held.reason, held.starts_at, held.ends_at)
            for held in history
        ),
    )


def ladder_name(ladder: Ladder, locale: Locale) -> str:
    """What a ladder is called in `locale`."""
    return ladder.names.get(locale) or next(iter(ladder.names.values()), ladder.code)


def benefits_view(benefits: Benefits, locale: Locale) -> TierBenefits:
    """Benefits with their texts in `locale`."""
    return TierBenefits(
        multiplier_percent=benefits.multiplier_percent,
        birthday_points=benefits.birthday_points,
        birthday_coupon=benefits.birthday_coupon,
        free_shipping=benefits.free_shipping,
        member_price_percent=benefits.member_price_percent,
        texts=tuple(text.get(locale) or next(iter(text.values())) for text in benefits.texts),
    )


def _step(step: Step, locale: Locale) -> TierStep:
    return TierStep(tier_view(step, locale), step.reach_from, step.kept_from, benefits_view(step.benefits, locale))


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/tier",
        run=read_tier,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=TierStanding,
        summary=Summary("我的等级，离下一级还差多少", "My tier and what is missing to the next"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/tiers",
        run=read_tiers,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=TierStandings,
        summary=Summary("我在各个等级体系中的位置", "Where I stand on every ladder"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/tiers/{ladder}",
        run=read_tier_of_ladder,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=TierStanding,
        summary=Summary("我在一个等级体系中的位置", "Where I stand on one ladder"),
    ),
)
