"""What `post` reads under the lock: wallets, entries that are booked, lots, holds, and what spends may give back."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson

from loyalty import db
from loyalty.errors import ensure
from loyalty.ledger import statements
from loyalty.ledger.lots import Booked, EntryKey, Held, Lot, Slice, Wallet, WalletKey, World
from loyalty.ledger.operations import (
    ASSETS,
    Activate,
    Asset,
    CancelPending,
    Capture,
    Expire,
    Grant,
    Idle,
    MoveHold,
    Moving,
    Operation,
    Reverse,
    TakeBack,
    Void,
)
from loyalty.ledger.renewals import Done, renewed_end

Wallets = dict[WalletKey, Wallet]


async def read(batch: Sequence[Operation], now: datetime) -> World:
    """The world of a batch: two statements for grants alone, one more per kind of thing that others need."""
    wallets = await lock(wallet_keys(batch))
    consuming = wallet_keys(op for op in batch if not isinstance(op, Grant))
    # What time has given back pays a debt before a new grant does.
    consuming |= {key for key, wallet in wallets.items() if wallet.arrears and (wallet.pending or wallet.held)}
    if consuming:
        await load_lots(wallets, consuming)
    booked = await _booked(_keys(batch))
    await _load_named(batch, booked, wallets)
    reversed_keys = [(op.member_id, op.reverses_key) for op in batch if isinstance(op, Reverse)]
    world = World(
        wallets=wallets,
        booked=booked,
        taken=await _taken(reversed_keys, wallets) if reversed_keys else {},
        holds=await _holds(batch, wallets, consuming, now),
        now=now,
    )
    await _renew([lot for wallet in wallets.values() if wallet.is_idle for lot in wallet.lots])
    return world


def _keys(batch: Sequence[Operation]) -> list[EntryKey]:
    """Every entry that the batch makes or is about."""
    keys = {(operation.member_id, operation.key) for operation in batch}
    for operation in batch:
        match operation:
            case Reverse():
                keys.add((operation.member_id, operation.reverses_key))
            case TakeBack():
                keys |= {(operation.member_id, key) for key in operation.reverses}
            case MoveHold():
                keys.add((operation.to_member_id, operation.hold_key))
            case _:
                pass
    return list(keys)


def wallet_keys(batch: Iterable[Operation]) -> set[WalletKey]:
    """Every wallet that a batch touches."""
    operations = list(batch)
    keys = {(operation.member_id, operation.asset) for operation in operations}
    return keys | {(op.to_member_id, op.asset) for op in operations if isinstance(op, Moving)}


async def lock(keys: Iterable[WalletKey]) -> Wallets:
    """The wallets, locked in order. An asset of later date gets its row when it is first used."""
    wanted = sorted(keys)
    wallets = await _lock(wanted)
    missing = [key for key in wanted if key not in wallets]
    if missing:
        await db.execute(statements.OPEN_THESE, [member for member, _ in missing], [asset for _, asset in missing])
        wallets = await _lock(wanted)
    ensure(len(wallets) == len(wanted), "accounts are opened with the member")
    return wallets


async def _lock(wanted: Sequence[WalletKey]) -> Wallets:
    rows = await db.fetch(statements.LOCK, [member for member, _ in wanted], [asset for _, asset in wanted])
    return {
        (row["member_id"], Asset(row["asset"])): Wallet(
            row["ctid"], row["available"], row["pending"], row["held"], row["arrears"], row["idle"]
        )
        for row in rows
    }


async def load_lots(wallets: Wallets, keys: Iterable[WalletKey]) -> None:
    """Put the lots that hold anything into their wallets."""
    wanted = list(keys)
    rows = await db.fetch(statements.OPEN_LOTS, [member for member, _ in wanted], [asset for _, asset in wanted])
    for row in rows:
        wallets[row["member_id"], Asset(row["asset"])].lots.append(_lot(row))


def _lot(row: db.Row) -> Lot:
    return Lot(
        id=row["id"],
        remaining=row["remaining"],
        expires_at=row["expires_at"],
        priority=row["priority"],
        promotional=row["promotional"],
        effective_at=row["effective_at"],
        grant_key=row["grant_key"],
        state=row["state"],
        activates_at=row["activates_at"],
        event=row["event"],
        cancels_at=row["cancels_at"],
        expiry=None if row["expiry"] is None else orjson.loads(row["expiry"]),
        zone=row["zone"] or "",
        idle=_idle(row),
        unused=row["unused"],
        is_moved=row["moved"],
    )


def _idle(row: db.Row) -> Idle | None:
    if row["idle_months"] is None:
        return None
    return Idle(months=row["idle_months"], activities=frozenset(row["idle_on"].split(",")), zone=row["zone"])


async def _booked(keys: Sequence[EntryKey]) -> dict[EntryKey, Booked]:
    rows = await db.fetch(statements.BOOKED, [member for member, _ in keys], [key for _, key in keys])
    return {
        (row["member_id"], row["key"]): Booked(
            row["id"],
            row["fingerprint"],
            row["amount"],
            row["delta"],
            row["balance_after"],
            row["pending_delta"],
            row["held_delta"],
            row["arrears_delta"],
        )
        for row in rows
    }


async def _load_named(batch: Sequence[Operation], booked: Mapping[EntryKey, Booked], wallets: Wallets) -> None:
    """Put the lots that a batch names into their wallets, whatever is left in them: those to be closed, and those of
    grants that are clawed back."""
    origins = [(op.member_id, key) for op in batch if isinstance(op, TakeBack) for key in op.reverses]
    closing = [op.lot_id for op in batch if isinstance(op, Expire)]
    if origins or closing:
        rows = await db.fetch(
            statements.NAMED_LOTS,
            [*closing, *(booked[at].id for at in origins if at in booked)],
            [member_id for member_id, _ in origins],
            [key for _, key in origins],
        )
        for row in rows:
            if (row["member_id"], row["asset"]) in wallets:
                _lot_in(wallets, row)


async def _taken(keys: Sequence[EntryKey], wallets: Wallets) -> dict[EntryKey, list[Slice]]:
    found: dict[EntryKey, list[Slice]] = {}
    for row in await db.fetch(statements.TAKEN, [member for member, _ in keys], [key for _, key in keys]):
        lot = _lot_in(wallets, row)
        if row["amount"]:
            found.setdefault((row["member_id"], row["key"]), []).append(Slice(lot, row["amount"]))
    return found


def _lot_in(wallets: Wallets, row: db.Row) -> Lot:
    """The wallet's own object for a lot; one that is used up joins it, because units may come back to it."""
    wallet = wallets[row["member_id"], Asset(row["asset"])]
    for lot in wallet.lots:
        if lot.id == row["id"]:
            return lot
    lot = _lot(row)
    wallet.lots.append(lot)
    return lot


