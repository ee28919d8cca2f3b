"""Reading coupon templates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson
from pydantic import TypeAdapter

from loyalty import db
from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, PercentOff, Worth

COLUMNS: Final = (
    "id, code, name, kind, value, min_spend_fen, stock, issued, per_member_limit, claimable, claim_from, claim_until,"
    " valid_days, valid_until, tiers, store_ids, status"
)
_WORTH: Final[TypeAdapter[AmountOff | PercentOff | Gift | Exchange]] = TypeAdapter(Worth)


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateView:
    """A coupon template; `stock` None is unlimited, `name` is by locale."""

    id: int
    code: str
    name: Mapping[str, str]
    worth: AmountOff | PercentOff | Gift | Exchange
    min_spend_fen: int
    stock: int | None
    issued: int
    per_member_limit: int
    claimable: bool
    claim_from: datetime
    claim_until: datetime | None
    valid_days: int | None
    valid_until: datetime | None
    tiers: tuple[str, ...]
    store_ids: tuple[int, ...]
    is_active: bool

    @property
    def left(self) -> int | None:
        """How many can still be issued; None when there is no limit."""
        return None if self.stock is None else self.stock - self.issued


def view_of(row: db.Row) -> TemplateView:
    """The view of a row that has all of `COLUMNS`."""
    plain = {
        name: row[name]
        for name in (
            "id",
            "code",
            "min_spend_fen",
            "stock",
            "issued",
            "per_member_limit",
            "claimable",
            "claim_from",
            "claim_until",
            "valid_days",
            "valid_until",
        )
    }
    return TemplateView(
        **plain,
        name=orjson.loads(row["name"]),
        worth=worth_of(row["kind"], row["value"]),
        tiers=tuple(orjson.loads(row["tiers"])),
        store_ids=tuple(orjson.loads(row["store_ids"])),
        is_active=row["status"] == "active",
    )


def worth_of(kind: str, value: str) -> AmountOff | PercentOff | Gift | Exchange:
    """What a coupon of `kind` with the stored JSON `value` is worth."""
    return _WORTH.validate_python({"kind": kind, **orjson.loads(value)})


async def templates(template_ids: Sequence[int]) -> dict[int, TemplateView]:
    """Templates by id; unknown ids are absent."""
    rows = await db.fetch(f"SELECT {COLUMNS} FROM coupon_template WHERE id = ANY($1)", list(template_ids))
    return {row["id"]: view_of(row) for row in rows}


async def by_code(code: str) -> TemplateView | None:
    """The template that marketers and files call `code`."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM coupon_template WHERE code = $1", code)
    return None if row is None else view_of(row)


async def on_offer(*, at: datetime) -> list[TemplateView]:
    """Templates that members can claim at `at` (sold out or not), those that end first first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM coupon_template WHERE status = 'active' AND claimable AND claim_from <= $1"
        " AND (claim_until IS NULL OR claim_until > $1) AND (valid_until IS NULL OR valid_until > $1)"
        " ORDER BY claim_until NULLS LAST, id",
        at,
    )
    return [view_of(row) for row in rows]
