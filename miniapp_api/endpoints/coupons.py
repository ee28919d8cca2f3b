"""Coupons: what can be claimed, claiming, and what the member holds.

Claims come in bursts, so concurrent ones share a unit of work; the answer that a repeat gets is stored in it too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import Field

from loyalty import codes
from loyalty.access import Action
from loyalty.coupon_templates import queries as templates
from loyalty.coupon_templates.queries import TemplateView
from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, PercentOff
from loyalty.coupon_templates.service import TemplateUnknown
from loyalty.coupons import queries as coupons_read
from loyalty.coupons import service as coupons
from loyalty.coupons.queries import CouponView, Offer
from loyalty.coupons.rules import code_of
from loyalty.coupons.service import ClaimRequest, Ended, LimitReached, NotYet, SoldOut, TierTooLow
from loyalty.errors import NotFound, Refusal, unreachable
from loyalty.group_commit import GroupCommit
from loyalty.inbox import service as inbox
from loyalty.inbox.service import Delivery, First
from miniapp_api import idempotency, metrics
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Body,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
    Query,
    Rate,
    Repeat,
    Summary,
)
from miniapp_api.endpoints.paging import LIMIT_DEFAULT, LIMIT_MAX, next_cursor
from miniapp_api.idempotency import SOURCE, Answer
from miniapp_api.problems import encode
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id
from templates.words import Locale

TemplateCode = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9_-]+$", examples=["welcome"])]
CREATED: Final = 201


@dataclass(frozen=True, slots=True)
class Worth:
    """What the coupon does: money off (`off_fen`), a share off (`percent_off`, at most `cap_fen`), or an item."""

    kind: Literal["amount", "percent", "gift", "exchange"]
    off_fen: int | None
    percent_off: int | None
    cap_fen: int | None
    item: str | None


@dataclass(frozen=True, slots=True)
class Coupon:
    """A coupon of the member."""

    id: str
    template: str
    name: str
    worth: Worth
    min_spend_fen: int
    status: Literal["issued", "redeemed", "expired", "void"]
    claimed_at: datetime
    expires_at: datetime
    redeemed_at: datetime | None
    redeemed_store: str | None


@dataclass(frozen=True, slots=True)
class CouponWithCode:
    """A coupon with the code that redeems it; the code is null once the coupon is no longer usable."""

    coupon: Coupon
    code: str | None


@dataclass(frozen=True, slots=True)
class Coupons:
    """A page of coupons."""

    items: tuple[Coupon, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Claimable:
    """A coupon on offer; `refusal` is the code of what stands in the way, null when it can be claimed now."""

    template: str
    name: str
    worth: Worth
    min_spend_fen: int
    left: int | None
    held: int
    per_member_limit: int
    claim_until: datetime | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Offers:
    """What is on offer now."""

    items: tuple[Claimable, ...]


@dataclass(frozen=True, slots=True)
class ClaimedCoupon:
    """The coupon is the member's."""

    id: str
    template: str
    name: str
    worth: Worth
    claimed_at: datetime
    expires_at: datetime


class Claim(Body):
    """Which coupon."""

    template: TemplateCode


class CouponQuery(Query):
    """Which coupons; usable ones come by what ends first, others newest first."""

    status: Literal["issued", "redeemed", "expired", "void"] | None = None
    cursor: PublicId | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT


@dataclass(frozen=True, slots=True)
class Asked:
    """One claim on its way through a shared unit of work; `refused` writes the answer of a refusal."""

    member_id: int
    template: str
    key: idempotency.Claimed
    locale: Locale
    now: datetime
    refused: Callable[[Refusal], Answer]


Claims = GroupCommit[Asked, "Answer | inbox.KeyReused"]
CLAIMS: Final = web.AppKey("claims", GroupCommit)
"""Where an application keeps its shared claims."""


def shared_claims() -> Claims:
    """The claims of one process."""
    return GroupCommit(claim_together)


async def claim_coupon(call: Call[Claim, NoQuery]) -> Answer:
    """Claim a coupon, together with whoever claims at the same moment."""
    if call.claim is None:
        unreachable("the row says KEYED, so there is a key")
    claims: Claims = call.request.app[CLAIMS]
    outcome = await claims.submit(
        Asked(
            member_id=call.member_id,
            template=call.body.template,
            key=call.claim,
            locale=call.locale,
            now=call.now,
            refused=call.refused,
        )
    )
    if isinstance(outcome, inbox.KeyReused):
        raise outcome
    return outcome


async def claim_together(batch: Sequence[Asked]) -> list[Answer | inbox.KeyReused]:
    """Answer each claim: repeats with their first answer, the others by one `coupons.claim`."""
    now = max(asked.now for asked in batch)
    reserved = await inbox.look_up(SOURCE, [asked.key.name for asked in batch])
    fresh = [asked for asked, reservation in zip(batch, reserved, strict=True) if isinstance(reservation, First)]
    answers = dict(zip((asked.key.name for asked in fresh), await _claimed(fresh, now), strict=True))
    kept = {asked.key.name: idempotency.sealed(asked.key, answers[asked.key.name]) for asked in fresh}
    await inbox.file(SOURCE, [(Delivery(a.key.name, a.key.operation), kept[a.key.name]) for a in fresh], now=now)
    outcomes: list[Answer | inbox.KeyReused] = []
    for asked, reservation in zip(batch, reserved, strict=True):
        if isinstance(reservation, First):
            outcomes.append(answers[asked.key.name])
        else:
            outcomes.append(_repeat(asked, reservation.answer or kept.get(asked.key.name)))
    return outcomes


