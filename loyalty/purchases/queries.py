"""Reading purchases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.purchases.receipt import POINTS, Discount, Line, Receipt

PAGE_MAX: Final = 100
COLUMNS: Final = (
    "id, member_id, source, external_id, store_id, staff_id, amount_fen, refunded_fen, currency, lines, points,"
    " growth, terms_version, occurred_at, recorded_at, tenders, discounts, points_spent, points_returned,"
    " multiplier_percent"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchaseView:
    """A recorded purchase; `points` and `growth` are what it earned, before any refund.

    `replayed` tells that this request recorded nothing because the purchase was known.
    """

    id: int
    member_id: int
    source: str
    external_id: str
    store_id: int | None
    staff_id: int | None
    amount_fen: int
    refunded_fen: int
    currency: str
    lines: Sequence[Mapping[str, Any]]
    points: int
    growth: int
    terms_version: int
    occurred_at: datetime
    recorded_at: datetime
    tenders: Mapping[str, int]
    discounts: Sequence[Mapping[str, Any]]
    points_spent: int
    points_returned: int
    multiplier_percent: int
    replayed: bool = False

    @property
    def points_fen(self) -> int:
        """How much of the price was paid with points."""
        return self.tenders.get(POINTS, 0)

    @property
    def money_fen(self) -> int:
        """How much of the price was paid with money."""
        return self.amount_fen - self.points_fen

    @property
    def receipt(self) -> Receipt:
        """Lines, tenders and discounts; lines of before they were typed are left out."""
        typed = [line for line in self.lines if "no" in line and "amount_fen" in line]
        return Receipt(
            tuple(Line.model_validate(line) for line in typed),
            self.tenders or None,
            tuple(Discount.model_validate(one) for one in self.discounts),
        )


def view_of(row: db.Row, *, replayed: bool = False) -> PurchaseView:
    """The view of a row that has all of `COLUMNS`."""
    values = {key: value for key, value in dict(row).items() if key != "fingerprint"}
    read = {name: orjson.loads(row[name]) for name in ("lines", "tenders", "discounts")}
    return PurchaseView(**{**values, **read}, replayed=replayed)


async def recent(member_id: int, *, before_id: int | None = None, limit: int = 20) -> list[PurchaseView]:
    """A member's purchases, last recorded first; page on with the last one's id."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM purchase WHERE member_id = $1 AND ($2::bigint IS NULL OR id < $2)"
        " ORDER BY id DESC LIMIT $3",
        member_id,
        before_id,
        max(1, min(limit, PAGE_MAX)),
    )
    return [view_of(row) for row in rows]


async def since(member_id: int, *, moment: datetime, limit: int = PAGE_MAX) -> list[PurchaseView]:
    """A member's purchases that happened at `moment` or later, latest first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM purchase WHERE member_id = $1 AND occurred_at >= $2"
        " ORDER BY occurred_at DESC, id DESC LIMIT $3",
        member_id,
        moment,
        min(limit, PAGE_MAX),
    )
    return [view_of(row) for row in rows]


async def by_id(purchase_id: int) -> PurchaseView | None:
    """One purchase."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM purchase WHERE id = $1", purchase_id)
    return None if row is None else view_of(row)


async def by_receipt(member_id: int, external_id: str) -> PurchaseView | None:
    """The member's latest purchase that any source knows by this number."""
    row = await db.fetch_one(
        f"SELECT {COLUMNS} FROM purchase WHERE member_id = $1 AND external_id = $2 ORDER BY id DESC LIMIT 1",
        member_id,
        external_id,
    )
    return None if row is None else view_of(row)


async def by_key(source: str, external_id: str) -> PurchaseView | None:
    """The purchase that a till or shop knows by its own number."""
    row = await db.fetch_one(
        f"SELECT {COLUMNS} FROM purchase WHERE source = $1 AND external_id = $2", source, external_id
    )
    return None if row is None else view_of(row)
