"""Checkout at a till: evaluate, hold, settle, void. Whatever a till does or fails to do, nothing stays reserved
beyond its time, and an order is settled once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import orjson

from loyalty import access, db
from loyalty.access import Action, PartnerPrincipal, Resource, StaffPrincipal
from loyalty.checkout import rules
from loyalty.checkout.customers import read as read_customers
from loyalty.checkout.earning import Place, with_earnings
from loyalty.checkout.rules import Order, Price
from loyalty.coupon_templates.rules import AmountOff
from loyalty.coupons import queries as coupons
from loyalty.errors import Conflict, Forbidden, NotFound, ensure
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Hold, HoldUnknown, Void
from loyalty.program import queries as program
from loyalty.purchases import service as purchases
from loyalty.purchases.queries import PurchaseView, by_key
from loyalty.purchases.receipt import POINTS, Discount, Line, Receipt
from loyalty.purchases.service import NewPurchase
from loyalty.redemptions import service as redemptions
from loyalty.redemptions.service import Till

Server = StaffPrincipal | PartnerPrincipal
Status = Literal["held", "settled", "voided"]
HOLDS_FOR: Final = timedelta(minutes=15)

_COLUMNS: Final = 'id, source, "order", member_id, store_id, status, attempt, price_hash, price, expires_at'
_FIND: Final = f'SELECT {_COLUMNS} FROM checkout WHERE source = $1 AND "order" = $2'
_WRITE: Final = f"""
INSERT INTO checkout (source, "order", member_id, store_id, status, attempt, price_hash, price, expires_at, created_at)
VALUES ($1, $2, $3, $4, 'held', 1, $5, $6::jsonb, $7, $8)
ON CONFLICT (source, "order") DO UPDATE SET member_id = excluded.member_id, status = 'held',
    attempt = checkout.attempt + 1, price_hash = excluded.price_hash, price = excluded.price,
    expires_at = excluded.expires_at
WHERE checkout.status = 'voided' OR (checkout.status = 'held' AND checkout.expires_at <= $8)
RETURNING {_COLUMNS}
"""
# A lock past its time is anybody's; the same order may take its own again.
_LOCK_COUPON: Final = """
INSERT INTO coupon_lock (coupon_id, checkout_id, expires_at)
SELECT id, $2, $3 FROM coupon WHERE id = $1 AND status = 'issued' AND expires_at > $4
ON CONFLICT (coupon_id) DO UPDATE SET checkout_id = excluded.checkout_id, expires_at = excluded.expires_at
WHERE coupon_lock.expires_at <= $4 OR coupon_lock.checkout_id = excluded.checkout_id
"""
_END: Final = "UPDATE checkout SET status = $2 WHERE id = $1 AND status = 'held' RETURNING id"


class PriceChanged(Conflict):
    """The order is not what was evaluated, or counts differently now: `due_fen` is due instead of `was_fen`."""

    code = "checkout.price_changed"


class CheckoutUnknown(NotFound):
    """No such order is held, or was."""

    code = "checkout.unknown"


class CheckoutOver(Conflict):
    """The order was settled or voided before: `status`."""

    code = "checkout.over"


class CouponHeld(Conflict):
    """Another order has reserved the coupon."""

    code = "checkout.coupon_held"


class TendersUneven(Conflict):
    """The tenders do not come to what is due: `due_fen`, of which `points_fen` with points."""

    code = "checkout.tenders_uneven"


@dataclass(frozen=True, slots=True)
class Asked:
    """An order, and the server that asks what it comes to."""

    order: Order
    server: Server


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the order comes to; `price_hash` is what a hold names."""

    price: Price
    price_hash: str


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """What is reserved, and until when."""

    number: str
    status: Status
    price: Mapping[str, Any]
    price_hash: str
    expires_at: datetime
    member_id: int
    store_id: int | None
    id: int
    attempt: int
    source: str

    def is_open(self, now: datetime) -> bool:
        """Whether it still reserves anything."""
        return self.status == "held" and self.expires_at > now

    @property
    def hold_key(self) -> str:
        """The ledger key of the reserved points; every attempt has its own."""
        return f"checkout:{self.id}:{self.attempt}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a held order was paid; `tenders` come to what is due, points included."""

    source: str
    number: str
    tenders: Mapping[str, int] = field(default_factory=dict)
    occurred_at: datetime


async def evaluate(order: Order, *, server: Server, now: datetime) -> Evaluated:
    """What the order comes to for this member. Reserves nothing.

    Raises:
        Forbidden, OwnMembership: the server may not serve them.
    """
    (evaluated,) = await evaluate_together([Asked(order, server)], now=now)
    if isinstance(evaluated, Forbidden):
        raise evaluated
    return evaluated


