"""The only writer of balances, lots, entries and postings.

`post` books a batch in a fixed number of statements: lock the wallets in order, read what is booked and
which lots are open, plan in memory (`rules.plan`), write everything in one statement. The unique entry
key makes each operation happen once; CHECK constraints refuse what a wrong plan would do.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import orjson

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger.operations import (
    Account,
    Asset,
    Expire,
    Grant,
    KeyReused,
    NotEnough,
    NothingToDo,
    NothingToReverse,
    Operation,
    Outcome,
    Posted,
    Reverse,
    Spend,
    TakeBack,
    check,
)
from loyalty.ledger.rules import Booked, EntryKey, EntryRow, Lot, Plan, Slice, Wallet, WalletKey, World, plan

__all__ = [
    "Account",
    "Asset",
    "Expire",
    "Grant",
    "KeyReused",
    "NotEnough",
    "NothingToDo",
    "NothingToReverse",
    "Operation",
    "Outcome",
    "Posted",
    "Reverse",
    "Spend",
    "TakeBack",
    "expire_due",
    "move_lots",
    "open_accounts",
    "post",
    "post_one",
]

_OPEN: Final = """
INSERT INTO ledger_balance (member_id, asset)
SELECT member_id, asset FROM unnest($1::bigint[]) AS member_id CROSS JOIN unnest($2::text[]) AS asset
ORDER BY member_id, asset
ON CONFLICT (member_id, asset) DO NOTHING
"""
_LOCK: Final = """
SELECT member_id, asset, available FROM ledger_balance
WHERE (member_id, asset) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
ORDER BY member_id, asset FOR UPDATE
"""
# LATERAL with LIMIT makes the unique index the only sensible plan, also while a young table has no statistics.
_BOOKED: Final = """
SELECT found.* FROM unnest($1::bigint[], $2::text[]) AS given(member_id, key)
CROSS JOIN LATERAL (
    SELECT id, member_id, key, fingerprint, amount, delta, balance_after FROM ledger_entry entry
    WHERE entry.member_id = given.member_id AND entry.key = given.key LIMIT 1
) AS found
"""
_OPEN_LOTS: Final = """
SELECT id, entry_id, member_id, asset, remaining, expires_at, priority, promotional, effective_at FROM ledger_lot
WHERE (member_id, asset) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) AND remaining > 0 AND state = 'active'
"""
# What each spend took per lot, less what its reversals gave back.
_SLICES: Final = """
WITH origin AS (
    SELECT id, member_id, key FROM ledger_entry
    WHERE (member_id, key) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
)
SELECT origin.member_id, origin.key, lot.id, lot.entry_id, lot.asset, lot.remaining, lot.expires_at, lot.priority,
       lot.promotional, lot.effective_at,
       taken.amount - coalesce((
           SELECT sum(back.amount) FROM ledger_posting back JOIN ledger_entry reversal ON reversal.id = back.entry_id
           WHERE reversal.member_id = origin.member_id AND reversal.reverses_id = origin.id
             AND back.member_id = origin.member_id AND back.source = 'spent' AND back.lot_id = taken.lot_id
       ), 0)::bigint AS amount
