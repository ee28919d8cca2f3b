"""Planning a batch: pure decisions from wallets and operations to rows. No I/O, no clock.

Lots are consumed by priority, then the earlier expiry, promotional before paid, the earlier effect,
then age; the same order serves spending, holding and claw-back. A lot that is past its expiry is never used,
a pending lot whose time has come is, and a hold whose time is over is none, whether or not a sweep came by.
"""

from collections.abc import Sequence

from loyalty.ledger import handing, waiting
from loyalty.ledger.booking import Entry, Plan, restate, touch
from loyalty.ledger.lots import Booked, EntryKey, Lot, Slice, Wallet, World
from loyalty.ledger.operations import (
    Account,
    Activate,
    Assume,
    CancelPending,
    Capture,
    Claw,
    Expire,
    Forgive,
    Grant,
    Hold,
    MoveHold,
    MovePending,
    Operation,
    Reverse,
    Settle,
    Spend,
    TakeBack,
    Transfer,
    Void,
)
from loyalty.ledger.outcomes import (
    KeyReused,
    NotEnough,
    NothingToDo,
    NothingToReverse,
    Refused,
)
from loyalty.ledger.questions import fingerprint
from loyalty.ledger.returns import expire_dead, give_back, last_taken_first, repay, without
from loyalty.ledger.waiting import Decided


def plan(operations: Sequence[Operation], world: World) -> Plan:
    """Decide the whole batch in order; each operation sees the ones before it."""
    made = Plan()
    for (member_id, asset), wallet in world.wallets.items():
        if wallet.holds or wallet.pending:
            waiting.settle(member_id, asset, wallet, made, world)
    for operation in operations:
        made.results.append(_replay(operation, made, world) or _decide(operation, made, world))
    return made


def _replay(operation: Operation, made: Plan, world: World) -> tuple[EntryKey, bool] | Booked | Refused | None:
    at = (operation.member_id, operation.key)
    known = made.entries.get(at) or world.booked.get(at)
    if known is None:
        return None
    if known.fingerprint != fingerprint(operation):
        return KeyReused(key=operation.key)
    return known if isinstance(known, Booked) else (at, True)


def _decide(operation: Operation, made: Plan, world: World) -> Decided:
    wallet = world.wallets[operation.member_id, operation.asset]
    match operation:
        case Grant():
            return _grant(operation, wallet, made, world)
        case Spend():
            return _spend(operation, wallet, made, world)
        case TakeBack():
            return _take_back(operation, wallet, made, world)
        case Reverse():
            return _reverse(operation, wallet, made, world)
        case Expire():
            return _expire(operation, wallet, made, world)
        case Forgive():
            return _forgive(operation, wallet, made)
        case Settle():
            return NothingToDo()
        case Transfer() | Assume() | MoveHold() | MovePending():
            return handing.hand_over(operation, wallet, made, world)
        case _:
            return _decide_waiting(operation, wallet, made, world)


def _decide_waiting(
    operation: Hold | Capture | Void | Activate | CancelPending, wallet: Wallet, made: Plan, world: World
) -> Decided:
    match operation:
        case Hold():
            return waiting.hold(operation, wallet, made, world)
        case Capture():
            return waiting.capture(operation, wallet, made, world)
        case Void():
            return waiting.void(operation, wallet, made, world)
        case Activate():
            return waiting.activate(operation, wallet, made, world)
        case CancelPending():
            return waiting.cancel(operation, wallet, made)


def _grant(operation: Grant, wallet: Wallet, made: Plan, world: World) -> Decided:
    entry, waits = Entry(made, operation, wallet), operation.pending
    lot = Lot(
        id=None,
        remaining=operation.amount,
        expires_at=operation.expires_at,
        priority=operation.priority,
        promotional=operation.promotional,
        effective_at=(waits and waits.activates_at) or operation.effective_at or operation.occurred_at,
        grant_key=operation.grant_key or operation.key,
        state="pending" if waits else "active",
        activates_at=waits.activates_at if waits else None,
        event=waits.event if waits else None,
        cancels_at=waits.cancels_at if waits else None,
        expiry=waits.expiry if waits else None,
        zone=waits.zone if waits else "",
        idle=operation.idle,
    )
    entry.fill(lot, operation.source)
    booked = entry.book(amount=operation.amount)
    if wallet.is_idle and operation.source is Account.ISSUED:
        touch(made, operation, "earn")
    repay(operation, wallet, made, world)
    return booked


def _spend(operation: Spend, wallet: Wallet, made: Plan, world: World) -> Decided:
    live = wallet.live(world.now)
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    entry.consume(operation.destination, operation.amount, live)
    if wallet.is_idle:
        touch(made, operation, "spend")
    return entry.book(amount=operation.amount)


