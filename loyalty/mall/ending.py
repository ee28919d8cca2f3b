"""Giving an exchange up: points go back to their own lots, stock comes back, coupons are void."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, ensure
from loyalty.events import MallOrderEnded
from loyalty.ledger.service import Grant, Operation, Posted, Reverse, Void
from loyalty.mall import giving, orders, rules
from loyalty.mall.orders import OrderOver, locked
from loyalty.mall.queries import OrderView
from loyalty.mall.rules import State
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

OPEN: Final = frozenset({State.AWAITING_PAYMENT, State.TO_SHIP, State.TO_COLLECT})
DONE: Final = frozenset({State.SHIPPED, State.DELIVERED, State.COLLECTED})

_OPEN_OF: Final = """
SELECT id FROM mall_order WHERE member_id = ANY($1) AND state IN ('awaiting_payment', 'to_ship', 'to_collect')
ORDER BY item_id, id
"""


class MoneyWasPaid(Conflict):
    """Money was paid for the order: staff give it back together with the points."""

    code = "mall.money_was_paid"


class RefundInvalid(Invalid):
    """The reason is missing: `field`."""

    code = "mall.refund_invalid"


async def cancel(order_id: int, *, member_id: int, now: datetime) -> OrderView:
    """A member gives up what was not sent or fetched yet. Again changes nothing.

    Raises:
        OrderUnknown, OrderOver, MoneyWasPaid
    """
    order = await locked(order_id, now, member_id=member_id)
    if order.state is State.CANCELLED:
        return order
    if order.state not in OPEN:
        raise OrderOver(state=order.state.value)
    if order.payment_ref is not None:
        raise MoneyWasPaid(money_fen=order.money_fen)
    return await _end(order, State.CANCELLED, by=f"member:{member_id}", goods_back=True, now=now)


async def refund(
    order_id: int, *, principal: StaffPrincipal, reason: str, goods_back: bool = True, now: datetime
) -> OrderView:
    """Staff give the points back; money that was paid they return where it was paid. `goods_back` says that what was
    handed over is in stock again. Again changes nothing.

    Raises:
        OrderUnknown, OrderOver, CouponUsed, RefundInvalid, Forbidden, OwnMembership
    """
    if not reason.strip():
        raise RefundInvalid(field="reason")
    order = await locked(order_id, now)
    access.authorize(principal, Action.MALL_REFUND, Resource(store_id=order.store_id, member_id=order.member_id))
    if order.state is State.REFUNDED:
        return order
    if order.state not in OPEN | DONE:
        raise OrderOver(state=order.state.value)
    back = goods_back or order.state in OPEN
    by = f"staff:{principal.staff_id}"
    to = State.CANCELLED if order.state is State.AWAITING_PAYMENT else State.REFUNDED
    ended = await _end(order, to, by=by, reason=reason.strip(), goods_back=back, now=now)
    deed = audit.Deed(
        principal=principal,
        action="mall.refund",
        member_id=order.member_id,
        store_id=order.store_id or principal.store_id,
        reason=reason,
        details={"order_id": order.id, "points": order.points, "money_fen": order.money_fen, "goods_back": back},
    )
    await audit.record(deed, now=now)
    return ended


async def cancel_open_of(member_ids: Sequence[int], *, now: datetime) -> None:
    """Give up what closing members did not get yet, and forget where anything was to be sent."""
    for row in await db.fetch(_OPEN_OF, list(member_ids)):
        order = await locked(row["id"], now)
        if order.state in OPEN:
            await _end(order, State.CANCELLED, by="system:account_closed", goods_back=True, now=now)
    await db.execute("UPDATE mall_order SET address_sealed = NULL WHERE member_id = ANY($1)", list(member_ids))


async def _end(order: OrderView, to: State, *, by: str, goods_back: bool, now: datetime, reason: str = "") -> OrderView:
    await orders.move(order, to, by=by, now=now, reason=reason[:200])
    (outcome,) = await tiers.post([await _return(order, now)], now=now)
    ensure(isinstance(outcome, Posted) and not outcome.replayed, "an order that ends now gives its points back once")
    if await giving.take_back(order, now=now) and goods_back:
        await orders.release(order)
    ended = MallOrderEnded(
        member_id=order.member_id, at=now, order_id=order.id, item=order.item.code, state=to.value, points=order.points
    )
    await spine.record(ended, now=now)
    return await orders.read(order.id, now)


async def _return(order: OrderView, now: datetime) -> Operation:
    """How the points come back: a hold is given up, a spend is reversed; for a member into whom the one who paid was
    merged they come as a new lot, because the lots they came from are not there."""
    reason = {"mall_order": order.id, "item": order.item.code}
    key = f"mall:{order.id}:back"
    if order.state is State.AWAITING_PAYMENT:
        return Void(
            member_id=order.member_id,
            asset=order.asset,
            hold_key=rules.hold_key(order.id),
            key=key,
            occurred_at=now,
            reason=reason,
        )
    if order.member_id == order.account_id:
        return Reverse(
            member_id=order.member_id,
            asset=order.asset,
            key=key,
            reverses_key=rules.spend_key(order.id, order.money_fen),
            kind="mall_returned",
            occurred_at=now,
            reason=reason,
        )
    lasts = validity.of_points((await program.in_force(now)).terms, now)
    return Grant(
        member_id=order.member_id,
        asset=order.asset,
        amount=order.points,
        key=key,
        kind="mall_returned",
        occurred_at=now,
        reason=reason,
        expires_at=lasts.expires_at,
        idle=lasts.idle,
    )


__all__ = ["MoneyWasPaid", "OrderOver", "RefundInvalid", "cancel", "cancel_open_of", "refund"]