def _repeat(asked: Asked, kept: Any) -> Answer | inbox.KeyReused:
    try:
        return idempotency.opened(asked.key, kept)
    except inbox.KeyReused as reused:
        return reused


async def _claimed(fresh: Sequence[Asked], now: datetime) -> list[Answer]:
    found = {code: await templates.by_code(code) for code in sorted({asked.template for asked in fresh})}
    wanted = [(asked, template) for asked in fresh if (template := found[asked.template]) is not None]
    requests = [ClaimRequest(member_id=asked.member_id, template_id=template.id) for asked, template in wanted]
    outcomes = iter(await coupons.claim(requests, now=now))
    return [_answer(asked, found[asked.template], outcomes, now) for asked in fresh]


def _answer(asked: Asked, template: TemplateView | None, outcomes: Any, now: datetime) -> Answer:
    outcome: coupons.ClaimOutcome = TemplateUnknown() if template is None else next(outcomes)
    if isinstance(outcome, Refusal) or template is None:
        refusal = outcome if isinstance(outcome, Refusal) else TemplateUnknown()
        metrics.COUPON_CLAIMS.labels(refusal.code).inc()
        return asked.refused(refusal)
    metrics.COUPON_CLAIMS.labels("claimed").inc()
    view = ClaimedCoupon(
        id=public_id(Kind.COUPON, outcome.coupon_id),
        template=template.code,
        name=_in(template.name, asked.locale),
        worth=_worth(template.worth, asked.locale),
        claimed_at=now,
        expires_at=outcome.expires_at,
    )
    return Answer(status=CREATED, body=encode(view))


async def list_coupons(call: Call[NoBody, CouponQuery]) -> Coupons:
    """The member's coupons."""
    wanted = call.query
    found = await coupons_read.mine(
        call.member_id,
        at=call.now,
        status=wanted.status,
        before_id=None if wanted.cursor is None else row_id(Kind.COUPON, wanted.cursor),
        limit=wanted.limit,
    )
    # Usable coupons are sorted by their end, which the cursor does not know: they come as one page.
    continues = wanted.status != "issued" and len(found) == wanted.limit
    return Coupons(
        items=tuple(shown(coupon, call.locale) for coupon in found),
        next_cursor=next_cursor(Kind.COUPON, found[-1].id if continues else None),
    )


async def read_coupon(call: Call[NoBody, NoQuery]) -> CouponWithCode:
    """One coupon of the member, with its code."""
    coupon = await coupons_read.of_member(call.member_id, row_id(Kind.COUPON, call.path["coupon"]), at=call.now)
    if coupon is None:
        raise NotFound
    code = codes.spaced(code_of(coupon.id)) if coupon.status == "issued" else None
    return CouponWithCode(coupon=shown(coupon, call.locale), code=code)


async def list_claimable(call: Call[NoBody, NoQuery]) -> Offers:
    """What the member finds to claim."""
    offers = await coupons_read.claimable(call.member_id, at=call.now)
    return Offers(items=tuple(_offer(offer, call.locale) for offer in offers))


def shown(coupon: CouponView, locale: Locale) -> Coupon:
    """A coupon as its holder and the clerk see it."""
    return Coupon(
        id=public_id(Kind.COUPON, coupon.id),
        template=coupon.template_code,
        name=_in(coupon.name, locale),
        worth=_worth(coupon.worth, locale),
        min_spend_fen=coupon.min_spend_fen,
        status=coupon.status,
        claimed_at=coupon.claimed_at,
        expires_at=coupon.expires_at,
        redeemed_at=coupon.redeemed_at,
        redeemed_store=coupon.redeemed_store,
    )


def _offer(offer: Offer, locale: Locale) -> Claimable:
    template = offer.template
    return Claimable(
        template=template.code,
        name=_in(template.name, locale),
        worth=_worth(template.worth, locale),
        min_spend_fen=template.min_spend_fen,
        left=template.left,
        held=offer.held,
        per_member_limit=template.per_member_limit,
        claim_until=template.claim_until,
        refusal=offer.refusal,
    )


def _worth(worth: AmountOff | PercentOff | Gift | Exchange, locale: Locale) -> Worth:
    match worth:
        case AmountOff():
            return Worth(worth.kind, worth.off_fen, None, None, None)
        case PercentOff():
            return Worth(worth.kind, None, worth.percent_off, worth.cap_fen, None)
        case Gift() | Exchange():
            return Worth(worth.kind, None, None, None, _in(worth.item, locale))


def _in(words: Any, locale: Locale) -> str:
    return str(words.get(locale) or next(iter(words.values())))


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/coupons/claimable",
        run=list_claimable,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Offers,
        summary=Summary("可领的券", "Coupons on offer"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/coupons",
        run=claim_coupon,
        joins=True,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Claim,
        result=ClaimedCoupon,
        status=CREATED,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(SoldOut, LimitReached, NotYet, Ended, TierTooLow, TemplateUnknown),
        summary=Summary("领券", "Claim a coupon"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/coupons",
        run=list_coupons,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=CouponQuery,
        result=Coupons,
        refusals=(NotFound,),
        summary=Summary("我的券", "My coupons"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/coupons/{coupon}",
        run=read_coupon,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=CouponWithCode,
        summary=Summary("一张券和它的券码", "One coupon and its code"),
    ),
)
