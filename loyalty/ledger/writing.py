"""Writing a plan: one statement for entries, lots, postings and balances, and one each for what few batches have."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import orjson

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import statements
from loyalty.ledger.booking import EntryRow, LotRow, Plan, PostingRow
from loyalty.ledger.lots import EntryKey


async def write(made: Plan, now: datetime) -> dict[EntryKey, int]:
    """Write everything planned; the id of each entry."""
    entries = list(made.entries.values())
    rows = await db.fetch(
        statements.WRITE,
        now,
        *_entry_columns(entries),
        *_lot_columns(made.lots),
        [lot_id for lot_id, change in made.lot_changes.items() if change],
        [change for change in made.lot_changes.values() if change],
        *_posting_columns(made.postings),
        [member for member, _ in made.balances],
        [asset for _, asset in made.balances],
        [moved.available for moved in made.balances.values()],
        [moved.pending for moved in made.balances.values()],
        [moved.held for moved in made.balances.values()],
        [moved.arrears for moved in made.balances.values()],
    )
    ensure(len(rows) == len(entries), "every planned entry is written")
    ids = {(row["member_id"], row["key"]): row["id"] for row in rows}
    await _write_rest(made, ids, now)
    return ids


def _entry_columns(entries: Sequence[EntryRow]) -> tuple[list[object], ...]:
    return (
        [row.member_id for row in entries],
        [row.key for row in entries],
        [row.fingerprint for row in entries],
        [row.kind for row in entries],
        [row.asset for row in entries],
        [row.amount for row in entries],
        [row.delta for row in entries],
        [row.balance_after for row in entries],
        [row.pending_delta for row in entries],
        [row.held_delta for row in entries],
        [row.arrears_delta for row in entries],
        [row.reverses_id for row in entries],
        [orjson.dumps(dict(row.reason)).decode() for row in entries],
        [row.occurred_at for row in entries],
    )


def _lot_columns(rows: Sequence[LotRow]) -> tuple[list[object], ...]:
    return (
        [row.member_id for row in rows],
        [row.key for row in rows],
        [row.asset for row in rows],
        [row.lot.grant_key for row in rows],
        [row.original for row in rows],
        [row.lot.remaining for row in rows],
        [row.lot.state for row in rows],
        [row.lot.priority for row in rows],
        [row.lot.promotional for row in rows],
        [row.lot.effective_at for row in rows],
        [row.lot.expires_at for row in rows],
        [row.lot.activates_at for row in rows],
        [row.lot.event for row in rows],
        [row.lot.cancels_at for row in rows],
        [None if row.lot.expiry is None else orjson.dumps(dict(row.lot.expiry)).decode() for row in rows],
        [row.lot.idle.zone if row.lot.idle else row.lot.zone or None for row in rows],
        [row.lot.idle.months if row.lot.idle else None for row in rows],
        [",".join(sorted(row.lot.idle.activities)) if row.lot.idle else None for row in rows],
    )


def _posting_columns(rows: Sequence[PostingRow]) -> tuple[list[object], ...]:
    return (
        [row.member_id for row in rows],
        [row.key for row in rows],
        [row.seq for row in rows],
        [row.asset for row in rows],
        [row.source.value for row in rows],
        [row.destination.value for row in rows],
        [row.amount for row in rows],
        [row.lot_id for row in rows],
        [row.lot_key for row in rows],
    )


async def _write_rest(made: Plan, ids: Mapping[EntryKey, int], now: datetime) -> None:
    if made.lot_updates:
        changed = list(made.lot_updates.values())
        await db.execute(
            statements.UPDATE_LOTS,
            list(made.lot_updates),
            [update.state for update in changed],
            [update.effective_at for update in changed],
            [update.expires_at for update in changed],
        )
    if made.holds:
        await _write_holds(made, ids, now)
    if made.hold_states:
        states = list(made.hold_states.values())
        resolved = await db.execute(statements.RESOLVE_HOLDS, list(made.hold_states), states, now)
        ensure(resolved == len(made.hold_states), "a hold is resolved once")
    if made.touches:
        await _write_touches(made, now)


async def _write_holds(made: Plan, ids: Mapping[EntryKey, int], now: datetime) -> None:
    await db.execute(
        statements.WRITE_HOLDS,
        now,
        [ids[hold.member_id, hold.key] for hold in made.holds],
        [hold.member_id for hold in made.holds],
        [hold.asset for hold in made.holds],
        [hold.key for hold in made.holds],
        [hold.amount for hold in made.holds],
        [hold.expires_at for hold in made.holds],
    )


async def _write_touches(made: Plan, now: datetime) -> None:
    await db.execute(
        statements.TOUCH,
        [touch.member_id for touch in made.touches],
        [touch.asset for touch in made.touches],
        [touch.activity for touch in made.touches],
        [touch.at for touch in made.touches],
        now,
    )
