"""Exchanging points: the item's row is its lock, so stock and limits are exact; points are spent, or reserved while
money is awaited, in the same unit of work.

Locks are taken in one order everywhere: item, order, wallets, coupon template. CHECK and UNIQUE stand behind.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import db, vault
from loyalty.errors import Conflict, Invalid, Refusal, ensure
from loyalty.events import MallOrdered, MallStockWarned
from loyalty.ledger.service import Capture, Hold, Operation, Posted, Spend
from loyalty.mall import giving, orders, queries, rules
from loyalty.mall.items import ItemUnknown
from loyalty.mall.orders import OrderOver, locked
from loyalty.mall.queries import ItemView, OrderView
from loyalty.mall.rules import Delivery, State
from loyalty.members import service as members
from loyalty.program import queries as program
from loyalty.spine import service as spine
from loyalty.tiers import queries as standing
from loyalty.tiers import service as tiers

ADDRESS_LENGTH_MAX: Final = 300

_KNOWN: Final = "SELECT id, item_id FROM mall_order WHERE account_id = $1 AND key = $2"
_HAD: Final = """
SELECT count(*) AS total, count(*) FILTER (WHERE at >= $3) AS recent FROM mall_order
WHERE item_id = $1 AND member_id = $2 AND state NOT IN ('cancelled', 'refunded')
"""
_TAKE: Final = "UPDATE mall_item SET taken = taken + 1 WHERE id = $1"
_ORDER: Final = """
INSERT INTO mall_order (member_id, account_id, key, item_id, item_version, delivery, state, asset, points, money_fen,
                        holds_stock, pay_by, at, updated_at)
VALUES ($1, $1, $2, $3, $4, $5, $6, $7, $8, $9, true, $10, $11, $11) RETURNING id
"""


class SoldOut(Conflict):
    """None is left."""

    code = "mall.sold_out"


class NotOpen(Conflict):
    """The item can be exchanged from `starts_at` until before `ends_at`."""

    code = "mall.not_open"


class TierTooLow(Conflict):
    """Only members of `tiers` may exchange it."""

    code = "mall.tier_too_low"


class LimitReached(Conflict):
    """The member has exchanged as many as one may: `limit`."""

    code = "mall.limit_reached"


class PeriodLimitReached(Conflict):
    """The member has exchanged as many as one may in a `period`: `limit`."""

    code = "mall.period_limit_reached"


class DeliveryInvalid(Invalid):
    """It does not come that way, or the address is missing: `field`."""

    code = "mall.delivery_invalid"


class KeyReused(Conflict):
    """The key exchanged another item before."""

    code = "mall.key_reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A member wants one `item`. The same `key` gets the same order again. `delivery` None is the item's first;
    sending needs an `address`, written as people write them."""

    member_id: int
    item: str
    key: str
    delivery: Delivery | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The money part was paid: `reference` names the payment wherever it happened, `by` who says so."""

    reference: str
    by: str


async def exchange(asked: Exchange, *, now: datetime) -> OrderView:
    """Take one of the item for the member's points.

    Raises:
        ItemUnknown, NotOpen, TierTooLow, SoldOut, LimitReached, PeriodLimitReached, DeliveryInvalid, NotEnough,
        KeyReused, and what claiming a coupon refuses
    """
    found = await _locked_item(asked.item, now)
    if (known := await db.fetch_one(_KNOWN, asked.member_id, asked.key)) is not None:
        if known["item_id"] != found.id:
            raise KeyReused
        return await orders.read(known["id"], now)
    held = (await standing.tiers_of([asked.member_id], at=now)).get(asked.member_id, frozenset())
    await _check(found, asked, held, now)
    order = await _write(found, asked, found.item.price(held), now)
    await _pay_points(order, now)
    if order.state is not State.AWAITING_PAYMENT:
        await giving.give(order, now=now)
    await _tell(found, order, now)
    return await orders.read(order.id, now)


async def paid(order_id: int, payment: Payment, *, now: datetime) -> OrderView:
    """The money of an order came: its reserved points are spent and it is given or waits to be. The same payment
    again is the same order.

    Raises:
        OrderUnknown, OrderOver, HoldOver, and what claiming a coupon refuses
    """
    order = await locked(order_id, now)
    if order.payment_ref == payment.reference:
        return order
    if order.state is not State.AWAITING_PAYMENT:
        raise OrderOver(state=order.state.value)
    capture = Capture(
        member_id=order.member_id,
        asset=order.asset,
        hold_key=rules.hold_key(order.id),
        key=rules.spend_key(order.id, order.money_fen),
        kind="mall",
        occurred_at=now,
        reason=_reason(order),
    )
    await _booked(capture, now)
    await db.execute("UPDATE mall_order SET payment_ref = $2 WHERE id = $1", order.id, payment.reference)
    await orders.move(order, rules.fulfilment(order.delivery), by=payment.by, now=now)
    await giving.give(order, now=now)
    return await orders.read(order.id, now)


async def _locked_item(code: str, now: datetime) -> ItemView:
    """The item, nobody else's until the unit of work ends; orders that were not paid in time have let go of it."""
    item_id = await db.fetch_value("SELECT id FROM mall_item WHERE code = $1 FOR UPDATE", code)
    if item_id is None:
        raise ItemUnknown
    await orders.lapse(item_id, now=now)
    found = await queries.find(code, at=now)
    if found is None or found.status != "on":
        raise ItemUnknown
    return found


