"""Checkout at a till: what an order comes to for this member, reserved, settled or given up."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from loyalty import clock, db
from loyalty.access import Action, PartnerPrincipal
from loyalty.checkout import service as checkout
from loyalty.checkout.rules import Order, Price, Wish
from loyalty.checkout.service import (
    Asked,
    CheckoutOver,
    CheckoutUnknown,
    CouponHeld,
    Evaluated,
    HeldOrder,
    PriceChanged,
    Settlement,
    TendersUneven,
)
from loyalty.counter import service as counter
from loyalty.errors import Refusal
from loyalty.group_commit import GroupRead
from loyalty.ledger.service import NotEnough
from loyalty.members import queries as members_read
from loyalty.members.service import MemberGone
from loyalty.purchases.receipt import LINES_MAX, Tender
from loyalty.redemptions.service import AlreadyRedeemed, CouponOver, CouponUnknown, CouponVoid, SpendTooLow, WrongStore
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import ExternalId, Fen
from miniapp_api.endpoints.sales import RECORDING, RecordedPurchase, SaleLine, recorded, source_of
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id

WORTH_A_BATCH: Final = 3
"""Tills are few and each waits for its answer: so many orders are evaluated while the database reads for others."""
Reason = Literal["other_store", "spend_too_low", "locked", "over", "saves_nothing"]


class Basket(Body):
    """An order before it is paid; a line's `amount_fen` is its list price. Without `coupon` the one that saves most is
    taken, unless `best_coupon` is false. `points_fen` is how much the customer wants to pay with points."""

    order: ExternalId
    member: UUID
    lines: Annotated[tuple[SaleLine, ...], Field(min_length=1, max_length=LINES_MAX)]
    coupon: PublicId | None = None
    best_coupon: bool = True
    points_fen: Fen = 0


class Holding(Basket):
    """The same order, and the price that was evaluated for it."""

    price_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Payment(Body):
    """How the order was paid; `tenders` come to what is due, points included. Without them the rest is `other`."""

    order: ExternalId
    tenders: dict[Tender, Fen] = Field(default_factory=dict)
    occurred_at: AwareDatetime | None = None


class GivenUp(Body):
    """Which order."""

    order: ExternalId


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line and what was taken off it."""

    no: int
    list_fen: int
    member_off_fen: int
    coupon_off_fen: int
    due_fen: int


