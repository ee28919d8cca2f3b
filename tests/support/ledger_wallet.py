"""One member's units of one asset, as the model of the ledger sees them."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

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
    pending: bool = False
    activates_at: datetime | None = None
    cancels_at: datetime | None = None
    lasts: timedelta | None = None
    unused: int = 0
    closed: bool = False
    came_by: str = ""

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def is_live(self, now: datetime) -> bool:
        return not self.pending and not self.is_over(now)

    def is_due(self, now: datetime) -> bool:
        return self.pending and self.activates_at is not None and self.activates_at <= now

    def is_lost(self, now: datetime) -> bool:
        return self.pending and self.cancels_at is not None and self.cancels_at <= now

    def start(self, at: datetime) -> None:
        """The clock of what it lasts starts when it becomes usable."""
        self.effective_at = at
        if self.lasts is not None:
            self.expires_at = at + self.lasts

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
    number: int = 0
    came_by: str = ""


@dataclass
class ModelWallet:
    """One member's units of one asset, what spends may still give back in taking order, holds and debts."""

    lots: list[ModelLot] = field(default_factory=list)
    taken: dict[str, Parts] = field(default_factory=dict)
    holds: dict[str, ModelHold] = field(default_factory=dict)
    arrears: int = 0

    def standing(self, now: datetime) -> tuple[int, int, int, int]:
        """Usable units less what is owed, pending, held, owed: after everything that time alone has decided."""
        later = deepcopy(self)
        later.settle(now)
        return (
            sum(lot.remaining for lot in later.lots if lot.is_live(now)) - later.arrears,
            sum(lot.remaining for lot in later.lots if lot.pending),
            sum(hold.amount for hold in later.holds.values() if hold.state == "open"),
            later.arrears,
        )

    def settle(self, now: datetime) -> None:
        """What time has decided is carried out in the order in which it happened, whenever the wallet is used."""
        for at, _, _, what in sorted(self._due(now), key=lambda due: due[:3]):
            if isinstance(what, ModelHold):
                what.state = "expired"
                self.take_in(what.parts, at)
            elif what.is_due(at):
                what.pending = False
                self.repay(at)
            else:
                what.pending = False
                self.close(what)

    def _due(self, now: datetime) -> Iterator[tuple[datetime, int, int, "ModelLot | ModelHold"]]:
        for lot in self.lots:
            if lot.remaining and lot.is_due(now) and lot.activates_at:
                yield lot.activates_at, 0, lot.born, lot
            elif lot.remaining and lot.is_lost(now) and lot.cancels_at:
                yield lot.cancels_at, 2, lot.born, lot
        for hold in self.holds.values():
            if hold.state == "open" and hold.ends <= now:
                yield hold.ends, 1, hold.number, hold

    def take_in(self, parts: Parts, now: datetime) -> None:
        """Units come back to their lots; in a lot that is over they are gone at once."""
        for lot, part in parts:
            if lot.is_over(now):
                lot.unused += part
            else:
                lot.remaining += part
        self.repay(now)

    def repay(self, now: datetime) -> None:
        paid = min(self.arrears, sum(lot.remaining for lot in self.lots if lot.is_live(now)))
        self.take(paid, now)
        self.arrears -= paid

    def close(self, lot: ModelLot) -> int:
        """The end of a lot is booked; how many units ended."""
        ended, lot.remaining, lot.closed = lot.remaining, 0, True
        lot.unused += ended
        return ended

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
                if lot.pending and lot.key == key and lot.remaining:
                    part = min(lot.remaining, most - gone)
                    lot.remaining -= part
                    gone += part
        return gone
