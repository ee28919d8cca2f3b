"""Reading the mall: items with what is left, orders with their history."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.ledger.operations import Asset
from loyalty.mall.rules import Delivery, NewItem, State

PAGE_MAX: Final = 100
# An order that was not paid in time gives its stock back by time alone.
ITEM: Final = """
SELECT i.id, i.code, i.version, i.document, i.status, i.stock, i.updated_by, i.updated_at,
       i.stock - i.taken + (SELECT count(*) FROM mall_order o WHERE o.item_id = i.id
                            AND o.state = 'awaiting_payment' AND o.pay_by <= $1) AS left
FROM mall_item i
"""
ORDER: Final = """
SELECT o.id, o.member_id, o.account_id, o.item_id, o.delivery, o.asset, o.points, o.money_fen, o.holds_stock, o.pay_by,
       o.payment_ref, o.coupon_id, o.tracking, o.store_id, o.at, o.updated_at, v.document,
       CASE WHEN o.state = 'awaiting_payment' AND o.pay_by <= $1 THEN 'cancelled' ELSE o.state END AS state
FROM mall_order o JOIN mall_item_version v ON v.item_id = o.item_id AND v.version = o.item_version
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemView:
    """An item and how many are left of it."""

    id: int
    version: int
    item: NewItem
    status: str
    stock: int
    left: int
    updated_by: str
    updated_at: datetime

    @property
    def is_low(self) -> bool:
        """Whether staff should know how little is left."""
        return self.status == "on" and self.left <= self.item.low_stock


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderView:
    """An order as it stands at the moment it was read for, under the item's version that it was made under."""

    id: int
    member_id: int
    account_id: int
    item_id: int
    item: NewItem
    state: State
    delivery: Delivery
    asset: Asset
    points: int
    money_fen: int
    holds_stock: bool
    pay_by: datetime | None
    payment_ref: str | None
    coupon_id: int | None
    tracking: str | None
    store_id: int | None
    at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Step:
    """When an order came to `state`, by whom, and why where somebody said so."""

    state: State
    actor: str
    reason: str
    at: datetime


def item_of(row: db.Row) -> ItemView:
    """The view of a row of `ITEM`."""
    return ItemView(
        id=row["id"],
        version=row["version"],
        item=NewItem.model_validate_json(row["document"]),
        status=row["status"],
        stock=row["stock"],
        left=row["left"],
        updated_by=row["updated_by"],
        updated_at=row["updated_at"],
    )


def order_view(row: db.Row) -> OrderView:
    """The view of a row of `ORDER`."""
    plain = {name: row[name] for name in row.keys() if name not in {"document", "state", "asset"}}  # noqa: SIM118 - a record iterates over its values
    return OrderView(
        **plain,
        item=NewItem.model_validate_json(row["document"]),
        state=State(row["state"]),
        asset=Asset(row["asset"]),
    )


async def find(code: str, *, at: datetime) -> ItemView | None:
    """One item, whatever its state."""
    row = await db.fetch_one(f"{ITEM} WHERE i.code = $2", at, code)
    return None if row is None else item_of(row)


async def on_offer(*, at: datetime) -> list[ItemView]:
    """The items that can be exchanged now or later, sold out or not, the cheapest first."""
    rows = await db.fetch(f"{ITEM} WHERE i.status = 'on' ORDER BY i.id LIMIT $2", at, PAGE_MAX)
    found = [item_of(row) for row in rows]
    open_ = [view for view in found if view.item.ends_at is None or view.item.ends_at > at]
    return sorted(open_, key=lambda view: (view.item.points, view.id))


async def every(*, at: datetime) -> list[ItemView]:
    """All items, newest first; for the console."""
    return [item_of(row) for row in await db.fetch(f"{ITEM} ORDER BY i.id DESC LIMIT $2", at, PAGE_MAX)]


async def mine(member_id: int, *, at: datetime, before_id: int | None = None, limit: int = 20) -> list[OrderView]:
    """A member's orders, newest first."""
    rows = await db.fetch(
        f"{ORDER} WHERE o.member_id = $2 AND ($3::bigint IS NULL OR o.id < $3) ORDER BY o.id DESC LIMIT $4",
        at,
        member_id,
        before_id,
        max(1, min(limit, PAGE_MAX)),
    )
    return [order_view(row) for row in rows]


async def order(order_id: int, *, at: datetime) -> OrderView | None:
    """One order."""
    row = await db.fetch_one(f"{ORDER} WHERE o.id = $2", at, order_id)
    return None if row is None else order_view(row)


async def waiting(*, at: datetime, limit: int = 20) -> list[OrderView]:
    """What staff have to hand over, send, or be paid for, the oldest first."""
    rows = await db.fetch(
        f"{ORDER} WHERE o.state IN ('to_ship', 'to_collect') OR (o.state = 'awaiting_payment' AND o.pay_by > $1)"
        " ORDER BY o.id LIMIT $2",
        at,
        limit,
    )
    return [order_view(row) for row in rows]


async def orders(
    *, at: datetime, state: State | None = None, before_id: int | None = None, limit: int = PAGE_MAX
) -> list[OrderView]:
    """All orders, newest first; those in `state` where given."""
    rows = await db.fetch(
        f"SELECT * FROM ({ORDER}) AS o WHERE ($2::text IS NULL OR o.state = $2)"
        " AND ($3::bigint IS NULL OR o.id < $3) ORDER BY o.id DESC LIMIT $4",
        at,
        state,
        before_id,
        limit,
    )
    return [order_view(row) for row in rows]


async def steps(order_ids: Sequence[int]) -> list[Step]:
    """The history of orders."""
    rows = await db.fetch(
        "SELECT state, actor, reason, at FROM mall_order_step WHERE order_id = ANY($1) ORDER BY id", list(order_ids)
    )
    return [Step(State(row["state"]), row["actor"], row["reason"], row["at"]) for row in rows]
