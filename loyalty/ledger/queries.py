"""Reading the ledger: balances, statements, and why each movement happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.errors import NotFound
from loyalty.ledger import replay
from loyalty.ledger.operations import Asset
from loyalty.ledger.replay import AssetBalance

PAGE_MAX: Final = 100

# What time has decided counts at once, whether or not a sweep has booked it: units past their end are gone, pending
# units past their start are usable, holds past their end give back what still lives.
_BALANCES: Final = """
SELECT b.member_id, b.asset, b.arrears, b.pending + b.held > 0 AS waits,
       b.available - b.arrears - coalesce((
           SELECT sum(lot.remaining) FROM ledger_lot lot
           WHERE lot.member_id = b.member_id AND lot.asset = b.asset
             AND lot.remaining > 0 AND lot.state = 'active' AND lot.expires_at <= $2
       ), 0)::bigint
       + CASE WHEN b.pending > 0 THEN coalesce((
           SELECT sum(lot.remaining) FROM ledger_lot lot
           WHERE lot.member_id = b.member_id AND lot.asset = b.asset AND lot.remaining > 0 AND lot.state = 'pending'
             AND lot.activates_at <= $2 AND (lot.expires_at IS NULL OR lot.expires_at > $2)
       ), 0)::bigint ELSE 0 END
       + CASE WHEN b.held > 0 THEN coalesce((
           SELECT sum(posting.amount) FROM ledger_hold hold
           JOIN ledger_posting posting ON posting.member_id = hold.member_id AND posting.entry_id = hold.id
                AND posting.destination = 'held'
           JOIN ledger_lot lot ON lot.id = posting.lot_id
           WHERE hold.member_id = b.member_id AND hold.asset = b.asset AND hold.state = 'open'
             AND hold.expires_at <= $2 AND (lot.expires_at IS NULL OR lot.expires_at > $2)
       ), 0)::bigint ELSE 0 END AS available,
       CASE WHEN b.pending > 0 THEN coalesce((
           SELECT sum(lot.remaining) FROM ledger_lot lot
           WHERE lot.member_id = b.member_id AND lot.asset = b.asset AND lot.remaining > 0 AND lot.state = 'pending'
             AND (lot.activates_at IS NULL OR lot.activates_at > $2) AND (lot.cancels_at IS NULL OR lot.cancels_at > $2)
       ), 0)::bigint ELSE 0 END AS pending,
       CASE WHEN b.held > 0 THEN coalesce((
           SELECT sum(hold.amount) FROM ledger_hold hold
           WHERE hold.member_id = b.member_id AND hold.asset = b.asset AND hold.state = 'open' AND hold.expires_at > $2
       ), 0)::bigint ELSE 0 END AS held
FROM ledger_balance b WHERE b.member_id = ANY($1)
"""
_PENDING: Final = """
SELECT entry.kind, lot.asset, lot.remaining, lot.activates_at, lot.event, lot.cancels_at, entry.reason
FROM ledger_lot lot JOIN ledger_entry entry ON entry.id = lot.entry_id AND entry.member_id = lot.member_id
WHERE lot.member_id = $1 AND lot.asset = $2 AND lot.state = 'pending' AND lot.remaining > 0
  AND (lot.activates_at IS NULL OR lot.activates_at > $3) AND (lot.cancels_at IS NULL OR lot.cancels_at > $3)
ORDER BY lot.activates_at NULLS LAST, lot.id LIMIT 100
"""
_POSTINGS: Final = """
SELECT posting.entry_id, posting.source, posting.destination, posting.amount, posting.lot_id, lot.expires_at,
       lot.activates_at, lot.cancels_at, lot.priority, lot.promotional, lot.effective_at,
       hold.expires_at AS hold_ends, hold.resolved_at
FROM ledger_posting posting
JOIN ledger_entry entry ON entry.id = posting.entry_id AND entry.member_id = posting.member_id
LEFT JOIN ledger_lot lot ON lot.id = posting.lot_id
LEFT JOIN ledger_hold hold ON hold.member_id = posting.member_id AND hold.id = posting.entry_id
WHERE posting.member_id = $1 AND posting.asset = $2 AND ($3::timestamptz IS NULL OR entry.booked_at <= $3)
ORDER BY posting.entry_id, posting.seq
"""


NOTHING: Final = AssetBalance()


@dataclass(frozen=True, slots=True)
class Balances:
    """What a member can use right now, of everything."""

    by_asset: Mapping[Asset, AssetBalance] = field(default_factory=dict)

    def of(self, asset: Asset) -> AssetBalance:
        """The balance of one asset; nothing where the member never had any."""
        return self.by_asset.get(asset, NOTHING)

    @property
    def points(self) -> int:
        """Usable points, less what is owed."""
        return self.of(Asset.POINTS).available

    @property
    def growth(self) -> int:
        """Growth value."""
        return self.of(Asset.GROWTH).available


@dataclass(frozen=True, slots=True)
class Promise:
    """Pending units: usable from `activates_at`, or once `event` happens, at the latest until `cancels_at`."""

    kind: str
    asset: Asset
    amount: int
    activates_at: datetime | None
    event: str | None
    cancels_at: datetime | None
    reason: Mapping[str, Any]


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
    """Balances of each member as of `at`, which is not in the past."""
    found: dict[int, dict[Asset, AssetBalance]] = {member_id: {} for member_id in member_ids}
    for row in await db.fetch(_BALANCES, list(member_ids), at):
        member_id, asset = row["member_id"], Asset(row["asset"])
        balance = AssetBalance(row["available"], row["pending"], row["held"], row["arrears"])
        if row["arrears"] and row["waits"]:
            # What became usable since somebody last looked has paid the debt first, which no sum tells.
            balance = replay.balance(await db.fetch(_POSTINGS, member_id, asset, None), at)
        found[member_id][asset] = balance
    return {member_id: Balances(assets) for member_id, assets in found.items()}


async def balance_as_of(member_id: int, asset: Asset, at: datetime) -> AssetBalance:
    """What the member had at any instant, the past included, counted again from the postings booked by then."""
    return replay.balance(await db.fetch(_POSTINGS, member_id, asset, at), at)


async def pending(member_id: int, asset: Asset, *, at: datetime) -> list[Promise]:
    """Units that are promised and not usable yet, what comes first first."""
    return [
        Promise(
            kind=row["kind"],
            asset=Asset(row["asset"]),
            amount=row["remaining"],
            activates_at=row["activates_at"],
            event=row["event"],
            cancels_at=row["cancels_at"],
            reason=orjson.loads(row["reason"]),
        )
        for row in await db.fetch(_PENDING, member_id, asset, at)
    ]


async def statement(member_id: int, asset: Asset, *, before_id: int | None = None, limit: int = 20) -> Page:
    """A page of the member's movements, newest first, without the ends of used-up lots: they moved nothing."""
    size = max(1, min(limit, PAGE_MAX))
    rows = await db.fetch(
        "SELECT id, kind, asset, amount, delta, balance_after, reason, occurred_at FROM ledger_entry"
        " WHERE member_id = $1 AND asset = $2 AND id < $3 AND (kind <> 'expire' OR amount > 0)"
        " ORDER BY id DESC LIMIT $4",
        member_id,
        asset,
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
        " WHERE member_id = $1 AND asset = $2 AND remaining > 0 AND state = 'active'"
        " AND expires_at > $3 AND expires_at <= $4"
        " GROUP BY expires_at ORDER BY expires_at",
        member_id,
        asset,
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
        asset,
        after,
        until,
        after_member,
        limit,
    )
    return [Ending(row["member_id"], row["units"], row["expires_at"]) for row in rows]
