"""Tiers set by hand, and one member's tiers as staff see them: standing, history, what was set and by whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from loyalty.access import Action, OtherStore, OwnMembership
from loyalty.counter import service as counter
from loyalty.errors import NotFound
from loyalty.ladders import queries as ladders
from loyalty.ladders.rules import MAIN, Ladders
from loyalty.members.service import MemberGone
from loyalty.tier_overrides import queries, service
from loyalty.tier_overrides.queries import OverrideView
from loyalty.tier_overrides.service import NewOverride, OverrideInvalid, OverrideKeyReused, OverrideUnknown
from loyalty.tiers import queries as tiers
from loyalty.tiers.queries import Interval
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.me import Tier, tier_of
from miniapp_api.endpoints.tiers import TierStanding, standing_view
from miniapp_api.public_ids import Kind, public_id, row_id
from templates.words import Locale

Reason = Annotated[str, Field(min_length=1, max_length=200)]


class SettingTier(Body):
    """At least `tier` until `until`, or exactly it; `reason` is kept."""

    member: UUID
    tier: Annotated[str, Field(min_length=1, max_length=24, examples=["gold"])]
    ladder: Annotated[str, Field(min_length=1, max_length=24)] = MAIN
    until: AwareDatetime
    reason: Reason
    exactly: bool = False


class EndingOverride(Body):
    """Why it is taken back."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Override:
    """A tier set by hand. `approval` names the request while another person decides."""

    id: str
    ladder: str
    tier: Tier
    exactly: bool
    reason: str
    status: Literal["pending", "active", "refused", "expired", "ended", "replaced"]
    created_at: datetime
    until: datetime
    ended_at: datetime | None
    set_by: int
    approved_by: int | None
    ended_by: int | None
    approval: str | None


@dataclass(frozen=True, slots=True)
class TierRecord:
    """One interval of the history with everything that led to it."""

    ladder: str
    tier: Tier
    reason: str
    evidence: dict[str, Any]
    ladder_version: int
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberTiers:
    """A member on every ladder, the history newest first, and what was set by hand."""

    standings: tuple[TierStanding, ...]
    history: tuple[TierRecord, ...]
    overrides: tuple[Override, ...]


async def set_tier(call: Call[SettingTier, NoQuery]) -> Override:
    """Set a tier within the limits, or ask another person."""
    wanted = call.body
    card = await counter.recall(wanted.member, server=call.staff, action=Action.TIER_OVERRIDE, now=call.now)
    new = NewOverride(
        ladder=wanted.ladder,
        tier=wanted.tier,
        ends_at=wanted.until,
        reason=wanted.reason,
        exactly=wanted.exactly,
    )
    done = await service.set_tier(new, card.id, principal=call.staff, key=call.operation_key, now=call.now)
    return _override(done.override, await ladders.in_force(call.now), call.locale, call.now, approval=done.approval)


async def end_override(call: Call[EndingOverride, NoQuery]) -> Override:
    """Take a tier set by hand back before its end."""
    override_id = row_id(Kind.OVERRIDE, call.path["override"])
    ended = await service.end(override_id, principal=call.staff, reason=call.body.reason, now=call.now)
    return _override(ended, await ladders.in_force(call.now), call.locale, call.now)


async def read_member_tiers(call: Call[NoBody, NoQuery]) -> MemberTiers:
    """One member's tiers, for who serves, decides or audits."""
    try:
        member = UUID(call.path["member"])
    except ValueError:
        raise NotFound(what="member") from None
    card = await counter.recall(member, server=call.staff, action=Action.TIER_READ, now=call.now)
    programme = await ladders.in_force(call.now)
    history = await tiers.history(card.id, ladder=None)
    standings = [
        standing_view(
            await tiers.standing(card.id, at=call.now, ladder=code),
            [held for held in history if held.ladder == code],
            programme,
            call.locale,
        )
        for code in programme.by_code
    ]
    set_by_hand = await queries.of_member(card.id)
    return MemberTiers(
        standings=tuple(standings),
        history=tuple(_record(held, programme, call.locale) for held in history),
        overrides=tuple(_override(one, programme, call.locale, call.now) for one in set_by_hand),
    )


def _record(held: Interval, programme: Ladders, locale: Locale) -> TierRecord:
    return TierRecord(
        ladder=held.ladder,
        tier=tier_of(held.tier, programme, locale),
        reason=held.reason,
        evidence=dict(held.evidence),
        ladder_version=held.version,
        starts_at=held.starts_at,
        ends_at=held.ends_at,
    )


def _override(
    one: OverrideView, programme: Ladders, locale: Locale, now: datetime, *, approval: str | None = None
) -> Override:
    over = one.status == "active" and one.ends_at <= now
    return Override(
        id=public_id(Kind.OVERRIDE, one.id),
        ladder=one.ladder,
        tier=tier_of(one.tier, programme, locale),
        exactly=one.exactly,
        reason=one.reason,
        status="ended" if over else one.status,
        created_at=one.created_at,
        until=one.ends_at,
        ended_at=one.ends_at if over else one.ended_at,
        set_by=one.staff_id,
        approved_by=one.approved_by,
        ended_by=one.ended_by,
        approval=approval,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/staff/tier-overrides",
        run=set_tier,
        audience=Audience.STAFF,
        action=Action.TIER_OVERRIDE,
        body=SettingTier,
        result=Override,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, OwnMembership, MemberGone, OverrideInvalid, OverrideKeyReused),
        summary=Summary(
            "手工设置等级（有原因、有期限，超出权限需审批）", "Set a tier by hand, with a reason and an end"
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/tier-overrides/{override}/end",
        run=end_override,
        audience=Audience.STAFF,
        action=Action.TIER_OVERRIDE,
        body=EndingOverride,
        result=Override,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, OwnMembership, MemberGone, OverrideUnknown, OverrideInvalid),
        summary=Summary("提前结束手工设置的等级", "End a tier set by hand before its time"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/members/{member}/tiers",
        run=read_member_tiers,
        audience=Audience.CONSOLE,
        action=Action.TIER_READ,
        result=MemberTiers,
        refusals=(OtherStore, MemberGone),
        summary=Summary("一位会员的等级、历史与手工设置", "One member's tiers, history and what was set by hand"),
    ),
)
