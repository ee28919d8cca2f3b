"""Reading the ledger: balances, statements, and why each movement happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.errors import NotFound
from loyalty.ledger.operations import Asset

PAGE_MAX: Final = 100

# Units whose expiry has passed are not the member's any more, whether or not the sweep closed the lot.
_BALANCES: Final = """
SELECT balance.member_id, balance.asset,
       balance.available - coalesce((
           SELECT sum(lot.remaining) FROM ledger_lot lot
           WHERE lot.member_id = balance.member_id AND lot.asset = balance.asset
             AND lot.remaining > 0 AND lot.expires_at <= $2
       ), 0)::bigint AS available
FROM ledger_balance balance WHERE balance.member_id = ANY($1)
"""


@dataclass(frozen=True, slots=True)
class Balances:
    """What a member can use right now."""

    points: int = 0
    growth: int = 0


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of a statement; `delta` is signed, `balance` is what it was afterwards."""

    id: int
    kind: str
    asset: Asset
    amount: int
    delta: int
    balance: int
    reason: Mapping[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first; `next_before` continues, None at the end."""

    movements: tuple[Movement, ...]
    next_before: int | None


@dataclass(frozen=True, slots=True)
class LotShare:
    """How much of a movement touched one lot, and when that lot ends."""

    lot_id: int
    amount: int
    source: str
    destination: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a movement happened and which lots it touched."""

    movement: Movement
    shares: tuple[LotShare, ...] = field(default_factory=tuple)


async def balances(member_ids: Sequence[int], *, at: datetime) -> Mapping[int, Balances]:
    """Usable balances of each member as of `at`, which is not in the past."""
    found: dict[int, dict[str, int]] = {member_id: {} for member_id in member_ids}
    for row in await db.fetch(_BALANCES, list(member_ids), at):
        found[row["member_id"]][row["asset"]] = row["available"]
    return {
        member_id: Balances(points=assets.get(Asset.POINTS, 0), growth=assets.get(Asset.GROWTH, 0))
        for member_id, assets in found.items()
    }


async def statement(member_id: int, asset: Asset, *, before_id: int | None = None, limit: int = 20) -> Page:
    """A page of the member's movements, newest first."""
    size = max(1, min(limit, PAGE_MAX))
    rows = await db.fetch(
        "SELECT id, kind, asset, amount, delta, balance_after, reason, occurred_at FROM ledger_entry"
        " WHERE member_id = $1 AND asset = $2 AND id < $3 ORDER BY id DESC LIMIT $4",
        member_id,
        asset.value,
        before_id if before_id is not None else 2**62,
        size + 1,
    )
    shown = tuple(_movement(row) for row in rows[:size])
    return Page(shown, shown[-1].id if len(rows) > size else None)


async def explain(member_id: int, entry_id: int) -> Explanation:
    """One movement with the lots it touched.

    Raises:
        NotFound: the member has no such movement.
    """
    row = await db.fetch_one(
        "SELECT id, kind, asset, amount, delta, balance_after, reason, occurred_at FROM ledger_entry"
        " WHERE member_id = $1 AND id = $2",
        member_id,
        entry_id,
    )
    if row is None:
        raise NotFound(what="movement")
    shares = await db.fetch(
        "SELECT posting.lot_id, posting.amount, posting.source, posting.destination, lot.expires_at"
        " FROM ledger_posting posting JOIN ledger_lot lot ON lot.id = posting.lot_id"
        " WHERE posting.member_id = $1 AND posting.entry_id = $2 ORDER BY posting.seq",
        member_id,
        entry_id,
    )
    return Explanation(_movement(row), tuple(LotShare(**dict(share)) for share in shares))


async def expiring(member_id: int, asset: Asset, *, after: datetime, until: datetime) -> list[tuple[datetime, int]]:
    """Each instant in (after, until] at which units end, with how many end then, soonest first."""
    rows = await db.fetch(
        "SELECT expires_at, sum(remaining)::bigint AS units FROM ledger_lot"
        " WHERE member_id = $1 AND asset = $2 AND remaining > 0 AND expires_at > $3 AND expires_at <= $4"
        " GROUP BY expires_at ORDER BY expires_at",
        member_id,
        asset.value,
        after,
        until,
    )
    return [(row["expires_at"], row["units"]) for row in rows]


def _movement(row: db.Row) -> Movement:
    return Movement(
        id=row["id"],
        kind=row["kind"],
        asset=Asset(row["asset"]),
        amount=row["amount"],
        delta=row["delta"],
        balance=row["balance_after"],
        reason=orjson.loads(row["reason"]),
        occurred_at=row["occurred_at"],
    )


@dataclass(frozen=True, slots=True)
class Ending:
    """Units of one member that end soon; `expires_at` is when the first of them does."""

    member_id: int
    units: int
    expires_at: datetime


async def ending(
    asset: Asset, *, after: datetime, until: datetime, after_member: int = 0, limit: int = 500
) -> list[Ending]:
    """Members of whom units end in (after, until], by member; page on with the last member."""
    rows = await db.fetch(
        "SELECT member_id, sum(remaining)::bigint AS units, min(expires_at) AS expires_at FROM ledger_lot"
        " WHERE asset = $1 AND remaining > 0 AND state = 'active' AND expires_at > $2 AND expires_at <= $3"
        " AND member_id > $4 GROUP BY member_id ORDER BY member_id LIMIT $5",
        asset.value,
        after,
        until,
        after_member,
        limit,
    )
    return [Ending(row["member_id"], row["units"], row["expires_at"]) for row in rows]