async def evaluate_together(asked: Sequence[Asked], *, now: datetime) -> list[Evaluated | Forbidden]:
    """What each order comes to as if it were the only one, in as many statements as one order needs."""
    refused = [_refusal(one) for one in asked]
    served = [one for one, refusal in zip(asked, refused, strict=True) if refusal is None]
    found = iter(await _evaluated(served, now) if served else ())
    return [next(found) if refusal is None else refusal for refusal in refused]


async def hold(order: Order, price_hash: str, *, server: Server, now: datetime) -> HeldOrder:
    """Reserve the coupon and the points of an evaluated order for a quarter of an hour. Again is the same hold.

    Raises:
        PriceChanged, CheckoutOver, CouponHeld, NotEnough, Forbidden, OwnMembership
    """
    known = await _find(order.source, order.number)
    if known is not None and known.is_open(now) and known.price_hash == price_hash:
        return known
    if known is not None and known.status == "settled":
        raise CheckoutOver(status=known.status)
    if known is not None and known.is_open(now):
        await _release(known, "voided", now)
    evaluated = await evaluate(order, server=server, now=now)
    if evaluated.price_hash != price_hash:
        was = known.price.get("due_fen") if known is not None else None
        raise PriceChanged(due_fen=evaluated.price.due_fen, was_fen=was)
    return await _reserve(order, evaluated, server, now)


async def settle(payment: Settlement, *, server: Server, now: datetime) -> PurchaseView:
    """Record the held order as a purchase: take its points and coupon, give what it earns. Again is the same purchase.

    Raises:
        CheckoutUnknown, CheckoutOver, TendersUneven, HoldOver, CouponHeld, and what `purchases.record` refuses
    """
    held = await _find(payment.source, payment.number, lock=" FOR UPDATE")
    if held is None:
        raise CheckoutUnknown
    done = await by_key(payment.source, payment.number)
    if held.status == "settled" and done is not None:
        return replace(done, replayed=True)
    if held.status != "held":
        raise CheckoutOver(status=held.status)
    _check_tenders(held, payment.tenders)
    await _take_coupon(held, server, now)
    sale = _sale(held, payment, server, await _conditional_discount(held, now))
    recorded = await purchases.record_one(sale, principal=server, now=now)
    ensure(await db.fetch_value(_END, held.id, "settled") == held.id, "the row was locked")
    return recorded


async def void(source: str, number: str, *, server: Server, now: datetime) -> HeldOrder:
    """Give the order up: coupon and points are free again. Again changes nothing.

    Raises:
        CheckoutUnknown, CheckoutOver
    """
    held = await _find(source, number, lock=" FOR UPDATE")
    if held is None:
        raise CheckoutUnknown
    access.authorize(server, Action.PURCHASE_RECORD, Resource(store_id=held.store_id, member_id=held.member_id))
    if held.status == "settled":
        raise CheckoutOver(status=held.status)
    if held.status == "held":
        await _release(held, "voided", now)
    return replace(held, status="voided")


async def read(source: str, number: str) -> HeldOrder:
    """The order as it stands.

    Raises:
        CheckoutUnknown
    """
    held = await _find(source, number)
    if held is None:
        raise CheckoutUnknown
    return held


def _refusal(asked: Asked) -> Forbidden | None:
    resource = Resource(store_id=asked.server.store_id, member_id=asked.order.member_id)
    try:
        access.authorize(asked.server, Action.PURCHASE_RECORD, resource)
    except Forbidden as refusal:
        return refusal
    return None


async def _evaluated(asked: Sequence[Asked], now: datetime) -> list[Evaluated]:
    terms = (await program.in_force(now)).terms
    orders = [one.order for one in asked]
    customers = await read_customers(orders, now=now)
    made = [
        rules.price(one.order.lines, customer, one.order.wish, store_id=one.server.store_id, terms=terms, now=now)
        for one, customer in zip(asked, customers, strict=True)
    ]
    places = [
        Place(one.server.store_id, customer.multiplier_percent) for one, customer in zip(asked, customers, strict=True)
    ]
    shown = await with_earnings(list(zip(made, orders, places, strict=True)), now=now)
    # What it earns may change with every other purchase; it is told, and no part of what a hold names.
    return [
        Evaluated(price, rules.fingerprint(order.member_id, order.lines, price))
        for price, order in zip(shown, orders, strict=True)
    ]


async def _find(source: str, number: str, *, lock: str = "") -> HeldOrder | None:
    row = await db.fetch_one(_FIND + lock, source, number)
    return None if row is None else _view(row)


def _view(row: db.Row) -> HeldOrder:
    return HeldOrder(
        number=row["order"],
        status=row["status"],
        price=orjson.loads(row["price"]),
        price_hash=row["price_hash"],
        expires_at=row["expires_at"],
        member_id=row["member_id"],
        store_id=row["store_id"],
        id=row["id"],
        attempt=row["attempt"],
        source=row["source"],
    )


