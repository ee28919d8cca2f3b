"""Planning a batch: pure decisions from wallets and operations to rows. No I/O, no clock.

Lots are consumed by priority, then the earlier expiry, promotional before paid, the earlier effect,
then age; the same order serves spending, holding and claw-back. A lot that is past its expiry is never used,
a pending lot whose time has come is, and a hold whose time is over is none, whether or not a sweep came by.
"""

from collections.abc import Sequence
from dataclasses import replace

from loyalty.errors import ensure
from loyalty.ledger import waiting
from loyalty.ledger.booking import Entry, Plan
from loyalty.ledger.lots import Booked, EntryKey, Lot, Slice, Wallet, World
from loyalty.ledger.operations import (
    Account,
    Activate,
    Assume,
    CancelPending,
    Capture,
    Claw,
    Expire,
    Grant,
    Hold,
    Operation,
    Reverse,
    Settle,
    Spend,
    TakeBack,
    Transfer,
    Void,
    fingerprint,
)
from loyalty.ledger.outcomes import (
    KeyReused,
    NotEnough,
    NothingToDo,
    NothingToReverse,
    Refused,
)
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
            return _expire(operation, wallet, made)
        case Settle():
            return NothingToDo()
        case Assume():
            return _assume(operation, wallet, made, world)
        case Transfer():
            return _transfer(operation, wallet, made, world)
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
    if operation.idle is not None:
        waiting.touch(made, operation, "earn")
    repay(operation, wallet, made, world)
    return booked


def _spend(operation: Spend, wallet: Wallet, made: Plan, world: World) -> Decided:
    live = wallet.live(world.now)
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    entry.consume(operation.destination, operation.amount, live)
    if any(lot.idle for lot in live):
        waiting.touch(made, operation, "spend")
    return entry.book(amount=operation.amount)


def _take_back(operation: TakeBack, wallet: Wallet, made: Plan, world: World) -> Decided:
    entry, left = Entry(made, operation, wallet), operation.amount
    promised = [lot for key in operation.reverses for lot in wallet.waiting(key)]
    cancelled = min(left, sum(lot.remaining for lot in promised))
    if cancelled:
        entry.consume(Account.CANCELLED, cancelled, promised, source=Account.PENDING)
        waiting.close_empty(promised, made)
        left -= cancelled
    if operation.policy.mode is not Claw.ONLY_PENDING:
        left -= _take_usable(entry, left, world)
    if operation.policy.mode is Claw.ALLOW:
        owed = min(left, max(0, operation.policy.cap - wallet.arrears))
        if owed:
            entry.post(Account.ARREARS, Account.CLAWED_BACK, owed, None)
            left -= owed
    if left:
        entry.post(Account.FORGIVEN, Account.CLAWED_BACK, left, None)
    origin = next(
        (world.booked[at] for key in operation.reverses if (at := (operation.member_id, key)) in world.booked), None
    )
    return entry.book(amount=operation.amount, reverses_id=origin.id if origin else None)


def _take_usable(entry: Entry, wanted: int, world: World) -> int:
    operation = entry.operation
    own = operation.reverses if isinstance(operation, TakeBack) else ()
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


def _expire(operation: Expire, wallet: Wallet, made: Plan) -> Decided:
    lot = next((lot for lot in wallet.lots if lot.id == operation.lot_id and lot.state == "active"), None)
    if lot is None or not lot.remaining:
        return NothingToDo()
    ensure(lot.expires_at is not None and lot.expires_at <= operation.occurred_at, "only what is over expires")
    entry, amount = Entry(made, operation, wallet), lot.remaining
    entry.consume(Account.EXPIRED, amount, [lot])
    return entry.book(amount=amount)


def _transfer(operation: Transfer, wallet: Wallet, made: Plan, world: World) -> Decided:
    live = [lot for lot in wallet.live(world.now) if not operation.lots or lot.id in operation.lots]
    usable = sum(lot.remaining for lot in live)
    if usable < operation.amount:
        return NotEnough(wanted=operation.amount, available=usable)
    entry = Entry(made, operation, wallet)
    taken = entry.consume(Account.TRANSFER, operation.amount, live)
    booked = entry.book(amount=operation.amount)
    target = world.wallets[operation.to_member_id, operation.asset]
    for place, part in enumerate(taken):
        _grant(_received(operation, part, place), target, made, world)
    return booked


def _received(operation: Transfer, part: Slice, place: int) -> Grant:
    return Grant(
        member_id=operation.to_member_id,
        asset=operation.asset,
        amount=part.amount,
        key=f"{operation.key}:in:{place}",
        kind=operation.kind_in,
        occurred_at=operation.occurred_at,
        reason={**operation.reason, "from": operation.member_id, "lot": part.lot.id},
        effective_at=part.lot.effective_at,
        expires_at=part.lot.expires_at,
        priority=part.lot.priority,
        promotional=part.lot.promotional,
        source=Account.TRANSFER,
        idle=part.lot.idle,
        grant_key=part.lot.grant_key,
    )


def _assume(operation: Assume, wallet: Wallet, made: Plan, world: World) -> Decided:
    owed = wallet.arrears
    if not owed:
        return NothingToDo()
    entry = Entry(made, operation, wallet)
    entry.post(Account.TRANSFER, Account.ARREARS, owed, None)
    booked = entry.book(amount=owed)
    over = replace(
        operation, member_id=operation.to_member_id, reason={**operation.reason, "from": operation.member_id}
    )
    target = world.wallets[operation.to_member_id, operation.asset]
    taken_over = Entry(made, over, target, key=f"{operation.key}:in")
    taken_over.post(Account.ARREARS, Account.TRANSFER, owed, None)
    taken_over.book(amount=owed, kind=operation.kind_in)
    repay(over, target, made, world)
    return booked
