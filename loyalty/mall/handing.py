"""What staff do with orders: take the money, hand over against a code, send with a tracking number."""

from datetime import datetime
from typing import Final

from loyalty import access, db, vault
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Invalid
from loyalty.mall import orders, rules, service
from loyalty.mall.orders import OrderOver, OrderUnknown, locked
from loyalty.mall.queries import OrderView
from loyalty.mall.rules import State
from loyalty.mall.service import Payment
from loyalty.members import service as members

TRACKING_LENGTH_MAX: Final = 64


class TrackingInvalid(Invalid):
    """The tracking number is missing or too long."""

    code = "mall.tracking_invalid"


async def collect(typed: str, *, principal: StaffPrincipal, now: datetime) -> OrderView:
    """Hand an order over against its collection code, once.

    Raises:
        CodeMistyped, OrderUnknown, OrderOver, Forbidden, OwnMembership
    """
    order = await _mine_to_serve(rules.order_of(typed), principal, now)
    if order.state is not State.TO_COLLECT:
        raise OrderOver(state=order.state.value)
    await orders.move(order, State.COLLECTED, by=f"staff:{principal.staff_id}", now=now)
    await db.execute("UPDATE mall_order SET store_id = $2 WHERE id = $1", order.id, principal.store_id)
    await _audit(principal, "mall.collect", order, now)
    return await orders.read(order.id, now)


async def ship(order_id: int, tracking: str, *, principal: StaffPrincipal, now: datetime) -> OrderView:
    """The parcel is on its way under `tracking`.

    Raises:
        OrderUnknown, OrderOver, TrackingInvalid, Forbidden, OwnMembership
    """
    number = tracking.strip()
    if not 0 < len(number) <= TRACKING_LENGTH_MAX:
        raise TrackingInvalid
    order = await _mine_to_serve(order_id, principal, now)
    if order.state is not State.TO_SHIP:
        raise OrderOver(state=order.state.value)
    await orders.move(order, State.SHIPPED, by=f"staff:{principal.staff_id}", now=now)
    await db.execute("UPDATE mall_order SET tracking = $2 WHERE id = $1", order.id, number)
    await _audit(principal, "mall.ship", order, now)
    return await orders.read(order.id, now)


async def arrived(order_id: int, *, member_id: int, now: datetime) -> OrderView:
    """The member confirms that the parcel came. Again changes nothing.

    Raises:
        OrderUnknown, OrderOver
    """
    order = await locked(order_id, now, member_id=member_id)
    if order.state is State.DELIVERED:
        return order
    if order.state is not State.SHIPPED:
        raise OrderOver(state=order.state.value)
    await orders.move(order, State.DELIVERED, by=f"member:{member_id}", now=now)
    return await orders.read(order.id, now)


async def take_money(order_id: int, reference: str, *, principal: StaffPrincipal, now: datetime) -> OrderView:
    """A clerk took the money of an order at the till; `reference` is the till's receipt.

    Raises:
        OrderUnknown, OrderOver, Forbidden, OwnMembership, and as `service.paid`
    """
    await _mine_to_serve(order_id, principal, now)
    payment = Payment(reference=f"till:{principal.store_id}:{reference}", by=f"staff:{principal.staff_id}")
    done = await service.paid(order_id, payment, now=now)
    await _audit(principal, "mall.paid", done, now)
    return done


async def address(order_id: int, *, principal: StaffPrincipal, now: datetime) -> str:
    """Where an order is to be sent, for whoever sends it; every look is on record.

    Raises:
        OrderUnknown, OrderOver, MemberGone, Forbidden, OwnMembership
    """
    order = await _mine_to_serve(order_id, principal, now)
    if order.state is not State.TO_SHIP:
        raise OrderOver(state=order.state.value)
    sealed = await db.fetch_value("SELECT address_sealed FROM mall_order WHERE id = $1", order.id)
    if sealed is None:
        raise OrderUnknown
    key = await members.data_key(order.account_id)
    await _audit(principal, "mall.address", order, now)
    return vault.unseal(sealed, context=orders.address_context(order.id), key=key).decode()


async def _mine_to_serve(order_id: int, principal: StaffPrincipal, now: datetime) -> OrderView:
    access.authorize(principal, Action.MALL_FULFIL, Resource(store_id=principal.store_id))
    order = await locked(order_id, now)
    access.authorize(principal, Action.MALL_FULFIL, Resource(store_id=principal.store_id, member_id=order.member_id))
    return order


async def _audit(principal: StaffPrincipal, action: str, order: OrderView, now: datetime) -> None:
    deed = audit.Deed(
        principal=principal,
        action=action,
        member_id=order.member_id,
        store_id=principal.store_id,
        details={"order_id": order.id},
    )
    await audit.record(deed, now=now)
