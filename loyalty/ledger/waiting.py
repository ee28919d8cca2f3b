"""Units that are the member's and not usable: reserved by a hold, or promised and pending. Pure.

Time alone ends a hold and activates pending units; whoever plans on a wallet books that first (`settle`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from loyalty.expiry import Expiry, ends_at
from loyalty.ledger.booking import Entry, HoldRow, Plan, resolve, restate, touch
from loyalty.ledger.lots import EntryKey, Held, Lot, Slice, Wallet, World
from loyalty.ledger.operations import (
    Account,
    Activate,
    Asset,
    CancelPending,
    Capture,
    Hold,
    HoldState,
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
    """Book what time alone has decided since the wallet was last touched: each thing as an entry of its own, in the
    order and as of the instant at which it happened, so that nothing depends on when somebody looked."""
    for at, _, _, what in sorted(_due(wallet, world.now), key=lambda due: due[:3]):
        then = replace(world, now=at)
        if isinstance(what, Held):
            ended = Void(
                member_id=member_id,
                asset=asset,
                hold_key=what.key,
                key=f"hold_expired:{what.id}",
                kind="hold_expired",
                occurred_at=at,
            )
            _release(Entry(made, ended, wallet), what, then, "expired")
        elif what.is_due(at):
            begun = Activate(
                member_id=member_id, asset=asset, grant_key=what.grant_key, key=f"activate:{what.id}", occurred_at=at
            )
            _activated(begun, [what], wallet, made, then)
        else:
            _lapse(member_id, asset, what, at, wallet, made)


def _due(wallet: Wallet, now: datetime) -> Iterator[tuple[datetime, int, int, Held | Lot]]:
    for lot in wallet.lots:
        if lot.remaining and lot.id is not None:
            if lot.is_due(now) and lot.activates_at is not None:
                yield lot.activates_at, 0, lot.id, lot
            elif lot.is_lost(now) and lot.cancels_at is not None:
                yield lot.cancels_at, 2, lot.id, lot
    for reserved in wallet.holds:
        if reserved.is_over(now) and reserved.id is not None:
            yield reserved.expires_at, 1, reserved.id, reserved


def _lapse(member_id: int, asset: Asset, lot: Lot, at: datetime, wallet: Wallet, made: Plan) -> None:
    lapsed = CancelPending(
        member_id=member_id,
        asset=asset,
        grant_key=lot.grant_key,
        key=f"lapsed:{lot.id}",
        kind="lapsed",
        occurred_at=at,
    )
    entry, amount = Entry(made, lapsed, wallet), lot.remaining
    entry.consume(Account.LAPSED, amount, [lot], source=Account.PENDING)
    entry.end_unused(lot, amount)
    close_empty([lot], made)
    entry.book(amount=amount)


def hold(operation: Hold, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Reserve units from the lots that a spend would take."""
    live = wallet.live(world.now)
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    entry.consume(Account.HELD, operation.amount, live)
    made.holds.append(
        HoldRow(
            operation.member_id, operation.asset, operation.key, operation.key, operation.amount, operation.expires_at
        )
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
    if wallet.is_idle:
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
    """Make pending units usable, or say from when on they are by themselves."""
    waiting = wallet.waiting(operation.grant_key)
    if not waiting:
        return NothingPending(key=operation.grant_key)
    if operation.activates_at is not None and operation.activates_at > world.now:
        return _scheduled(operation, operation.activates_at, waiting, wallet, made)
    return _activated(operation, waiting, wallet, made, world)


def _scheduled(
    operation: Activate, begins: datetime, lots: Sequence[Lot], wallet: Wallet, made: Plan
) -> tuple[EntryKey, bool]:
    """The event has come; from now on these units wait for a date, and nothing takes that from them by itself."""
    for lot in lots:
        _date(lot, begins)
        lot.activates_at, lot.event, lot.cancels_at = begins, None, None
        restate(made, lot, "pending")
    return Entry(made, operation, wallet).book(amount=sum(lot.remaining for lot in lots), kind="scheduled")


def _activated(
    operation: Activate, lots: Sequence[Lot], wallet: Wallet, made: Plan, world: World
) -> tuple[EntryKey, bool]:
    entry = Entry(made, operation, wallet)
    amount, begins = sum(lot.remaining for lot in lots), operation.activates_at or operation.occurred_at
    for lot in lots:
        if lot.activates_at is None or lot.activates_at > begins:
            _date(lot, begins)
        restate(made, lot, "active")
        entry.post(Account.PENDING, Account.AVAILABLE, lot.remaining, lot)
    booked = entry.book(amount=amount)
    repay(operation, wallet, made, world)
    return booked


def _date(lot: Lot, begins: datetime) -> None:
    """The validity clock starts when units become usable."""
    lot.effective_at = begins
    if lot.expiry is not None:
        lot.expires_at = ends_at(_EXPIRY.validate_python(dict(lot.expiry)), begins, ZoneInfo(lot.zone))


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
            restate(made, lot, "cancelled")
