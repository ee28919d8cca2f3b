"""What tills and shops report: sales with lines and tenders, one or many at once, receipt of goods, and returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from loyalty.access import Action, PartnerPrincipal
from loyalty.counter import service as counter
from loyalty.errors import Refusal
from loyalty.ledger.service import HoldOver, HoldUnknown, NotEnough
from loyalty.members.service import MemberGone
from loyalty.purchases import delivery
from loyalty.purchases import service as purchases
from loyalty.purchases.delivery import NothingWaits, ReceivedEarly
from loyalty.purchases.delivery import PurchaseUnknown as NotSold
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import LINES_MAX, Discount, Line, LineRepeated, Receipt, ReceiptUneven, Tender
from loyalty.purchases.service import NewPurchase, PointsNotTaken, PurchaseInvalid, PurchaseKeyReused, PurchaseTooOld
from loyalty.refunds import service as refunds
from loyalty.refunds.queries import RefundView
from loyalty.refunds.rules import LineReturned, LineUnknown, Quote, RefundInvalid
from loyalty.refunds.service import NewRefund, PurchaseUnknown, RefundKeyReused, RefundTooLarge, RefundTooLate
from loyalty.stored_value.service import PermitNeeded, StoredValueFrozen, StoredValueShort
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import ExternalId, Fen
from miniapp_api.public_ids import Kind, public_id

BATCH_MAX = 500
Method = Literal["readjudicate", "proportional"]
Pieces = Annotated[int, Field(ge=1, le=100_000)]


class SaleLine(Line, Body):
    """A line: `list_fen` before and `amount_fen` after discounts, for all of its `quantity`. Voided ones count for
    nothing."""


class SaleDiscount(Discount, Body):
    """Less to pay on the order (满减), from `min_spend_fen` on; a partial return may lose it."""


class Sale(Body):
    """A completed sale; `external_id` is the till's own number of it, for ever. `amount_fen` is the price after
    discounts, whatever it was paid with. What `tenders` say was paid with points is taken from the member."""

    external_id: ExternalId
    member: UUID
    amount_fen: Fen
    occurred_at: AwareDatetime
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "CNY"
    lines: Annotated[tuple[SaleLine, ...], Field(max_length=LINES_MAX)] = ()
    tenders: dict[Tender, Fen] = Field(default_factory=dict)
    discounts: Annotated[tuple[SaleDiscount, ...], Field(max_length=20)] = ()
    to_deliver: bool = False


class SaleBatch(Body):
    """Sales of a till that was offline, in their order; each gets an answer of its own."""

    items: Annotated[tuple[Sale, ...], Field(min_length=1, max_length=BATCH_MAX)]


class Received(Body):
    """When the customer received the goods."""

    purchase: ExternalId
    received_at: AwareDatetime


class ReturnedLine(Body):
    """How many pieces of a line came back."""

    no: Annotated[int, Field(ge=1, le=10_000)]
    quantity: Pieces = 1


class Return(Body):
    """Goods come back: either `lines`, or `amount_fen`, the price of what comes back; with both the price counts.

    `method`: `readjudicate` judges what is kept as if only that had been bought, `proportional` gives back the
    returned part; without it the programme's.
    """

    external_id: ExternalId
    purchase: ExternalId
    occurred_at: AwareDatetime
    amount_fen: Annotated[int, Field(ge=1, le=10**12)] | None = None
    lines: Annotated[tuple[ReturnedLine, ...], Field(max_length=LINES_MAX)] = ()
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class RecordedPurchase:
    """The purchase and what it earned and cost in points; `replayed` when this number was reported before."""

    id: str
    external_id: str
    amount_fen: int
    points: int
    growth: int
    points_spent: int
    occurred_at: datetime
    replayed: bool


@dataclass(frozen=True, slots=True)
class SaleOutcome:
    """What became of one sale: recorded, or the code of the refusal; a refused one can be mended and sent again."""

    external_id: str
    recorded: RecordedPurchase | None
    refusal: str | None


@dataclass(frozen=True, slots=True)
class SaleOutcomes:
    """One outcome for each sale, in order."""

    items: tuple[SaleOutcome, ...]
    recorded: int
    refused: int


@dataclass(frozen=True, slots=True)
class ReceivedPurchase:
    """`usable_from` is when its points can be used, null when they can be used now."""

    usable_from: datetime | None


@dataclass(frozen=True, slots=True)
class RefundQuote:
    """What a return comes to: given back in money and points, and to be taken back of what was earned."""

    method: Method
    amount_fen: int
    money_fen: int
    points_returned: int
    points_taken: int
    growth_taken: int


@dataclass(frozen=True, slots=True)
class RefundQuotes:
    """By the chosen method first, then by the other one."""

    items: tuple[RefundQuote, ...]


@dataclass(frozen=True, slots=True)
class RecordedRefund:
    """What went back: `money_fen` to pay out, `points_returned` to the member. Of what had been earned,
    `points_taken` left, `points_owed` is owed and `points_forgiven` was spent already and is let go."""

    id: str
    amount_fen: int
    money_fen: int
    points_returned: int
    method: Method
    points_taken: int
    points_owed: int
    points_forgiven: int
    growth_taken: int
    occurred_at: datetime
    replayed: bool


async def partner_purchase(call: Call[Sale, NoQuery]) -> RecordedPurchase:
    """Record a sale and its points."""
    card = await counter.recall(call.body.member, server=call.partner, action=Action.PURCHASE_RECORD, now=call.now)
    done = await purchases.record_one(_new(call.body, card.id, call.partner), principal=call.partner, now=call.now)
    return recorded(done)


async def partner_purchases(call: Call[SaleBatch, NoQuery]) -> SaleOutcomes:
    """Record many sales; what one lacks does not hold up the others."""
    refused: dict[int, Refusal] = {}
    wanted: dict[int, NewPurchase] = {}
    for place, sale in enumerate(call.body.items):
        try:
            card = await counter.recall(sale.member, server=call.partner, action=Action.PURCHASE_RECORD, now=call.now)
        except MemberGone as gone:
            refused[place] = gone
        else:
            wanted[place] = _new(sale, card.id, call.partner)
    done = dict(
        zip(
            wanted,
            await purchases.record(list(wanted.values()), principal=call.partner, now=call.now) if wanted else (),
            strict=True,
        )
    )
    items = tuple(_outcome(sale, refused.get(place) or done[place]) for place, sale in enumerate(call.body.items))
    count = sum(item.recorded is not None for item in items)
    return SaleOutcomes(items, count, len(items) - count)


async def partner_received(call: Call[Received, NoQuery]) -> ReceivedPurchase:
    """The goods arrived: the return window begins."""
    usable = await delivery.receive(
        source_of(call.partner),
        call.body.purchase,
        received_at=call.body.received_at,
        principal=call.partner,
        now=call.now,
    )
    return ReceivedPurchase(usable)


async def partner_refund(call: Call[Return, NoQuery]) -> RecordedRefund:
    """Record a return: give points back, take back what was earned."""
    new = new_refund(call.body, source_of(call.partner))
    return refunded(await refunds.refund(new, principal=call.partner, now=call.now))


async def partner_refund_preview(call: Call[Return, NoQuery]) -> RefundQuotes:
    """What a return would come to, by either method."""
    new = new_refund(call.body, source_of(call.partner))
    return quotes(await refunds.preview(new, principal=call.partner, now=call.now))


def source_of(partner: PartnerPrincipal) -> str:
    """The name under which a partner's own numbers are unique."""
    return f"partner:{partner.partner_id}"


