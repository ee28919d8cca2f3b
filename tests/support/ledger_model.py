"""What the ledger should do, in plain Python: lots in lists, written from the rules and not from the code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loyalty.ledger.service import (
    Activate,
    Asset,
    CancelPending,
    Capture,
    Claw,
    Grant,
    Hold,
    Operation,
    Reverse,
    Spend,
    TakeBack,
    Transfer,
    Void,
)

FOREVER = datetime.max.replace(tzinfo=UTC)
ASSETS = (Asset.POINTS, Asset.GROWTH)


@dataclass(eq=False)
class ModelLot:
    """Units that came together; `born` is the order in which lots were made."""

    key: str
    remaining: int
    expires_at: datetime | None
    priority: int
    promotional: bool
    effective_at: datetime
    born: int
    pending: bool = False
    activates_at: datetime | None = None

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_live(self, now: datetime) -> bool:
        return not self.pending and not self.is_over(now)

    def is_due(self, now: datetime) -> bool:
        return self.pending and self.activates_at is not None and self.activates_at <= now

    def place(self) -> tuple[object, ...]:
        return (self.priority, self.expires_at or FOREVER, not self.promotional, self.effective_at, self.born)


Parts = list[tuple[ModelLot, int]]


@dataclass(eq=False)
class ModelHold:
    """Units set aside, in taking order."""

    amount: int
    parts: Parts
    ends: datetime
    state: str = "open"


@dataclass
class ModelWallet:
    """One member's units of one asset, what spends may still give back in taking order, holds and debts."""

    lots: list[ModelLot] = field(default_factory=list)
    taken: dict[str, Parts] = field(default_factory=dict)
    holds: dict[str, ModelHold] = field(default_factory=dict)
    arrears: int = 0

    def usable(self, now: datetime) -> int:
        """What can be spent now, less what is owed; time alone starts and ends things."""
        live = sum(lot.remaining for lot in self.lots if lot.is_live(now) or (lot.is_due(now) and not lot.is_over(now)))
        ended = [hold for hold in self.holds.values() if hold.state == "open" and hold.ends <= now]
        back = sum(part for hold in ended for lot, part in hold.parts if not lot.is_over(now))
        return live + back - self.arrears

    def settle(self, now: datetime) -> None:
        """What time has decided is carried out whenever the wallet is used."""
        for hold in self.holds.values():
            if hold.state == "open" and hold.ends <= now:
                hold.state = "expired"
                self.take_in(hold.parts, now)
        for lot in self.lots:
            if lot.is_due(now) and lot.remaining:
                lot.pending = False
                lot.effective_at = lot.activates_at or lot.effective_at
                self.repay(now)

    def take_in(self, parts: Parts, now: datetime) -> None:
        """Units come back to their lots; in a lot that is over they are gone at once."""
        for lot, part in parts:
            if not lot.is_over(now):
                lot.remaining += part
        self.repay(now)

    def repay(self, now: datetime) -> None:
        paid = min(self.arrears, sum(lot.remaining for lot in self.lots if lot.is_live(now)))
        self.take(paid, now)
        self.arrears -= paid

    def take(self, amount: int, now: datetime, *, first: tuple[str, ...] = ()) -> Parts:
        def place(lot: ModelLot) -> tuple[object, ...]:
            return (lot.key not in first, *lot.place())

        taken = []
        for lot in sorted((lot for lot in self.lots if lot.is_live(now)), key=place):
            part = min(lot.remaining, amount)
            if part:
                lot.remaining -= part
                amount -= part
                taken.append((lot, part))
        assert amount == 0
        return taken

    def cancel(self, keys: Sequence[str], most: int) -> int:
        """Pending units of these grants go; how many."""
        gone = 0
        for key in keys:
            for lot in self.lots:
                if lot.pending and lot.key == key:
                    part = min(lot.remaining, most - gone)
                    lot.remaining -= part
                    gone += part
        return gone


@dataclass(frozen=True)
class Expected:
    """What an operation should answer: the change of what can be used, or the code of the refusal."""

    delta: int = 0
    refusal: str = ""
    replayed: bool = False