async def _holds(
    batch: Sequence[Operation], wallets: Wallets, consuming: Iterable[WalletKey], now: datetime
) -> dict[EntryKey, Held]:
    """The holds that the batch names; those whose time is over are put into their wallets too."""
    named = [(op.member_id, op.hold_key) for op in batch if isinstance(op, Capture | Void | MoveHold)]
    named += [(op.to_member_id, op.hold_key) for op in batch if isinstance(op, MoveHold)]
    reserving = [key for key in consuming if wallets[key].held]
    if not named and not reserving:
        return {}
    rows = await db.fetch(
        statements.HOLDS,
        [member for member, _ in named],
        [key for _, key in named],
        [member for member, _ in reserving],
        [asset for _, asset in reserving],
        now,
    )
    holds = {row["id"]: Held(row["id"], row["key"], row["amount"], row["state"], row["expires_at"]) for row in rows}
    open_rows = [row for row in rows if row["state"] == "open"]
    if open_rows:
        await _load_slices(open_rows, holds, wallets)
    for row in open_rows:
        wallets[row["member_id"], Asset(row["asset"])].holds.append(holds[row["id"]])
    return {(row["member_id"], row["key"]): holds[row["id"]] for row in rows}


async def _load_slices(rows: Sequence[db.Row], holds: dict[int, Held], wallets: Wallets) -> None:
    slices: Sequence[Any] = await db.fetch(
        statements.HOLD_SLICES, [row["member_id"] for row in rows], [row["id"] for row in rows]
    )
    for part in slices:
        holds[part["entry_id"]].slices.append(Slice(_lot_in(wallets, part), part["amount"]))


async def _renew(lots: Sequence[Lot]) -> None:
    """Activities do not move the end of a lot that is used up; where units may come back to one, they count now."""
    used_up = {lot.id: lot for lot in lots if lot.idle is not None and not lot.remaining and lot.state == "active"}
    if not used_up:
        return
    done: dict[int, list[Done]] = {}
    for row in await db.fetch(statements.ACTIVITIES, list(used_up)):
        names = (row["activity"], row["kind"])
        done.setdefault(row["id"], []).append(Done(names, row["occurred_at"], row["booked_at"]))
    for lot_id, lot in used_up.items():
        ends = renewed_end(lot, done.get(lot_id or 0, []))
        lot.renewed, lot.expires_at = ends != lot.expires_at, ends


def refers(operation: Operation) -> tuple[str, ...]:
    """The keys of earlier operations that this one is about."""
    match operation:
        case Reverse():
            return (operation.reverses_key,)
        case TakeBack():
            return operation.reverses
        case Capture() | Void() | MoveHold():
            return (operation.hold_key,)
        case Activate() | CancelPending():
            return (operation.grant_key,)
        case _:
            return ()


def opened_assets() -> list[Asset]:
    """What every member has an account of from the start; the halves of stored value come with the first top-up."""
    return [asset for asset in ASSETS if asset in {Asset.POINTS, Asset.GROWTH}]