def _new(sale: Sale, member_id: int, partner: PartnerPrincipal) -> NewPurchase:
    tenders: Mapping[str, int] = {kind: fen for kind, fen in sale.tenders.items() if fen}
    return NewPurchase(
        source=source_of(partner),
        external_id=sale.external_id,
        member_id=member_id,
        amount_fen=sale.amount_fen,
        occurred_at=sale.occurred_at,
        store_id=partner.store_id,
        currency=sale.currency,
        receipt=Receipt(sale.lines, tenders or None, sale.discounts),
        to_deliver=sale.to_deliver,
    )


def _outcome(sale: Sale, outcome: PurchaseView | Refusal) -> SaleOutcome:
    if isinstance(outcome, Refusal):
        return SaleOutcome(sale.external_id, None, outcome.code)
    return SaleOutcome(sale.external_id, recorded(outcome), None)


def new_refund(wanted: Return, source: str) -> NewRefund:
    """The return as `source` reports it about a purchase of its own."""
    return NewRefund(
        source=source,
        external_id=wanted.external_id,
        purchase_source=source,
        purchase_external_id=wanted.purchase,
        occurred_at=wanted.occurred_at,
        amount_fen=wanted.amount_fen,
        lines={line.no: line.quantity for line in wanted.lines},
        method=wanted.method,
    )


