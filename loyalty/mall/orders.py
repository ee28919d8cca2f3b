"""Orders and their steps: read under a lock, moved from state to state, lapsed when nobody paid."""

from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.errors import Conflict, NotFound, unreachable
from loyalty.mall import queries
from loyalty.mall.queries import OrderView
from loyalty.mall.rules import State

_MOVE: Final = """
WITH moved AS (UPDATE mall_order SET state = $3, updated_at = $4 WHERE id = $1 AND state = $2 RETURNING id)
INSERT INTO mall_order_step (order_id, state, actor, reason, at) SELECT id, $3, $5, $6, $4 FROM moved
"""
_NOTE: Final = "INSERT INTO mall_order_step (order_id, state, actor, reason, at) VALUES ($1, $2, $3, '', $4)"
# The ledger gave the points back at that very instant by itself.
_LAPSE: Final = """
WITH over AS (
    UPDATE mall_order SET state = 'cancelled', holds_stock = false, updated_at = pay_by
    WHERE item_id = $1 AND state = 'awaiting_payment' AND pay_by <= $2 RETURNING id, pay_by
), noted AS (
    INSERT INTO mall_order_step (order_id, state, actor, reason, at)
    SELECT id, 'cancelled', 'system:time', '', pay_by FROM over
)
UPDATE mall_item SET taken = taken - (SELECT count(*) FROM over) WHERE id = $1 AND EXISTS (SELECT 1 FROM over)
"""
_RELEASE: Final = """
WITH freed AS (UPDATE mall_order SET holds_stock = false WHERE id = $1 AND holds_stock RETURNING item_id)
UPDATE mall_item SET taken = taken - 1 WHERE id IN (SELECT item_id FROM freed)
"""


class OrderUnknown(NotFound):
    """No such order, or one of somebody else: both get the same answer."""

    code = "mall.order_unknown"


class OrderOver(Conflict):
    """The order is at `state`, from which this is not possible (any more)."""

    code = "mall.order_over"


def address_context(order_id: int) -> str:
    """What a sealed address is bound to."""
    return f"mall_order.address:{order_id}"


async def read(order_id: int, now: datetime) -> OrderView:
    """The order, which is there."""
    found = await queries.order(order_id, at=now)
    return unreachable("orders are never removed") if found is None else found


async def locked(order_id: int, now: datetime, *, member_id: int | None = None) -> OrderView:
    """The order and its item, nobody else's until the unit of work ends; of `member_id`, where given.

    Raises:
        OrderUnknown
    """
    item_id = await db.fetch_value(
        "SELECT item_id FROM mall_order WHERE id = $1 AND ($2::bigint IS NULL OR member_id = $2)", order_id, member_id
    )
    if item_id is None:
        raise OrderUnknown
    await db.execute("SELECT 1 FROM mall_item WHERE id = $1 FOR UPDATE", item_id)
    await lapse(item_id, now=now)
    return await read(order_id, now)


async def lapse(item_id: int, *, now: datetime) -> None:
    """Cancel the orders of a locked item that nobody paid in time; their stock is free."""
    await db.execute(_LAPSE, item_id, now)


async def move(order: OrderView, to: State, *, by: str, now: datetime, reason: str = "") -> None:
    """Take an order from the state in which it was read to another one.

    Raises:
        OrderOver: somebody was faster.
    """
    if not await db.execute(_MOVE, order.id, order.state, to, now, by, reason):
        raise OrderOver(state=order.state.value)


async def note(order_id: int, state: State, *, by: str, now: datetime) -> None:
    """The first step of an order."""
    await db.execute(_NOTE, order_id, state, by, now)


async def release(order: OrderView) -> None:
    """The order holds none of the stock any more."""
    await db.execute(_RELEASE, order.id)