async def _reserve(order: Order, evaluated: Evaluated, server: Server, now: datetime) -> HeldOrder:
    made, ends = evaluated.price, now + HOLDS_FOR
    document = {**made.document(), "order_lines": [line.model_dump(mode="json") for line in order.lines]}
    row = await db.fetch_one(
        _WRITE,
        order.source,
        order.number,
        order.member_id,
        server.store_id,
        evaluated.price_hash,
        orjson.dumps(document).decode(),
        ends,
        now,
    )
    if row is None:
        # Another request held the same order at this very moment.
        raise CheckoutOver(status="held")
    held = _view(row)
    if made.coupon_id is not None and not await db.execute(_LOCK_COUPON, made.coupon_id, held.id, ends, now):
        raise CouponHeld
    if made.points:
        await ledger.post_one(_points_hold(held, made.points, now), now=now)
    return held


def _points_hold(held: HeldOrder, points: int, now: datetime) -> Hold:
    return Hold(
        member_id=held.member_id,
        asset=Asset.POINTS,
        amount=points,
        key=held.hold_key,
        kind="checkout_hold",
        occurred_at=now,
        expires_at=held.expires_at,
        reason={"order": held.number},
    )


async def _release(held: HeldOrder, status: Status, now: datetime) -> None:
    await db.execute(_END, held.id, status)
    await db.execute("DELETE FROM coupon_lock WHERE checkout_id = $1", held.id)
    if held.price["points"]:
        free = Void(
            member_id=held.member_id,
            asset=Asset.POINTS,
            hold_key=held.hold_key,
            key=f"{held.hold_key}:void",
            occurred_at=now,
        )
        (outcome,) = await ledger.post([free], now=now)
        ensure(not isinstance(outcome, HoldUnknown), "what is released was held")


def _check_tenders(held: HeldOrder, tenders: Mapping[str, int]) -> None:
    due, points = held.price["due_fen"], held.price["points_fen"]
    given = dict(tenders) or {"other": due - points, POINTS: points}
    if sum(given.values()) != due or given.get(POINTS, 0) != points:
        raise TendersUneven(due_fen=due, points_fen=points)


async def _take_coupon(held: HeldOrder, server: Server, now: datetime) -> None:
    coupon_id = held.price["coupon_id"]
    if coupon_id is None:
        return
    if not await db.execute(_LOCK_COUPON, coupon_id, held.id, max(held.expires_at, now + HOLDS_FOR), now):
        raise CouponHeld
    till = Till(
        principal=server,
        store_id=held.store_id or 0,
        key=held.number,
        order_fen=held.price["list_fen"] - held.price["member_off_fen"],
        action=Action.PURCHASE_RECORD,
    )
    await redemptions.redeem(coupon_id, till, member_id=held.member_id, now=now)


async def _conditional_discount(held: HeldOrder, now: datetime) -> Discount | None:
    """The coupon as a discount that a partial return may lose (满减): what is kept must reach its minimum alone."""
    coupon = None if held.price["coupon_id"] is None else await coupons.find(held.price["coupon_id"], at=now)
    if coupon is None or not isinstance(coupon.worth, AmountOff) or not coupon.min_spend_fen:
        return None
    off_fen = held.price["coupon_off_fen"]
    return Discount(code=coupon.template_code, off_fen=off_fen, min_spend_fen=coupon.min_spend_fen)


def _sale(held: HeldOrder, payment: Settlement, server: Server, discount: Discount | None) -> NewPurchase:
    price, tenders = held.price, {kind: fen for kind, fen in payment.tenders.items() if fen}
    if not tenders and price["points_fen"]:
        tenders = {POINTS: price["points_fen"], "other": price["due_fen"] - price["points_fen"]}
    return NewPurchase(
        source=held.source,
        external_id=held.number,
        member_id=held.member_id,
        amount_fen=price["due_fen"],
        occurred_at=payment.occurred_at,
        store_id=server.store_id,
        receipt=Receipt(
            _paid_lines(price, before_coupon=discount is not None),
            {kind: fen for kind, fen in tenders.items() if fen} or None,
            () if discount is None else (discount,),
        ),
        points_hold=held.hold_key if price["points"] else None,
    )


def _paid_lines(price: Mapping[str, Any], *, before_coupon: bool) -> tuple[Line, ...]:
    """The lines that were bought, at what each came to. `before_coupon`: beside it stands what each would have cost
    without the coupon, by which a partial return judges it again; otherwise the list price."""
    priced: Mapping[int, Mapping[str, int]] = {line["no"]: line for line in price["lines"]}
    lines = [Line.model_validate(line) for line in price["order_lines"]]
    return tuple(
        line.model_copy(
            update={
                "list_fen": line.amount_fen - (priced[line.no]["member_off_fen"] if before_coupon else 0),
                "amount_fen": _due_fen(priced[line.no]),
            }
        )
        for line in lines
        if line.no in priced
    )


def _due_fen(line: Mapping[str, int]) -> int:
    return line["list_fen"] - line["member_off_fen"] - line["coupon_off_fen"]
