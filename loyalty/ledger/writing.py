"""Writing a plan: one statement for entries, lots, postings and balances, and one each for what few batches have.

A column in which every row has the usual value is left empty: encoding values costs more than anything else here, and
`unnest` fills what is missing with NULL, which the statement reads as the usual value.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import orjson

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import statements
from loyalty.ledger.booking import EntryRow, Plan, PostingRow
from loyalty.ledger.lots import EntryKey, Lot

Column = Sequence[object]
_POSTING_COLUMNS: Final = len(PostingRow._fields)
_ALWAYS: Final = ("member_id", "key", "fingerprint", "kind", "asset", "amount", "delta", "balance_after")
_RARELY: Final = ("pending_delta", "held_delta", "arrears_delta", "reverses_id")
_NO_LOT: Final = (None,) * 15


async def write(made: Plan, now: datetime) -> dict[EntryKey, int]:
    """Write everything planned; the id of each entry."""
    changes = {lot_id: change for lot_id, change in made.lot_changes.items() if change.remaining or change.unused}
    written = await db.fetch_one(
        statements.WRITE,
        now,
        *_entry_columns(list(made.entries.values()), now),
        list(changes),
        [change.remaining for change in changes.values()],
        _unusual([change.unused for change in changes.values()]),
        *(zip(*made.postings, strict=True) if made.postings else [()] * _POSTING_COLUMNS),
        [wallet.version for wallet in made.wallets],
        [wallet.available for wallet in made.wallets],
        _unusual([wallet.pending for wallet in made.wallets]),
        _unusual([wallet.held for wallet in made.wallets]),
        _unusual([wallet.arrears for wallet in made.wallets]),
        _unusual([wallet.is_idle for wallet in made.wallets]),
    )
    numbers: list[int] = written["ids"] if written is not None else []
    ensure(len(numbers) == len(made.entries), "every planned entry is written")
    ensure(
        written is not None and written["wallets"] == len(made.wallets), "a locked balance is nobody else's to change"
    )
    ids = dict(zip(made.entries, numbers, strict=True))
    await _write_rest(made, ids, now)
    return ids


def _entry_columns(rows: Sequence[EntryRow], now: datetime) -> list[Column]:
    column = dict(zip(EntryRow._fields, zip(*rows, strict=True), strict=True))
    return [
        *(column[name] for name in _ALWAYS),
        *(_unusual(column[name]) for name in _RARELY),
        [orjson.dumps(reason).decode() for reason in column["reason"]],
        _unusual([None if moment == now else moment for moment in column["occurred_at"]]),
        _unusual(column["source"]),
        *map(_unusual, zip(*(_NO_LOT if row.lot is None else _lot(row.lot, row) for row in rows), strict=True)),
    ]


def _lot(lot: Lot, row: EntryRow) -> tuple[object, ...]:
    """What a lot has that its entry does not say."""
    return (
        lot.grant_key if lot.grant_key != row.key else None,
        row.amount - lot.remaining,
        lot.state if lot.state != "active" else None,
        lot.priority,
        not lot.promotional,
        lot.effective_at if lot.effective_at != row.occurred_at else None,
        lot.expires_at,
        lot.activates_at,
        lot.event,
        lot.cancels_at,
        None if lot.expiry is None else orjson.dumps(dict(lot.expiry)).decode(),
        (lot.idle.zone if lot.idle else lot.zone) or None,
        lot.idle.months if lot.idle else None,
        ",".join(sorted(lot.idle.activities)) if lot.idle else None,
        lot.is_moved,
    )


def _unusual(column: Column) -> Column:
    """The column, or nothing where it holds nothing but zero, false and None."""
    return column if any(column) else ()


async def _write_rest(made: Plan, ids: Mapping[EntryKey, int], now: datetime) -> None:
    if made.lot_states:
        await _write_states(made)
    if made.holds:
        await _write_holds(made, ids, now)
    if made.hold_states:
        states = list(made.hold_states.values())
        resolved = await db.execute(statements.RESOLVE_HOLDS, list(made.hold_states), states, now)
        ensure(resolved == len(made.hold_states), "a hold is resolved once")
    if made.touches:
        await _write_touches(made, now)


async def _write_states(made: Plan) -> None:
    found = [state for state, _ in made.lot_states.values()]
    lots = [lot for _, lot in made.lot_states.values()]
    changed = await db.execute(
        statements.UPDATE_LOTS,
        list(made.lot_states),
        found,
        [lot.state for lot in lots],
        [lot.effective_at for lot in lots],
        [lot.expires_at for lot in lots],
        [lot.activates_at for lot in lots],
        [lot.event for lot in lots],
        [lot.cancels_at for lot in lots],
    )
    ensure(changed == len(lots), "a lot is in the state that it was found in")


async def _write_holds(made: Plan, ids: Mapping[EntryKey, int], now: datetime) -> None:
    await db.execute(
        statements.WRITE_HOLDS,
        now,
        [ids[hold.member_id, hold.entry_key] for hold in made.holds],
        [hold.member_id for hold in made.holds],
        [hold.asset for hold in made.holds],
        [hold.key for hold in made.holds],
        [hold.amount for hold in made.holds],
        [hold.expires_at for hold in made.holds],
    )


async def _write_touches(made: Plan, now: datetime) -> None:
    named = [(touch, name) for touch in made.touches for name in touch.names]
    await db.execute(
        statements.TOUCH,
        [touch.member_id for touch, _ in named],
        [touch.asset for touch, _ in named],
        [name for _, name in named],
        [touch.at for touch, _ in named],
        now,
    )
