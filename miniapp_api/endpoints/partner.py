"""What partner systems report: purchases and refunds, under their own numbers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, JsonValue

from loyalty.access import Action, PartnerPrincipal
from loyalty.attempts.service import TooManyMisses
from loyalty.counter import service as counter
from loyalty.errors import Refusal
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members.service import MemberGone
from loyalty.phones.rules import PhoneInvalid
from loyalty.purchases import service as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.service import NewPurchase, PurchaseInvalid, PurchaseKeyReused
from loyalty.refunds import service as refunds
from loyalty.refunds.service import (
    NewRefund,
    PurchaseUnknown,
    RefundInvalid,
    RefundKeyReused,
    RefundTooLarge,
)
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import CustomerAtTill, ExternalId, Fen, Lookup, at_till
from miniapp_api.public_ids import Kind, public_id

LINES_MAX = 200


class PurchaseReport(Body):
    """A completed sale; `external_id` is the till's own number of it. `amount_fen` is what was paid in money."""

    external_id: ExternalId
    member: UUID
    amount_fen: Fen
    occurred_at: AwareDatetime
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "CNY"
    lines: Annotated[tuple[dict[str, JsonValue], ...], Field(max_length=LINES_MAX)] = ()


class RefundReport(Body):
    """Money given back for the purchase that this system reported as `purchase`."""

    external_id: ExternalId
    purchase: ExternalId
    amount_fen: Annotated[int, Field(ge=1, le=10**12)]
    occurred_at: AwareDatetime


@dataclass(frozen=True, slots=True)
class RecordedPurchase:
    """The purchase and what it earned; `replayed` when this number was reported before."""

    id: str
    external_id: str
    amount_fen: int
    points: int
    growth: int
    occurred_at: datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class RecordedRefund:
    """What went back with the money; points that were spent already are forgiven."""

    id: str
    amount_fen: int
    points_taken: int
    points_forgiven: int
    growth_taken: int
    occurred_at: datetime
    replayed: bool


async def partner_lookup(call: Call[Lookup, NoQuery]) -> CustomerAtTill | Refusal:
    """Who the customer at the till is, and what their tiers give."""
    card = await counter.find(call.body.clue, server=call.partner, now=call.now)
    if isinstance(card, WrongMemberCode):
        return card
    return await at_till(card, now=call.now, locale=call.locale)


async def partner_purchase(call: Call[PurchaseReport, NoQuery]) -> RecordedPurchase:
    """Record a sale and its points."""
    report, partner = call.body, call.partner
    card = await counter.recall(report.member, server=partner, action=Action.PURCHASE_RECORD, now=call.now)
    done = await purchases.record_one(
        NewPurchase(
            source=source_of(partner),
            external_id=report.external_id,
            member_id=card.id,
            amount_fen=report.amount_fen,
            occurred_at=report.occurred_at,
            store_id=partner.store_id,
            currency=report.currency,
            lines=report.lines,
        ),
        principal=partner,
        now=call.now,
    )
    return recorded(done)


async def partner_refund(call: Call[RefundReport, NoQuery]) -> RecordedRefund:
    """Record a refund and take its points back."""
    report, source = call.body, source_of(call.partner)
    done = await refunds.refund(
        NewRefund(
            source=source,
            external_id=report.external_id,
            purchase_source=source,
            purchase_external_id=report.purchase,
            amount_fen=report.amount_fen,
            occurred_at=report.occurred_at,
        ),
        principal=call.partner,
        now=call.now,
    )
    return RecordedRefund(
        id=public_id(Kind.REFUND, done.id),
        amount_fen=done.amount_fen,
        points_taken=done.points_taken,
        points_forgiven=done.points_forgiven,
        growth_taken=done.growth_taken,
        occurred_at=done.occurred_at,
        replayed=done.replayed,
    )


def source_of(partner: PartnerPrincipal) -> str:
    """The name under which a partner's own numbers are unique."""
    return f"partner:{partner.partner_id}"


def recorded(done: PurchaseView) -> RecordedPurchase:
    """A purchase as its reporter sees it."""
    return RecordedPurchase(
        id=public_id(Kind.PURCHASE, done.id),
        external_id=done.external_id,
        amount_fen=done.amount_fen,
        points=done.points,
        growth=done.growth,
        occurred_at=done.occurred_at,
        replayed=done.replayed,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/partner/lookups",
        run=partner_lookup,
        audience=Audience.PARTNER,
        action=Action.MEMBER_FIND,
        body=Lookup,
        result=CustomerAtTill,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, PhoneInvalid, WrongMemberCode, TooManyMisses),
        summary=Summary("识别会员（手机号、动态码或会员号）", "Find a member by phone, rotating code or number"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/purchases",
        run=partner_purchase,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=PurchaseReport,
        result=RecordedPurchase,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, PurchaseInvalid, PurchaseKeyReused),
        summary=Summary("上报消费", "Report a purchase"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/refunds",
        run=partner_refund,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_REFUND,
        body=RefundReport,
        result=RecordedRefund,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(PurchaseUnknown, RefundInvalid, RefundKeyReused, RefundTooLarge),
        summary=Summary("上报退款", "Report a refund"),
    ),
)
