"""What the ledger should do, in plain Python: lots in lists, written from the rules and not from the code."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loyalty.ledger.service import (
    Activate,
    Asset,
    CancelPending,
    Capture,
    Claw,
    Forgive,
    Grant,
    Hold,
    Operation,
    Reverse,
    Spend,
    TakeBack,
    Transfer,
    Void,
)
from tests.support.ledger_wallet import ModelHold, ModelLot, ModelWallet, Parts

ASSETS = (Asset.POINTS, Asset.GROWTH)


@dataclass(frozen=True)
class Expected:
    """What an operation should answer: the change of what can be used, or the code of the refusal."""

    delta: int = 0
    refusal: str = ""
    replayed: bool = False


class ModelLedger:
    """All wallets and every key ever booked. `debts` are what a merge moved, per key and asset."""

    def __init__(self, member_ids: Sequence[int]) -> None:
        self.wallets = {(member, asset): ModelWallet() for member in member_ids for asset in ASSETS}
        self.booked: dict[tuple[int, str], tuple[tuple[object, ...], Expected]] = {}
        self.debts: dict[tuple[str, Asset], int] = {}
        self._born = 0

    def post_all(self, batch: Sequence[Operation], now: datetime) -> list[Expected]:
        """Book a batch: whatever is not a mere grant looks at its wallets first, and so does who owes."""
        for operation in batch:
            wallet = self.wallets[operation.member_id, operation.asset]
            if not isinstance(operation, Grant) or wallet.arrears:
                wallet.settle(now)
            if isinstance(operation, Transfer):
                self.wallets[operation.to_member_id, operation.asset].settle(now)
        return [self.post(operation, now) for operation in batch]

    def post(self, operation: Operation, now: datetime) -> Expected:
        """Book one operation."""
        at, question = (operation.member_id, operation.key), _question(operation)
        known = self.booked.get(at)
        if known is not None:
            asked, answered = known
            if asked != question:
                return Expected(refusal="ledger.key_reused")
            return Expected(answered.delta, replayed=True)
        answer = self._decide(operation, self.wallets[operation.member_id, operation.asset], now)
        if not answer.refusal:
            self.booked[at] = (question, answer)
        return answer

    def _decide(self, operation: Operation, wallet: ModelWallet, now: datetime) -> Expected:
        match operation:
            case Grant():
                self.add(wallet, operation)
                wallet.repay(now)
                return Expected(0 if operation.pending else operation.amount)
            case Spend() | Hold() | Transfer():
                if sum(lot.remaining for lot in wallet.lots if lot.is_live(now)) < operation.amount:
                    return Expected(refusal="ledger.not_enough")
                self._use(operation, wallet, wallet.take(operation.amount, now), now)
                return Expected(-operation.amount)
            case TakeBack():
                return _take_back(operation, wallet, now)
            case Reverse():
                return _give_back(operation, wallet, now)
            case Capture() | Void():
                return _resolve(operation, wallet, now)
            case Activate():
                return _activate(operation, wallet, now)
            case Forgive():
                forgiven = min(wallet.arrears, operation.amount or wallet.arrears)
                wallet.arrears -= forgiven
                return Expected(forgiven) if forgiven else Expected(refusal="NothingToDo")
            case CancelPending():
                gone = wallet.cancel([operation.grant_key], operation.amount or 10**9)
                return Expected(0) if gone else _NOTHING_PENDING
            case _:
                raise AssertionError(operation)

    def _use(self, operation: Spend | Hold | Transfer, wallet: ModelWallet, parts: Parts, now: datetime) -> None:
        match operation:
            case Spend():
                wallet.taken[operation.key] = parts
            case Hold():
                wallet.holds[operation.key] = ModelHold(
                    operation.amount, parts, operation.expires_at, number=self._next()
                )
            case Transfer():
                target = self.wallets[operation.to_member_id, operation.asset]
                for lot, part in parts:
                    self._copy(target, lot, part)
                target.repay(now)

    def _next(self) -> int:
        self._born += 1
        return self._born

    def add(self, wallet: ModelWallet, given: Grant) -> None:
        """A new lot."""
        wallet.lots.append(
            ModelLot(
                key=given.key,
                remaining=given.amount,
                expires_at=given.expires_at,
                priority=given.priority,
                promotional=given.promotional,
                effective_at=(given.pending and given.pending.activates_at) or given.effective_at or given.occurred_at,
                born=self._next(),
                pending=given.pending is not None,
                activates_at=given.pending.activates_at if given.pending else None,
                cancels_at=given.pending.cancels_at if given.pending else None,
                lasts=timedelta(days=given.pending.expiry["days"]) if given.pending and given.pending.expiry else None,
            )
        )

    def _copy(self, target: ModelWallet, lot: ModelLot, units: int, *, came_by: str = "") -> ModelLot:
        again = replace(lot, remaining=units, unused=0, born=self._next(), came_by=came_by)
        target.lots.append(again)
        return again

    def expire(self, now: datetime) -> int:
        """Close every lot that is over; how many units ended."""
        ended = 0
        for wallet in self.wallets.values():
            if any(lot.is_over(now) and not lot.pending and not lot.closed for lot in wallet.lots):
                wallet.settle(now)
            for lot in wallet.lots:
                if lot.is_over(now) and not lot.pending and not lot.closed:
                    ended += wallet.close(lot)
        return ended

    def settle(self, now: datetime) -> None:
        """Carry out what time has decided, everywhere."""
        for wallet in self.wallets.values():
            wallet.settle(now)

    def move(self, source: int, target: int, key: str, now: datetime, only: str | None = None) -> int:
        """Everything goes over, each lot with its own end, holds with what they pin, debts; how many usable units
        went. `only` is the merge that is undone: what came by it and is still there."""
        moved = 0
        for asset in ASSETS:
            giving, taking = self.wallets[source, asset], self.wallets[target, asset]
            giving.settle(now)
            taking.settle(now)
            self._move_holds(giving, taking, key, only)
            moved += self._move_lots(giving, taking, key, now, only)
            owed = giving.arrears if only is None else min(giving.arrears, self.debts.pop((only, asset), 0))
            giving.arrears -= owed
            taking.arrears += owed
            if owed and only is None:
                self.debts[key, asset] = owed
            taking.repay(now)
        return moved

    def _move_holds(self, giving: ModelWallet, taking: ModelWallet, key: str, only: str | None) -> None:
        for name, hold in list(giving.holds.items()):
            if hold.state == "open" and only in {None, hold.came_by}:
                hold.state = "moved"
                parts = [(self._copy(taking, lot, 0, came_by=key), part) for lot, part in hold.parts]
                del giving.holds[name]
                taking.holds[name] = ModelHold(hold.amount, parts, hold.ends, number=self._next(), came_by=key)

    def _move_lots(self, giving: ModelWallet, taking: ModelWallet, key: str, now: datetime, only: str | None) -> int:
        mine = [lot for lot in giving.lots if lot.remaining and only in {None, lot.came_by}]
        usable = [lot for lot in mine if lot.is_live(now)]
        moved = sum(lot.remaining for lot in usable)
        waiting = [lot for lot in mine if lot.pending]
        ordered = [*sorted(usable, key=ModelLot.place), *waiting] if only is None else [*waiting, *usable]
        for lot in ordered:
            self._copy(taking, lot, lot.remaining, came_by=key)
            lot.remaining = 0
            if only is not None:
                taking.repay(now)
        taking.repay(now)
        return moved


_NOTHING_PENDING = Expected(refusal="ledger.nothing_pending")


def _question(operation: Operation) -> tuple[object, ...]:
    names = ("reverses_key", "grant_key", "hold_key", "to_member_id", "activates_at")
    values = {name: getattr(operation, name, None) for name in names}
    named = tuple(sorted((name, value) for name, value in values.items() if value is not None))
    kind = operation.kind if isinstance(operation, Grant | Spend | TakeBack) else ""
    if isinstance(operation, Grant):
        named = ()  # what a lot is known by does not make it another gift
    return (type(operation).__name__, operation.asset, getattr(operation, "amount", None), kind, named)


def _take_back(operation: TakeBack, wallet: ModelWallet, now: datetime) -> Expected:
    left = operation.amount - wallet.cancel(operation.reverses, operation.amount)
    left -= _find_gone(operation.reverses, wallet, left, now)
    taken = owed = 0
    if operation.policy.mode is not Claw.ONLY_PENDING:
        taken = min(left, sum(lot.remaining for lot in wallet.lots if lot.is_live(now)))
        wallet.take(taken, now, first=operation.reverses)
    if operation.policy.mode is Claw.ALLOW:
        owed = min(left - taken, max(0, operation.policy.cap - wallet.arrears))
        wallet.arrears += owed
    return Expected(-taken - owed)


def _find_gone(keys: Sequence[str], wallet: ModelWallet, most: int, now: datetime) -> int:
    """What of these grants ended unused is gone already, and counts once."""
    gone = 0
    for lot in wallet.lots:
        if lot.key in keys:
            if lot.is_over(now) and not lot.pending and not lot.closed:
                wallet.close(lot)
            part = min(lot.unused, most - gone)
            lot.unused -= part
            gone += part
    return gone


def _activate(operation: Activate, wallet: ModelWallet, now: datetime) -> Expected:
    waiting = [lot for lot in wallet.lots if lot.pending and lot.key == operation.grant_key and lot.remaining]
    if not waiting:
        return _NOTHING_PENDING
    begins = operation.activates_at or operation.occurred_at
    for lot in waiting:
        if lot.activates_at is None or lot.activates_at > begins or begins > now:
            lot.start(begins)
        if begins > now:
            lot.activates_at, lot.cancels_at = begins, None
        else:
            lot.pending = False
    if begins > now:
        return Expected(0)
    wallet.repay(now)
    return Expected(sum(lot.remaining for lot in waiting))


def _give_back(operation: Reverse, wallet: ModelWallet, now: datetime) -> Expected:
    left = wallet.taken.get(operation.reverses_key, [])
    most = sum(part for _, part in left)
    wanted = most if operation.amount is None else operation.amount
    if not 0 < wanted <= most:
        return Expected(refusal="ledger.nothing_to_reverse")
    open_amount = wanted
    back: Parts = []
    rest: Parts = []
    for lot, part in reversed(left):
        units = min(part, open_amount)
        open_amount -= units
        back.append((lot, units))
        if part > units:
            rest.insert(0, (lot, part - units))
    wallet.taken[operation.reverses_key] = rest
    wallet.take_in(back, now)
    # The statement shows the whole return, then the end of what died meanwhile on lines of its own.
    return Expected(wanted)


def _resolve(operation: Capture | Void, wallet: ModelWallet, now: datetime) -> Expected:
    hold = wallet.holds.get(operation.hold_key)
    if hold is None:
        return Expected(refusal="ledger.hold_unknown")
    if hold.state == "captured" and isinstance(operation, Capture):
        return Expected(refusal="ledger.already_posted")
    if hold.state != "open":
        return Expected(refusal="ledger.hold_over")
    wanted = 0
    if isinstance(operation, Capture):
        wanted = hold.amount if operation.amount is None else operation.amount
        if wanted > hold.amount:
            return Expected(refusal="ledger.capture_too_large")
    hold.state = "captured" if isinstance(operation, Capture) else "voided"
    left = wanted
    spent: Parts = []
    back: Parts = []
    for lot, part in hold.parts:
        units = min(part, left)
        left -= units
        if units:
            spent.append((lot, units))
        if part > units:
            back.append((lot, part - units))
    if spent:
        wallet.taken[operation.key] = spent
    wallet.take_in(back, now)
    return Expected(hold.amount - wanted)