def recorded(done: PurchaseView) -> RecordedPurchase:
    """A purchase as its reporter sees it."""
    return RecordedPurchase(
        id=public_id(Kind.PURCHASE, done.id),
        external_id=done.external_id,
        amount_fen=done.amount_fen,
        points=done.points,
        growth=done.growth,
        points_spent=done.points_spent,
        occurred_at=done.occurred_at,
        replayed=done.replayed,
    )


def refunded(done: RefundView) -> RecordedRefund:
    """A return as its reporter sees it."""
    return RecordedRefund(
        id=public_id(Kind.REFUND, done.id),
        amount_fen=done.amount_fen,
        money_fen=done.money_fen,
        points_returned=done.points_returned,
        method="readjudicate" if done.method == "readjudicate" else "proportional",
        points_taken=done.points_taken,
        points_owed=done.points_owed,
        points_forgiven=done.points_forgiven,
        growth_taken=done.growth_taken,
        occurred_at=done.occurred_at,
        replayed=done.replayed,
    )


def quotes(found: list[Quote]) -> RefundQuotes:
    """Quotes as their reader sees them."""
    return RefundQuotes(
        tuple(
            RefundQuote(
                quote.method,
                quote.amount_fen,
                quote.money_fen,
                quote.points_returned,
                quote.points_taken,
                quote.growth_taken,
            )
            for quote in found
        )
    )


RECORDING = (
    StoredValueFrozen,
    StoredValueShort,
    PermitNeeded,
    MemberGone,
    PurchaseInvalid,
    PurchaseKeyReused,
    PurchaseTooOld,
    ReceiptUneven,
    LineRepeated,
    PointsNotTaken,
    NotEnough,
    HoldUnknown,
    HoldOver,
)
REFUNDING = (PurchaseUnknown, RefundInvalid, RefundTooLarge, RefundTooLate, LineUnknown, LineReturned)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/partner/purchases",
        run=partner_purchase,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=Sale,
        result=RecordedPurchase,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=RECORDING,
        summary=Summary("上报消费", "Report a purchase"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/purchases/batch",
        run=partner_purchases,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=SaleBatch,
        result=SaleOutcomes,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        summary=Summary("补传多笔消费（每笔各有结果）", "Upload many purchases, each with its own outcome"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/receipts",
        run=partner_received,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=Received,
        result=ReceivedPurchase,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotSold, NothingWaits, ReceivedEarly),
        summary=Summary("上报收货，退货期开始计算", "Report that the goods arrived; the return window begins"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/refunds",
        run=partner_refund,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_REFUND,
        body=Return,
        result=RecordedRefund,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(*REFUNDING, RefundKeyReused),
        summary=Summary("上报退款", "Report a refund"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/refunds/preview",
        run=partner_refund_preview,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_REFUND,
        body=Return,
        result=RefundQuotes,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=REFUNDING,
        summary=Summary("退款试算（两种方式）", "What a refund would come to, by either method"),
    ),
)
