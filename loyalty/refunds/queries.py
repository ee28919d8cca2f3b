"""Reading refunds."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db

COLUMNS: Final = (
    "id, purchase_id, member_id, amount_fen, points_taken, points_forgiven, growth_taken, occurred_at, recorded_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """A recorded refund. `points_taken` left the member's balance; `points_forgiven` was spent already."""

    id: int
    purchase_id: int
    member_id: int
    amount_fen: int
    points_taken: int
    points_forgiven: int
    growth_taken: int
    occurred_at: datetime
    recorded_at: datetime
    replayed: bool = False


def view_of(row: db.Row, *, replayed: bool = False) -> RefundView:
    """The view of a row that has all of `COLUMNS`."""
    return RefundView(**{name: row[name] for name in COLUMNS.split(", ")}, replayed=replayed)


async def refunds_of(purchase_id: int) -> list[RefundView]:
    """The refunds of a purchase, in the order recorded."""
    rows = await db.fetch(f"SELECT {COLUMNS} FROM refund WHERE purchase_id = $1 ORDER BY id", purchase_id)
    return [view_of(row) for row in rows]
