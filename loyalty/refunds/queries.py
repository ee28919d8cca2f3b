"""Reading refunds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from loyalty import db
from loyalty.refunds.rules import Earlier

COLUMNS: Final = (
    "id, purchase_id, member_id, amount_fen, money_fen, stored_fen, points_returned, method, lines, points_taken,"
    " points_forgiven, points_owed, growth_taken, occurred_at, recorded_at"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundView:
    """A recorded return of goods worth `amount_fen`: `money_fen` and `points_returned` were given back, `stored_fen` of
    the money to stored value.

    Of what had been earned, `points_taken` left the member, `points_owed` is owed and `points_forgiven` was out of
    reach. `lines` counts returned pieces by line number.
    """

    id: int
    purchase_id: int
    member_id: int
    amount_fen: int
    money_fen: int
    stored_fen: int
    points_returned: int
    method: str
    lines: Mapping[int, int]
    points_taken: int
    points_forgiven: int
    points_owed: int
    growth_taken: int
    occurred_at: datetime
    recorded_at: datetime
    replayed: bool = False


def view_of(row: db.Row, *, replayed: bool = False) -> RefundView:
    """The view of a row that has all of `COLUMNS`."""
    plain = {name: row[name] for name in COLUMNS.split(", ") if name != "lines"}
    lines = {int(no): pieces for no, pieces in orjson.loads(row["lines"]).items()}
    return RefundView(**plain, lines=lines, replayed=replayed)


async def refunds_of(purchase_id: int) -> list[RefundView]:
    """The refunds of a purchase, in the order recorded."""
    rows = await db.fetch(f"SELECT {COLUMNS} FROM refund WHERE purchase_id = $1 ORDER BY id", purchase_id)
    return [view_of(row) for row in rows]


def together(refunds: Sequence[RefundView]) -> Earlier:
    """What several returns of one purchase came to; what was to be taken back counts, however much was reached."""
    lines: dict[int, int] = {}
    for refund in refunds:
        for no, pieces in refund.lines.items():
            lines[no] = lines.get(no, 0) + pieces
    return Earlier(
        amount_fen=sum(refund.amount_fen for refund in refunds),
        money_fen=sum(refund.money_fen for refund in refunds),
        points_returned=sum(refund.points_returned for refund in refunds),
        points_taken=sum(refund.points_taken + refund.points_owed + refund.points_forgiven for refund in refunds),
        growth_taken=sum(refund.growth_taken for refund in refunds),
        stored_fen=sum(refund.stored_fen for refund in refunds),
        lines=lines,
    )