@dataclass(frozen=True, slots=True)
class CouponOnOrder:
    """A coupon of the member on this order: what it takes off, or why it does not count."""

    coupon: str
    off_fen: int
    unusable: Reason | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the order comes to: `due_fen`, of which `points_fen` are paid with `points`, the rest in money.

    `most_points` is what points could pay at most. `earns_points` is what settling it will earn.
    """

    list_fen: int
    member_off_fen: int
    coupon_off_fen: int
    coupon: str | None
    due_fen: int
    points: int
    points_fen: int
    money_fen: int
    most_points: int
    most_points_fen: int
    earns_points: int
    earns_growth: int
    lines: tuple[PricedLine, ...]
    coupons: tuple[CouponOnOrder, ...]
    price_hash: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """What is reserved and until when; after `expires_at` nothing is, whatever the status says."""

    order: str
    status: Literal["held", "settled", "voided"]
    due_fen: int
    points: int
    points_fen: int
    money_fen: int
    coupon: str | None
    price_hash: str
    expires_at: datetime


async def evaluate_checkout(call: Call[Basket, NoQuery]) -> Evaluation:
    """What the order comes to, found together with the orders of other tills. Reserves nothing."""
    basket = call.body
    evaluated = await _EVALUATIONS.submit((basket.member, _order(call, basket, member_id=0), call.partner))
    if isinstance(evaluated, Refusal):
        raise evaluated
    return _evaluation(evaluated.price, evaluated.price_hash)


async def _evaluate_together(baskets: Sequence[tuple[UUID, Order, PartnerPrincipal]]) -> list[Evaluated | Refusal]:
    async with db.one_connection():
        members = await members_read.ids_of([public_id for public_id, _, _ in baskets])
        asked = [
            Asked(replace(order, member_id=members[public_id]), server)
            for public_id, order, server in baskets
            if public_id in members
        ]
        found = iter(await checkout.evaluate_together(asked, now=clock.now()))
    return [next(found) if public_id in members else MemberGone() for public_id, _, _ in baskets]


_EVALUATIONS: Final[GroupRead[tuple[UUID, Order, PartnerPrincipal], Evaluated | Refusal]] = GroupRead(
    _evaluate_together, worth_a_batch=WORTH_A_BATCH
)


async def hold_checkout(call: Call[Holding, NoQuery]) -> Checkout:
    """Reserve coupon and points of an evaluated order."""
    card = await counter.recall(call.body.member, server=call.partner, action=Action.PURCHASE_RECORD, now=call.now)
    order = _order(call, call.body, member_id=card.id)
    return _shown(await checkout.hold(order, call.body.price_hash, server=call.partner, now=call.now))


async def settle_checkout(call: Call[Payment, NoQuery]) -> RecordedPurchase:
    """The order is paid: record it."""
    payment = Settlement(
        source=source_of(call.partner),
        number=call.body.order,
        tenders={kind: fen for kind, fen in call.body.tenders.items() if fen},
        occurred_at=call.body.occurred_at or call.now,
    )
    return recorded(await checkout.settle(payment, server=call.partner, now=call.now))


async def void_checkout(call: Call[GivenUp, NoQuery]) -> Checkout:
    """Give the order up."""
    return _shown(await checkout.void(source_of(call.partner), call.body.order, server=call.partner, now=call.now))


async def read_checkout(call: Call[NoBody, NoQuery]) -> Checkout:
    """The order as it stands, for a till that forgot."""
    return _shown(await checkout.read(source_of(call.partner), call.path["order"]))


def _order(call: Call[Basket, NoQuery] | Call[Holding, NoQuery], basket: Basket, *, member_id: int) -> Order:
    coupon_id = None if basket.coupon is None else row_id(Kind.COUPON, basket.coupon)
    return Order(
        source=source_of(call.partner),
        number=basket.order,
        member_id=member_id,
        lines=basket.lines,
        wish=Wish(coupon_id, basket.best_coupon, basket.points_fen),
    )


def _evaluation(price: Price, price_hash: str) -> Evaluation:
    named = {one.coupon_id: public_id(Kind.COUPON, one.coupon_id) for one in price.coupons}
    return Evaluation(
        list_fen=price.list_fen,
        member_off_fen=price.member_off_fen,
        coupon_off_fen=price.coupon_off_fen,
        coupon=None if price.coupon_id is None else named[price.coupon_id],
        due_fen=price.due_fen,
        points=price.points,
        points_fen=price.points_fen,
        money_fen=price.money_fen,
        most_points=price.most_points,
        most_points_fen=price.most_points_fen,
        earns_points=price.earns_points,
        earns_growth=price.earns_growth,
        lines=tuple(
            PricedLine(line.no, line.list_fen, line.member_off_fen, line.coupon_off_fen, line.due_fen)
            for line in price.lines
        ),
        coupons=tuple(
            CouponOnOrder(
                named[one.coupon_id],
                one.off_fen,
                None if one.unusable is None else one.unusable.value,
            )
            for one in price.coupons
        ),
        price_hash=price_hash,
    )


def _shown(held: HeldOrder) -> Checkout:
    price = held.price
    return Checkout(
        order=held.number,
        status=held.status,
        due_fen=price["due_fen"],
        points=price["points"],
        points_fen=price["points_fen"],
        money_fen=price["due_fen"] - price["points_fen"],
        coupon=None if price["coupon_id"] is None else public_id(Kind.COUPON, price["coupon_id"]),
        price_hash=held.price_hash,
        expires_at=held.expires_at,
    )


_COUPON = (CouponHeld, CouponUnknown, AlreadyRedeemed, CouponOver, CouponVoid, WrongStore, SpendTooLow)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/partner/checkouts/evaluate",
        run=evaluate_checkout,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=Basket,
        result=Evaluation,
        repeat=Repeat.QUESTION,
        refusals=(MemberGone,),
        summary=Summary("试算：会员价、最优券、积分抵扣、可得积分", "What an order comes to for this member"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/checkouts/hold",
        run=hold_checkout,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=Holding,
        result=Checkout,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, PriceChanged, CheckoutOver, CouponHeld, NotEnough),
        summary=Summary("锁定券与积分（15 分钟）", "Reserve coupon and points for 15 minutes"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/checkouts/settle",
        run=settle_checkout,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=Payment,
        result=RecordedPurchase,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(CheckoutUnknown, CheckoutOver, TendersUneven, *_COUPON, *RECORDING),
        summary=Summary("结算：扣积分、核销券、记消费、发积分", "Settle: take points and coupon, record, earn"),
    ),
    Endpoint(
        method="POST",
        path="/v1/partner/checkouts/void",
        run=void_checkout,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        body=GivenUp,
        result=Checkout,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(CheckoutUnknown, CheckoutOver),
        summary=Summary("放弃订单，释放券与积分", "Give an order up; coupon and points are free again"),
    ),
    Endpoint(
        method="GET",
        path="/v1/partner/checkouts/{order}",
        run=read_checkout,
        audience=Audience.PARTNER,
        action=Action.PURCHASE_RECORD,
        result=Checkout,
        refusals=(CheckoutUnknown,),
        summary=Summary("订单锁定状态", "An order as it stands"),
    ),
)
