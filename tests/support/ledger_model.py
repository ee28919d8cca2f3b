"""What the ledger should do, in plain Python: lots in lists, written from the rules and not from the code."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from loyalty.ledger.service import Asset, Grant, Operation, Reverse, Spend, TakeBack

FOREVER = datetime.max.replace(tzinfo=UTC)


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

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at

    def place(self) -> tuple[object, ...]:
        return (self.priority, self.expires_at or FOREVER, not self.promotional, self.effective_at, self.born)


@dataclass
class ModelWallet:
    """One member's units of one asset, and per spend what may still be given back, in taking order."""

    lots: list[ModelLot] = field(default_factory=list)
    taken: dict[str, list[tuple[ModelLot, int]]] = field(default_factory=dict)

    @property
    def balance(self) -> int:
        return sum(lot.remaining for lot in self.lots)

    def usable(self, now: datetime) -> int:
        return sum(lot.remaining for lot in self.lots if lot.is_live(now))


@dataclass(frozen=True)
class Expected:
    """What an operation should answer: the change and the balance, or the code of the refusal."""

    delta: int = 0
    balance: int = 0
    refusal: str = ""
    replayed: bool = False


class ModelLedger:
    """All wallets and every key ever booked."""

    def __init__(self, member_ids: Sequence[int]) -> None:
        self.wallets = {(member, asset): ModelWallet() for member in member_ids for asset in Asset}
        self.booked: dict[tuple[int, str], tuple[tuple[object, ...], Expected]] = {}
        self._born = 0

    def post(self, operation: Operation, now: datetime) -> Expected:
        """Book one operation."""
        at, question = (operation.member_id, operation.key), _question(operation)
        known = self.booked.get(at)
        if known is not None:
            asked, answered = known
            if asked != question:
                return Expected(refusal="ledger.key_reused")
            return Expected(answered.delta, answered.balance, replayed=True)
        answer = self._decide(operation, self.wallets[operation.member_id, operation.asset], now)
        if not answer.refusal:
            self.booked[at] = (question, answer)
        return answer

    def _decide(self, operation: Operation, wallet: ModelWallet, now: datetime) -> Expected:
        match operation:
            case Grant():
                self.add(wallet, operation)
                return Expected(operation.amount, wallet.balance)
            case Spend():
                if wallet.usable(now) < operation.amount:
                    return Expected(refusal="ledger.not_enough")
                wallet.taken[operation.key] = _take(wallet, operation.amount, now)
                return Expected(-operation.amount, wallet.balance)
            case TakeBack():
                amount = min(operation.amount, wallet.usable(now))
                _take(wallet, amount, now, first=operation.reverses_key)
                return Expected(-amount, wallet.balance)
            case Reverse():
                return _give_back(operation, wallet, now)
            case _:
                raise AssertionError(operation)

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
                effective_at=given.effective_at or given.occurred_at,
                born=self._born,
            )
        )

    def expire(self, now: datetime) -> int:
        """Close every lot that is over; how many units ended."""
        ended = 0
        for wallet in self.wallets.values():
            for lot in wallet.lots:
                if not lot.is_live(now):
                    ended += lot.remaining
                    lot.remaining = 0
        return ended

    def move(self, source: int, target: int, now: datetime) -> int:
        """Everything live goes over, each lot with its own end; how many units went."""
        moved = 0
        for asset in Asset:
            giving, taking = self.wallets[source, asset], self.wallets[target, asset]
            for lot in sorted((lot for lot in giving.lots if lot.remaining and lot.is_live(now)), key=ModelLot.place):
                self._born += 1
                taking.lots.append(
                    ModelLot(
                        key="",
                        remaining=lot.remaining,
                        expires_at=lot.expires_at,
                        priority=lot.priority,
                        promotional=lot.promotional,
                        effective_at=lot.effective_at,
                        born=self._born,
                    )
                )
                moved += lot.remaining
                lot.remaining = 0
        return moved


def _question(operation: Operation) -> tuple[object, ...]:
    if isinstance(operation, Reverse):
        return ("reverse", operation.asset, operation.reverses_key, operation.amount)
    assert isinstance(operation, Grant | Spend | TakeBack)
    return (type(operation), operation.asset, operation.amount, operation.kind)


def _take(wallet: ModelWallet, amount: int, now: datetime, *, first: str | None = None) -> list[tuple[ModelLot, int]]:
    def place(lot: ModelLot) -> tuple[object, ...]:
        return (first is None or lot.key != first, *lot.place())

    taken = []
    for lot in sorted((lot for lot in wallet.lots if lot.is_live(now)), key=place):
        part = min(lot.remaining, amount)
        if part:
            lot.remaining -= part
            amount -= part
            taken.append((lot, part))
    assert amount == 0
    return taken


def _give_back(operation: Reverse, wallet: ModelWallet, now: datetime) -> Expected:
    left = wallet.taken.get(operation.reverses_key, [])
    most = sum(part for _, part in left)
    wanted = most if operation.amount is None else operation.amount
    if not 0 < wanted <= most:
        return Expected(refusal="ledger.nothing_to_reverse")
    balance_before, open_amount = wallet.balance, wanted
    rest: list[tuple[ModelLot, int]] = []
    for lot, part in reversed(left):
        back = min(part, open_amount)
        open_amount -= back
        if lot.is_live(now):
            lot.remaining += back
        if part > back:
            rest.insert(0, (lot, part - back))
    wallet.taken[operation.reverses_key] = rest
    # The statement shows the whole return, then the end of what died meanwhile on lines of its own.
    return Expected(wanted, balance_before + wanted)