async def _check(found: ItemView, asked: Exchange, held: frozenset[str], now: datetime) -> None:
    item = found.item
    if not item.is_open(now):
        raise NotOpen(starts_at=item.starts_at or now, ends_at=item.ends_at or now)
    if not item.may(held):
        raise TierTooLow(tiers=item.tiers)
    if found.left <= 0:
        raise SoldOut
    zone = (await program.in_force(now)).terms.calendar
    had = await db.fetch_one(_HAD, found.id, asked.member_id, rules.period_start(item.limit, now, zone))
    ensure(had is not None, "counting always answers")
    if had is not None and item.limit.total is not None and had["total"] >= item.limit.total:
        raise LimitReached(limit=item.limit.total)
    if had is not None and item.limit.per_period is not None and had["recent"] >= item.limit.per_period:
        raise PeriodLimitReached(limit=item.limit.per_period, period=item.limit.period)
    if (asked.delivery or item.deliveries()[0]) not in item.deliveries():
        raise DeliveryInvalid(field="delivery")


async def _write(found: ItemView, asked: Exchange, points: int, now: datetime) -> OrderView:
    item = found.item
    delivery = asked.delivery or item.deliveries()[0]
    address = (asked.address or "").strip()
    if delivery == "ship" and not 0 < len(address) <= ADDRESS_LENGTH_MAX:
        raise DeliveryInvalid(field="address")
    state = State.AWAITING_PAYMENT if item.money_fen else rules.fulfilment(delivery)
    pay_by = now + timedelta(minutes=item.pay_minutes) if item.money_fen else None
    await db.execute(_TAKE, found.id)
    values = (asked.member_id, asked.key, found.id, found.version, delivery, state, item.asset, points, item.money_fen)
    order_id = await db.fetch_value(_ORDER, *values, pay_by, now)
    if delivery == "ship":
        await _seal_address(order_id, asked.member_id, address)
    await orders.note(order_id, state, by=f"member:{asked.member_id}", now=now)
    return await orders.read(order_id, now)


async def _seal_address(order_id: int, member_id: int, address: str) -> None:
    key = await members.data_key(member_id)
    sealed = vault.seal(address.encode(), context=orders.address_context(order_id), key=key)
    await db.execute("UPDATE mall_order SET address_sealed = $2 WHERE id = $1", order_id, sealed)


async def _pay_points(order: OrderView, now: datetime) -> None:
    operation: Operation
    if order.pay_by is None:
        operation = Spend(
            member_id=order.member_id,
            asset=order.asset,
            amount=order.points,
            key=rules.hold_key(order.id),
            kind="mall",
            occurred_at=now,
            reason=_reason(order),
        )
    else:
        operation = Hold(
            member_id=order.member_id,
            asset=order.asset,
            amount=order.points,
            key=rules.hold_key(order.id),
            kind="mall_hold",
            occurred_at=now,
            expires_at=order.pay_by,
            reason=_reason(order),
        )
    await _booked(operation, now)


async def _booked(operation: Operation, now: datetime) -> None:
    (outcome,) = await tiers.post([operation], now=now)
    if isinstance(outcome, Refusal):
        raise outcome
    ensure(isinstance(outcome, Posted) and not outcome.replayed, "an order is paid once")


def _reason(order: OrderView) -> dict[str, object]:
    return {"mall_order": order.id, "item": order.item.code}


async def _tell(found: ItemView, order: OrderView, now: datetime) -> None:
    ordered = MallOrdered(
        member_id=order.member_id, at=now, order_id=order.id, item=order.item.code, points=order.points
    )
    await spine.record(ordered, now=now)
    if found.left - 1 in {found.item.low_stock, 0}:
        low = MallStockWarned(member_id=None, at=now, item=order.item.code, left=found.left - 1)
        await spine.record(low, now=now)
