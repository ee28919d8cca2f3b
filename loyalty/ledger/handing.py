"""What goes from one member to another: usable units, promised ones, reserved ones, debts. Pure.

Every part keeps its own end; nothing that is handed over lives longer for it.
"""

from collections.abc import Sequence
from dataclasses import replace

from loyalty.ledger.booking import Entry, HoldRow, Plan, resolve
from loyalty.ledger.lots import Held, Lot, Slice, Wallet, World
from loyalty.ledger.operations import Account, Assume, Hold, MoveHold, MovePending, Moving, Transfer
from loyalty.ledger.outcomes import HoldOver, HoldUnknown, NotEnough, NothingPending, NothingToDo
from loyalty.ledger.returns import repay
from loyalty.ledger.waiting import Decided, close_empty


def hand_over(operation: Moving, wallet: Wallet, made: Plan, world: World) -> Decided:
    """Move what the operation names to the other member's wallet."""
    target = world.wallets[operation.to_member_id, operation.asset]
    match operation:
        case Transfer():
            return _transfer(operation, wallet, target, made, world)
        case MovePending():
            return _move_pending(operation, wallet, target, made)
        case MoveHold():
            return _move_hold(operation, wallet, target, made, world)
        case Assume():
            return _assume(operation, wallet, target, made, world)


def _transfer(operation: Transfer, wallet: Wallet, target: Wallet, made: Plan, world: World) -> Decided:
    live = [lot for lot in wallet.live(world.now) if not operation.lots or lot.id in operation.lots]
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    taken = entry.consume(Account.TRANSFER, operation.amount, live)
    booked = entry.book(amount=operation.amount)
    for place, part in enumerate(taken):
        _receive(operation, target, part, f"{operation.key}:in:{place}", made)
    repay(_theirs(operation), target, made, world)
    return booked


def _move_pending(operation: MovePending, wallet: Wallet, target: Wallet, made: Plan) -> Decided:
    lot = next((lot for lot in wallet.lots if lot.id == operation.lot_id and lot.state == "pending"), None)
    if lot is None or not lot.remaining:
        return NothingPending(key=operation.key)
    entry, amount = Entry(made, operation, wallet), lot.remaining
    taken = Slice(replace(lot), amount)
    entry.consume(Account.TRANSFER, amount, [lot], source=Account.PENDING)
    close_empty([lot], made)
    booked = entry.book(amount=amount)
    _receive(operation, target, taken, f"{operation.key}:in", made)
    return booked


def _move_hold(operation: MoveHold, wallet: Wallet, target: Wallet, made: Plan, world: World) -> Decided:
    reserved = world.holds.get((operation.member_id, operation.hold_key))
    if reserved is None:
        return HoldUnknown()
    if reserved.state != "open":
        return HoldOver(state=reserved.state)
    entry = Entry(made, operation, wallet)
    for part in reserved.slices:
        entry.post(Account.HELD, Account.TRANSFER, part.amount, part.lot)
    resolve(made, reserved, "moved")
    booked = entry.book(amount=reserved.amount)
    pinned = [
        _receive(operation, target, part, f"{operation.key}:in:{place}", made)
        for place, part in enumerate(reserved.slices)
    ]
    _hold_again(operation, reserved, pinned, target, made, world)
    return booked


def _hold_again(
    operation: MoveHold, reserved: Held, pinned: Sequence[Lot], target: Wallet, made: Plan, world: World
) -> None:
    """The hold is called as before, unless the other member has one of that name."""
    at = (operation.to_member_id, operation.hold_key)
    alias = f"{operation.hold_key}:{operation.key}"
    again = Hold(
        member_id=operation.to_member_id,
        asset=operation.asset,
        amount=reserved.amount,
        key=alias if at in world.booked or at in made.entries else operation.hold_key,
        kind="merge_hold",
        occurred_at=operation.occurred_at,
        expires_at=reserved.expires_at,
        reason={**operation.reason, "from": operation.member_id, "moved_by": operation.key},
    )
    entry = Entry(made, again, target)
    entry.consume(Account.HELD, reserved.amount, pinned)
    called = alias if at in world.holds else operation.hold_key
    made.holds.append(HoldRow(again.member_id, again.asset, again.key, called, again.amount, again.expires_at))
    entry.book(amount=again.amount)


def _assume(operation: Assume, wallet: Wallet, target: Wallet, made: Plan, world: World) -> Decided:
    owed = min(wallet.arrears, operation.amount or wallet.arrears)
    if not owed:
        return NothingToDo()
    entry = Entry(made, operation, wallet)
    entry.post(Account.TRANSFER, Account.ARREARS, owed, None)
    booked = entry.book(amount=owed)
    over = _theirs(operation)
    taken_over = Entry(made, over, target, key=f"{operation.key}:in")
    taken_over.post(Account.ARREARS, Account.TRANSFER, owed, None)
    taken_over.book(amount=owed, kind=operation.kind_in)
    repay(over, target, made, world)
    return booked


def _receive(operation: Moving, target: Wallet, part: Slice, key: str, made: Plan) -> Lot:
    """A lot of the other member with the same dates and place in the order."""
    mine = part.lot
    over = _theirs(operation)
    reason = {**operation.reason, "from": operation.member_id, "lot": mine.id}
    entry = Entry(made, replace(over, reason=reason), target, key=key)
    lot = replace(mine, id=None, place=None, remaining=part.amount, unused=0, is_moved=True, renewed=False)
    entry.fill(lot, Account.TRANSFER)
    entry.book(amount=part.amount, kind=operation.kind_in)
    return lot


def _theirs(operation: Moving) -> Moving:
    """The operation as it looks from the other side."""
    return replace(operation, member_id=operation.to_member_id)
