"""Units that are the member's and not usable: reserved by a hold, or promised and pending. Pure.

Time alone ends a hold and activates pending units; whoever plans on a wallet books that first (`settle`).
"""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from loyalty.errors import ensure
from loyalty.expiry import Expiry, ends_at
from loyalty.ledger.booking import Entry, HoldRow, LotUpdate, Plan, Touch, resolve
from loyalty.ledger.lots import EntryKey, Held, Lot, Slice, Wallet, World
from loyalty.ledger.operations import (
    Account,
    Activate,
    Asset,
    CancelPending,
    Capture,
    Grant,
    Hold,
    HoldState,
    Spend,
    Void,
)
from loyalty.ledger.outcomes import (
    AlreadyPosted,
    CaptureTooLarge,
    HoldOver,
    HoldUnknown,
    NotEnough,
    NothingPending,
    Refused,
)
from loyalty.ledger.returns import expire_dead, give_back, repay

_EXPIRY: TypeAdapter[Expiry] = TypeAdapter(Expiry)
Decided = tuple[EntryKey, bool] | Refused


def settle(member_id: int, asset: Asset, wallet: Wallet, made: Plan, world: World) -> None:
    """Book what time alone has decided since the wallet was last touched, as entries of their own."""
    for reserved in wallet.holds:
        if reserved.is_over(world.now):
            ended = Void(
                member_id=member_id,
                asset=asset,
                hold_key=reserved.key,
                key=f"hold_expired:{reserved.id}",
                kind="hold_expired",
                occurred_at=reserved.expires_at,
            )
            _release(Entry(made, ended, wallet), reserved, world, "expired")
    for lot in list(wallet.lots):
        if lot.is_due(world.now) and lot.activates_at is not None:
            begun = Activate(
                member_id=member_id,
                asset=asset,
                grant_key=lot.grant_key,
                key=f"activate:{lot.id}",
                occurred_at=lot.activates_at,
            )
            _activated(begun, [lot], wallet, made, world)


def hold(operation: Hold, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Reserve units from the lots that a spend would take."""
    live = wallet.live(world.now)
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    entry.consume(Account.HELD, operation.amount, live)
    made.holds.append(
        HoldRow(operation.member_id, operation.asset, operation.key, operation.amount, operation.expires_at)
    )
    return entry.book(amount=operation.amount)


def _open(operation: Capture | Void, world: World) -> Held | Refused:
    found = world.holds.get((operation.member_id, operation.hold_key))
    if found is None:
        return HoldUnknown()
    if found.state == "captured" and isinstance(operation, Capture):
        return AlreadyPosted()
    return found if found.state == "open" else HoldOver(state=found.state)


def capture(operation: Capture, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Spend what was reserved, as much as is wanted; the rest is usable again."""
    reserved = _open(operation, world)
    if not isinstance(reserved, Held):
        return reserved
    wanted = reserved.amount if operation.amount is None else operation.amount
    if wanted > reserved.amount:
        return CaptureTooLarge(held=reserved.amount)
    entry = Entry(made, operation, wallet)
    left = wanted
    released = []
    for part in reserved.slices:
        spent = min(part.amount, left)
        left -= spent
        if spent:
            entry.post(Account.HELD, Account.SPENT, spent, part.lot)
        if part.amount > spent:
            released.append(Slice(part.lot, part.amount - spent))
    give_back(entry, released, Account.HELD)
    resolve(made, reserved, "captured")
    if any(part.lot.idle for part in reserved.slices):
        touch(made, operation, "spend")
    booked = entry.book(amount=wanted)
    expire_dead(operation, released, wallet, made, world)
    repay(operation, wallet, made, world)
    return booked


def void(operation: Void, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Give a hold up."""
    reserved = _open(operation, world)
    if not isinstance(reserved, Held):
        return reserved
    return _release(Entry(made, operation, wallet), reserved, world, "voided")


def _release(entry: Entry, reserved: Held, world: World, state: HoldState) -> tuple[EntryKey, bool]:
    give_back(entry, reserved.slices, Account.HELD)
    resolve(entry.made, reserved, state)
    booked = entry.book(amount=reserved.amount)
    expire_dead(entry.operation, reserved.slices, entry.wallet, entry.made, world)
    repay(entry.operation, entry.wallet, entry.made, world)
    return booked


def activate(operation: Activate, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Make pending units usable."""
    waiting = [lot for lot in wallet.waiting(operation.grant_key) if not lot.is_lost(operation.occurred_at)]
    if not waiting:
        return NothingPending(key=operation.grant_key)
    return _activated(operation, waiting, wallet, made, world)


def _activated(
    operation: Activate, lots: Sequence[Lot], wallet: Wallet, made: Plan, world: World
) -> tuple[EntryKey, bool]:
    entry = Entry(made, operation, wallet)
    amount = sum(lot.remaining for lot in lots)
    for lot in lots:
        _start(lot, operation, made)
        entry.post(Account.PENDING, Account.AVAILABLE, lot.remaining, lot)
    booked = entry.book(amount=amount)
    repay(operation, wallet, made, world)
    return booked


def _start(lot: Lot, operation: Activate, made: Plan) -> None:
    """The validity clock starts when units become usable."""
    lot.state = "active"
    lot.effective_at = operation.occurred_at
    if lot.expiry is not None:
        lot.expires_at = ends_at(_EXPIRY.validate_python(dict(lot.expiry)), operation.occurred_at, ZoneInfo(lot.zone))
    ensure(lot.id is not None, "a lot is activated after the batch that made it")
    made.lot_updates[lot.id or 0] = LotUpdate("active", lot.effective_at, lot.expires_at)


def cancel(operation: CancelPending, wallet: Wallet, made: Plan) -> Decided:
    """Take pending units back."""
    waiting = wallet.waiting(operation.grant_key)
    amount = min(operation.amount or sum(lot.remaining for lot in waiting), sum(lot.remaining for lot in waiting))
    if not amount:
        return NothingPending(key=operation.grant_key)
    entry = Entry(made, operation, wallet)
    entry.consume(operation.destination, amount, waiting, source=Account.PENDING)
    close_empty(waiting, made)
    return entry.book(amount=amount)


def close_empty(waiting: Sequence[Lot], made: Plan) -> None:
    """A pending lot that holds nothing any more is closed."""
    for lot in waiting:
        if not lot.remaining and lot.id is not None:
            lot.state = "cancelled"
            made.lot_updates[lot.id] = LotUpdate("cancelled", lot.effective_at, lot.expires_at)


def touch(made: Plan, operation: Grant | Spend | Capture, activity: str) -> None:
    """Remember an activity that keeps an inactivity programme alive."""
    made.touches.append(Touch(operation.member_id, operation.asset, activity, operation.occurred_at))