def _take_back(operation: TakeBack, wallet: Wallet, made: Plan, world: World) -> Decided:
    _close_dead(operation, wallet, made, world)
    entry, mode = Entry(made, operation, wallet), operation.policy.mode
    left = operation.amount - _take_pending(entry, operation)
    gone = _find_gone(entry, operation, left)
    left -= gone
    if mode is not Claw.ONLY_PENDING:
        left -= _take_usable(entry, operation, left, world)
    if mode is Claw.ALLOW:
        owed = min(left, max(0, operation.policy.cap - wallet.arrears))
        if owed:
            entry.post(Account.ARREARS, Account.CLAWED_BACK, owed, None)
            left -= owed
    if left:
        entry.post(Account.FORGIVEN, Account.CLAWED_BACK, left, None)
    origin = next(
        (world.booked[at] for key in operation.reverses if (at := (operation.member_id, key)) in world.booked), None
    )
    return entry.book(amount=operation.amount - gone, reverses_id=origin.id if origin else None)


def _close_dead(operation: TakeBack, wallet: Wallet, made: Plan, world: World) -> None:
    """What of these grants is over is booked as expired first, whether or not a sweep came by."""
    for lot in wallet.lots:
        is_own = lot.id is not None and lot.state == "active" and lot.grant_key in operation.reverses
        if is_own and lot.expires_at is not None and lot.expires_at <= world.now:
            closing = Expire(
                member_id=operation.member_id, asset=operation.asset, lot_id=lot.id or 0, occurred_at=lot.expires_at
            )
            _expire(closing, wallet, made, world)


def _take_pending(entry: Entry, operation: TakeBack) -> int:
    promised = [lot for key in operation.reverses for lot in entry.wallet.waiting(key)]
    taken = min(operation.amount, sum(lot.remaining for lot in promised))
    if taken:
        entry.consume(Account.CANCELLED, taken, promised, source=Account.PENDING)
        waiting.close_empty(promised, entry.made)
    return taken


def _find_gone(entry: Entry, operation: TakeBack, wanted: int) -> int:
    """Units of these grants that lapsed or expired count as gone, each once."""
    gone = 0
    for lot in [lot for lot in entry.wallet.lots if lot.grant_key in operation.reverses]:
        counted = min(wanted - gone, lot.unused)
        if counted:
            ended_as = Account.LAPSED if lot.state == "cancelled" else Account.EXPIRED
            entry.post(ended_as, Account.CLAWED_BACK, counted, lot)
            entry.end_unused(lot, -counted)
            gone += counted
    return gone


def _take_usable(entry: Entry, operation: TakeBack, wanted: int, world: World) -> int:
    own = operation.reverses
    live = sorted(entry.wallet.live(world.now), key=lambda lot: (lot.grant_key not in own, *lot.order()))
    taken = min(wanted, sum(lot.remaining for lot in live))
    if taken:
        entry.consume(Account.CLAWED_BACK, taken, live)
    return taken


def _reverse(operation: Reverse, wallet: Wallet, made: Plan, world: World) -> Decided:
    at = (operation.member_id, operation.reverses_key)
    origin, left = world.booked.get(at), world.taken.get(at, [])
    whole = sum(part.amount for part in left)
    wanted = whole if operation.amount is None else operation.amount
    if origin is None or not 0 < wanted <= whole:
        return NothingToReverse(key=operation.reverses_key)
    restored = last_taken_first(left, wanted)
    world.taken[at] = without(left, restored)
    entry = Entry(made, operation, wallet)
    give_back(entry, restored, Account.SPENT)
    booked = entry.book(amount=wanted, reverses_id=origin.id)
    expire_dead(operation, restored, wallet, made, world)
    if operation.grace is not None:
        _give_grace(operation, restored, wallet, made, world)
    repay(operation, wallet, made, world)
    return booked


def _give_grace(operation: Reverse, restored: Sequence[Slice], wallet: Wallet, made: Plan, world: World) -> None:
    dead = sum(part.amount for part in restored if not part.lot.is_live(world.now))
    if dead and operation.grace is not None:
        again = Grant(
            member_id=operation.member_id,
            asset=operation.asset,
            amount=dead,
            key=f"{operation.key}:grace",
            kind="grace",
            occurred_at=operation.occurred_at,
            expires_at=operation.grace.expires_at,
            reason={**operation.reason, "reverses": operation.reverses_key},
            source=Account.GOODWILL,
        )
        _grant(again, wallet, made, world)


def _expire(operation: Expire, wallet: Wallet, made: Plan, world: World) -> Decided:
    lot = next((lot for lot in wallet.lots if lot.id == operation.lot_id and lot.state == "active"), None)
    if lot is None or lot.is_live(world.now):
        # An activity may have moved the end of the lot since the sweep saw it.
        return NothingToDo()
    entry, amount = Entry(made, operation, wallet), lot.remaining
    entry.consume(Account.EXPIRED, amount, [lot])
    if amount:
        entry.end_unused(lot, amount)
    restate(made, lot, "closed")
    return entry.book(amount=amount)


def _forgive(operation: Forgive, wallet: Wallet, made: Plan) -> Decided:
    amount = min(wallet.arrears, operation.amount or wallet.arrears)
    if not amount:
        return NothingToDo()
    entry = Entry(made, operation, wallet)
    entry.post(Account.FORGIVEN, Account.ARREARS, amount, None)
    return entry.book(amount=amount)