FROM origin
JOIN ledger_posting taken ON taken.entry_id = origin.id AND taken.member_id = origin.member_id
JOIN ledger_lot lot ON lot.id = taken.lot_id
WHERE taken.source = 'available' AND taken.destination = 'spent'
ORDER BY origin.id, taken.seq
"""
# A lot has the id of the entry that made it, so that its postings need no second look for it.
_WRITE: Final = """
WITH entry AS (
    INSERT INTO ledger_entry (member_id, key, fingerprint, kind, asset, amount, delta, balance_after, reverses_id,
                              reason, occurred_at, booked_at)
    SELECT member_id, key, fingerprint, kind, asset, amount, delta, balance_after, reverses_id, reason::jsonb,
           occurred_at, $1
    FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::text[], $12::timestamptz[]) WITH ORDINALITY
         AS given(member_id, key, fingerprint, kind, asset, amount, delta, balance_after, reverses_id, reason,
                  occurred_at, place)
    ORDER BY place
    RETURNING id, member_id, key
), lot AS (
    INSERT INTO ledger_lot (id, member_id, asset, entry_id, original, remaining, state, priority, promotional,
                            effective_at, expires_at, created_at)
    SELECT entry.id, given.member_id, given.asset, entry.id, original, remaining, 'active', priority, promotional,
           effective_at, expires_at, $1
    FROM unnest($13::bigint[], $14::text[], $15::text[], $16::bigint[], $17::bigint[], $18::smallint[],
                $19::boolean[], $20::timestamptz[], $21::timestamptz[])
         AS given(member_id, key, asset, original, remaining, priority, promotional, effective_at, expires_at)
    JOIN entry ON entry.member_id = given.member_id AND entry.key = given.key
), lot_change AS (
    UPDATE ledger_lot SET remaining = remaining + ($23::bigint[])[array_position($22::bigint[], id)]
    WHERE id = ANY($22)
), posting AS (
    INSERT INTO ledger_posting (entry_id, seq, member_id, asset, source, destination, amount, lot_id)
    SELECT entry.id, given.seq, given.member_id, given.asset, given.source, given.destination, given.amount,
           coalesce(given.lot_id, made.id)
    FROM unnest($24::bigint[], $25::text[], $26::smallint[], $27::text[], $28::text[], $29::text[], $30::bigint[],
                $31::bigint[], $32::text[])
         AS given(member_id, key, seq, asset, source, destination, amount, lot_id, lot_key)
    JOIN entry ON entry.member_id = given.member_id AND entry.key = given.key
    LEFT JOIN entry AS made ON made.member_id = given.member_id AND made.key = given.lot_key
), balance AS (
    UPDATE ledger_balance SET available = ledger_balance.available + given.change
    FROM unnest($33::bigint[], $34::text[], $35::bigint[]) AS given(member_id, asset, change)
    WHERE ledger_balance.member_id = given.member_id AND ledger_balance.asset = given.asset AND given.change <> 0
)
SELECT id, member_id, key FROM entry
"""


async def open_accounts(member_ids: Sequence[int], *, now: datetime) -> None:
    """Create the balance rows of new members, so that a first spend has a row to be refused by."""
    await db.execute(_OPEN, list(member_ids), [asset.value for asset in Asset])


async def post(batch: Sequence[Operation], *, now: datetime) -> list[Outcome]:
    """Book `batch` in order; one outcome per operation, refusals among them as values.

    The caller's unit of work decides over all of it: an operation that is refused leaves the others booked.
    """
    if not batch:
        return []
    for operation in batch:
        check(operation)
    world = await _read(batch, now)
    made = plan(batch, world)
    ids = await _write(made, now) if made.entries else {}
    return [_outcome(result, made, ids) for result in made.results]


async def post_one(operation: Operation, *, now: datetime) -> Posted:
    """`post` of one.

    Raises:
        NotEnough, KeyReused, NothingToReverse: as the outcome says.
    """
    outcome = (await post([operation], now=now))[0]
    if isinstance(outcome, NothingToDo):
        raise NothingToReverse(key=operation.key)
    if not isinstance(outcome, Posted):
        raise outcome
    return outcome


async def _read(batch: Sequence[Operation], now: datetime) -> World:
    wallets = await _lock({(operation.member_id, operation.asset) for operation in batch})
    consuming = {(op.member_id, op.asset) for op in batch if not isinstance(op, Grant)}
    if consuming:
        await _load_lots(wallets, consuming)
    reversed_keys = [(op.member_id, op.reverses_key) for op in batch if isinstance(op, Reverse)]
    origins = [(op.member_id, op.reverses_key) for op in batch if isinstance(op, TakeBack) and op.reverses_key]
    keys = {(operation.member_id, operation.key) for operation in batch}
    return World(
        wallets=wallets,
        booked=await _booked([*keys, *reversed_keys, *origins]),
        slices=await _slices(reversed_keys, wallets) if reversed_keys else {},
        now=now,
    )


async def _lock(keys: Iterable[WalletKey]) -> dict[WalletKey, Wallet]:
    wanted = sorted(keys)
    rows = await db.fetch(_LOCK, [member for member, _ in wanted], [asset.value for _, asset in wanted])
    ensure(len(rows) == len(wanted), "accounts are opened with the member")
    return {(row["member_id"], Asset(row["asset"])): Wallet(row["available"]) for row in rows}


async def _load_lots(wallets: dict[WalletKey, Wallet], keys: Iterable[WalletKey]) -> None:
    wanted = list(keys)
    for row in await db.fetch(_OPEN_LOTS, [member for member, _ in wanted], [asset.value for _, asset in wanted]):
        wallets[row["member_id"], Asset(row["asset"])].lots.append(_lot(row))


def _lot(row: db.Row) -> Lot:
    return Lot(
        id=row["id"],
        entry_id=row["entry_id"],
        remaining=row["remaining"],
        expires_at=row["expires_at"],
        priority=row["priority"],
        promotional=row["promotional"],
        effective_at=row["effective_at"],
    )


async def _booked(keys: Sequence[EntryKey]) -> dict[EntryKey, Booked]:
    rows = await db.fetch(_BOOKED, [member for member, _ in keys], [key for _, key in keys])
    return {
        (row["member_id"], row["key"]): Booked(
            row["id"], row["fingerprint"], row["amount"], row["delta"], row["balance_after"]
        )
        for row in rows
    }


async def _slices(keys: Sequence[EntryKey], wallets: dict[WalletKey, Wallet]) -> dict[EntryKey, list[Slice]]:
    found: dict[EntryKey, list[Slice]] = {}
    for row in await db.fetch(_SLICES, [member for member, _ in keys], [key for _, key in keys]):
        wallet = wallets[row["member_id"], Asset(row["asset"])]
        if all(lot.id != row["id"] for lot in wallet.lots):
            # Used up, but what comes back to it may be used again in this very batch.
            wallet.lots.append(_lot(row))
        if row["amount"]:
            part = Slice(row["id"], row["amount"], row["expires_at"])
            found.setdefault((row["member_id"], row["key"]), []).append(part)
    return found


async def _write(made: Plan, now: datetime) -> dict[EntryKey, int]:
    entries, lots, postings = list(made.entries.values()), made.lots, made.postings
    rows = await db.fetch(
        _WRITE,
        now,
        *_entry_columns(entries),
        [row.member_id for row in lots],
        [row.key for row in lots],
        [row.asset.value for row in lots],
        [row.original for row in lots],
        [row.lot.remaining for row in lots],
        [row.lot.priority for row in lots],
        [row.lot.promotional for row in lots],
        [row.lot.effective_at for row in lots],
        [row.lot.expires_at for row in lots],
        [lot_id for lot_id, change in made.lot_changes.items() if change],
        [change for change in made.lot_changes.values() if change],
        [row.member_id for row in postings],
        [row.key for row in postings],
        [row.seq for row in postings],
        [row.asset.value for row in postings],
        [row.source.value for row in postings],
        [row.destination.value for row in postings],
        [row.amount for row in postings],
        [row.lot_id for row in postings],
        [row.lot_key for row in postings],
        [member for member, _ in made.deltas],
        [asset.value for _, asset in made.deltas],
        list(made.deltas.values()),
    )
    ensure(len(rows) == len(entries), "every planned entry is written")
    return {(row["member_id"], row["key"]): row["id"] for row in rows}


def _entry_columns(entries: Sequence[EntryRow]) -> tuple[list[object], ...]:
    return (
        [row.member_id for row in entries],
        [row.key for row in entries],
        [row.fingerprint for row in entries],
        [row.kind for row in entries],
        [row.asset.value for row in entries],
        [row.amount for row in entries],
        [row.delta for row in entries],
        [row.balance_after for row in entries],
        [row.reverses_id for row in entries],
        [orjson.dumps(dict(row.reason)).decode() for row in entries],
        [row.occurred_at for row in entries],
    )


def _outcome(
    result: tuple[EntryKey, bool] | Booked | NothingToDo | NotEnough | KeyReused | NothingToReverse,
    made: Plan,
    ids: dict[EntryKey, int],
) -> Outcome:
    if isinstance(result, Booked):
        return Posted(result.id, result.amount, result.delta, result.balance_after, replayed=True)
    if isinstance(result, tuple):
        at, replayed = result
        row = made.entries[at]
        return Posted(ids[at], row.amount, row.delta, row.balance_after, replayed=replayed)
    return result


async def expire_due(*, now: datetime, batch_max: int) -> list[tuple[int, Posted]]:
    """Close points lots whose time is over, at most `batch_max`; the member and entry of each.

    Spending never relies on it: a dead lot is unusable from its expiry on, swept or not.
    """
    rows = await db.fetch(
        "SELECT id, member_id, asset FROM ledger_lot WHERE remaining > 0 AND expires_at <= $1"
        " ORDER BY expires_at, id LIMIT $2",
        now,
        batch_max,
    )
    batch = [
        Expire(member_id=row["member_id"], asset=Asset(row["asset"]), lot_id=row["id"], occurred_at=now) for row in rows
    ]
    outcomes = await post(batch, now=now)
    return [
        (operation.member_id, outcome)
        for operation, outcome in zip(batch, outcomes, strict=True)
        if isinstance(outcome, Posted) and not outcome.replayed
    ]


async def move_lots(source_id: int, target_id: int, *, key: str, now: datetime) -> dict[Asset, int]:
    """Move every usable lot of one member to another (merge of identities); each keeps its own expiry.

    Returns what was moved per asset. Lots that are already over stay and expire where they are.
    """
    ensure(source_id != target_id, "a member is not merged into itself")
    keys = {(member, asset) for member in (source_id, target_id) for asset in Asset}
    wallets = await _lock(keys)
    await _load_lots(wallets, [(source_id, asset) for asset in Asset])
    batch: list[Operation] = []
    moved: dict[Asset, int] = {}
    for asset in Asset:
        live = sorted((lot for lot in wallets[source_id, asset].lots if lot.is_live(now)), key=Lot.order)
        moved[asset] = sum(lot.remaining for lot in live)
        batch += _moves(source_id, target_id, asset, live, key=key, now=now)
    for outcome in await post(batch, now=now):
        ensure(isinstance(outcome, Posted), "what was read under the lock can be moved")
    return moved


def _moves(
    source_id: int, target_id: int, asset: Asset, live: Sequence[Lot], *, key: str, now: datetime
) -> list[Operation]:
    if not live:
        return []
    total = sum(lot.remaining for lot in live)
    taken = Spend(
        member_id=source_id,
        asset=asset,
        amount=total,
        key=f"{key}:{asset}",
        kind="merge_out",
        occurred_at=now,
        reason={"into": target_id},
        destination=Account.TRANSFER,
    )
    given = [
        Grant(
            member_id=target_id,
            asset=asset,
            amount=lot.remaining,
            key=f"{key}:{asset}:{lot.id}",
            kind="merge_in",
            occurred_at=now,
            reason={"from": source_id, "lot": lot.id},
            effective_at=lot.effective_at,
            expires_at=lot.expires_at,
            priority=lot.priority,
            promotional=lot.promotional,
            source=Account.TRANSFER,
        )
        for lot in live
    ]
    return [taken, *given]