class ModelLedger:
    """All wallets and every key ever booked."""

    def __init__(self, member_ids: Sequence[int]) -> None:
        self.wallets = {(member, asset): ModelWallet() for member in member_ids for asset in ASSETS}
        self.booked: dict[tuple[int, str], tuple[tuple[object, ...], Expected]] = {}
        self._born = 0

    def post_all(self, batch: Sequence[Operation], now: datetime) -> list[Expected]:
        """Book a batch: whatever is not a mere grant looks at its wallet first."""
        for operation in batch:
            if not isinstance(operation, Grant):
                self.wallets[operation.member_id, operation.asset].settle(now)
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
                own = (lot for lot in wallet.lots if lot.pending and lot.key == operation.grant_key)
                waiting = [lot for lot in own if lot.remaining]
                for lot in waiting:
                    lot.pending, lot.effective_at = False, operation.occurred_at
                amount = sum(lot.remaining for lot in waiting)
                wallet.repay(now)
                return Expected(amount) if waiting else _NOTHING_PENDING
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
                wallet.holds[operation.key] = ModelHold(operation.amount, parts, operation.expires_at)
            case Transfer():
                target = self.wallets[operation.to_member_id, operation.asset]
                for lot, part in parts:
                    self._copy(target, lot, part)
                    target.repay(now)

    def add(self, wallet: ModelWallet, given: Grant) -> None:
        """A new lot."""
        self._born += 1
        wallet.lots.append(
            ModelLot(
                key=given.key,
                remaining=given.amount,
                expires_at=given.expires_at,
                priority=given.priority,
                promotional=given.promotional,
                effective_at=(given.pending and given.pending.activates_at) or given.effective_at or given.occurred_at,
                born=self._born,
                pending=given.pending is not None,
                activates_at=given.pending.activates_at if given.pending else None,
            )
        )

    def _copy(self, target: ModelWallet, lot: ModelLot, units: int) -> None:
        self._born += 1
        target.lots.append(
            ModelLot(
                key=lot.key,
                remaining=units,
                expires_at=lot.expires_at,
                priority=lot.priority,
                promotional=lot.promotional,
                effective_at=lot.effective_at,
                born=self._born,
                pending=lot.pending,
                activates_at=lot.activates_at,
            )
        )

    def expire(self, now: datetime) -> int:
        """Close every lot that is over; how many units ended."""
        ended = 0
        for wallet in self.wallets.values():
            if any(lot.is_over(now) and lot.remaining and not lot.pending for lot in wallet.lots):
                wallet.settle(now)
            for lot in wallet.lots:
                if lot.is_over(now) and not lot.pending:
                    ended += lot.remaining
                    lot.remaining = 0
        return ended

    def settle(self, now: datetime) -> None:
        """Carry out what time has decided, everywhere."""
        for wallet in self.wallets.values():
            wallet.settle(now)

    def move(self, source: int, target: int, now: datetime) -> int:
        """Everything goes over, each lot with its own end, holds as they were; how many usable units went."""
        moved = 0
        for asset in ASSETS:
            giving, taking = self.wallets[source, asset], self.wallets[target, asset]
            giving.settle(now)
            held = {key: hold for key, hold in giving.holds.items() if hold.state == "open"}
            for hold in held.values():
                hold.state = "voided"
                giving.take_in(hold.parts, now)
            taking.settle(now)
            live = sorted((lot for lot in giving.lots if lot.remaining and lot.is_live(now)), key=ModelLot.place)
            for lot in [*live, *(lot for lot in giving.lots if lot.pending and lot.remaining)]:
                self._copy(taking, lot, lot.remaining)
                taking.repay(now)
                moved += 0 if lot.pending else lot.remaining
                lot.remaining = 0
            taking.arrears += giving.arrears
            giving.arrears = 0
            taking.repay(now)
            for key, hold in held.items():
                if sum(lot.remaining for lot in taking.lots if lot.is_live(now)) >= hold.amount:
                    taking.holds[key] = ModelHold(hold.amount, taking.take(hold.amount, now), hold.ends)
                    self.booked[target, key] = self.booked[source, key]
        return moved


_NOTHING_PENDING = Expected(refusal="ledger.nothing_pending")


def _question(operation: Operation) -> tuple[object, ...]:
    names = ("reverses_key", "grant_key", "hold_key", "to_member_id")
    values = {name: getattr(operation, name, None) for name in names}
    named = tuple(sorted((name, value) for name, value in values.items() if value is not None))
    kind = operation.kind if isinstance(operation, Grant | Spend | Hold | TakeBack) else ""
    if isinstance(operation, Grant):
        named = ()  # what a lot is known by does not make it another gift
    return (type(operation).__name__, operation.asset, getattr(operation, "amount", None), kind, named)


def _take_back(operation: TakeBack, wallet: ModelWallet, now: datetime) -> Expected:
    left = operation.amount - wallet.cancel(operation.reverses, operation.amount)
    taken = owed = 0
    if operation.policy.mode is not Claw.ONLY_PENDING:
        taken = min(left, sum(lot.remaining for lot in wallet.lots if lot.is_live(now)))
        wallet.take(taken, now, first=operation.reverses)
    if operation.policy.mode is Claw.ALLOW:
        owed = min(left - taken, max(0, operation.policy.cap - wallet.arrears))
        wallet.arrears += owed
    return Expected(-taken - owed)


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
