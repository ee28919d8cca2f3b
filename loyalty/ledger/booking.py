"""The rows of a batch while it is planned, and the few moves that everything else is made of. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from loyalty.errors import ensure
from loyalty.ledger.lots import Booked, EntryKey, Held, Lot, LotState, Slice, Wallet
from loyalty.ledger.operations import (
    Account,
    Asset,
    HoldState,
    Operation,
    Reason,
)
from loyalty.ledger.outcomes import Refused
from loyalty.ledger.questions import fingerprint


class EntryRow(NamedTuple):
    """A row of `ledger_entry`, and the lot that it makes, which `source` fills."""

    member_id: int
    key: str
    fingerprint: bytes
    kind: str
    asset: Asset
    amount: int
    delta: int
    balance_after: int
    pending_delta: int
    held_delta: int
    arrears_delta: int
    reverses_id: int | None
    reason: Reason
    occurred_at: datetime
    lot: Lot | None
    source: Account | None


class PostingRow(NamedTuple):
    """A row of `ledger_posting`; `place` is that of its entry in the batch, `lot_place` that of a lot of this batch."""

    place: int
    seq: int
    member_id: int
    asset: Asset
    source: Account
    destination: Account
    amount: int
    lot_id: int | None
    lot_place: int | None


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A row of `ledger_hold`, known by the key of its entry, and called by `key`."""

    member_id: int
    asset: Asset
    entry_key: str
    key: str
    amount: int
    expires_at: datetime


@dataclass(slots=True)
class LotChange:
    """How many units go into or out of a lot that exists, and how many of them ended unused."""

    remaining: int = 0
    unused: int = 0


@dataclass(frozen=True, slots=True)
class Touch:
    """An activity that moves the end of the member's lots of an inactivity programme; `names` are those by which
    a rule may count it."""

    member_id: int
    asset: Asset
    names: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class Moved:
    """How much each of the member's own accounts changes."""

    available: int = 0
    pending: int = 0
    held: int = 0
    arrears: int = 0

    def add(self, account: Account, amount: int) -> None:
        """Count a change of one account; the programme's own accounts are sums of postings."""
        if account is Account.AVAILABLE:
            self.available += amount
        elif account is Account.PENDING:
            self.pending += amount
        elif account is Account.HELD:
            self.held += amount
        elif account is Account.ARREARS:
            self.arrears -= amount


@dataclass(slots=True)
class Plan:
    """Rows to write, and per operation the key of its entry, an entry booked before, or a refusal.

    `lot_states` are lots whose state or dates change, with the state that they were found in.
    """

    entries: dict[EntryKey, EntryRow] = field(default_factory=dict)
    lot_changes: dict[int, LotChange] = field(default_factory=dict)
    lot_states: dict[int, tuple[LotState, Lot]] = field(default_factory=dict)
    postings: list[PostingRow] = field(default_factory=list)
    holds: list[HoldRow] = field(default_factory=list)
    hold_states: dict[int, HoldState] = field(default_factory=dict)
    touches: list[Touch] = field(default_factory=list)
    wallets: list[Wallet] = field(default_factory=list)
    results: list[tuple[EntryKey, bool] | Booked | Refused] = field(default_factory=list)


class Entry:
    """One entry being made: postings first, then `book`; the entries of a batch are numbered as they are made."""

    __slots__ = ("_seq", "key", "lot", "made", "moved", "operation", "place", "source", "wallet")

    def __init__(self, made: Plan, operation: Operation, wallet: Wallet, *, key: str | None = None) -> None:
        self.made, self.operation, self.wallet = made, operation, wallet
        self.key = key or operation.key
        self.place = len(made.entries) + 1
        self.moved = Moved()
        self.lot: Lot | None = None
        self.source: Account | None = None
        self._seq = 0

    def fill(self, lot: Lot, source: Account) -> None:
        """Make a lot whose units come from `source`: the first posting of the entry, which goes without saying."""
        self.wallet.lots.append(lot)
        self.wallet.is_idle |= lot.idle is not None
        self.lot, self.source, lot.place = lot, source, self.place
        self._seq = 1
        self._move(source, Account.PENDING if lot.state == "pending" else Account.AVAILABLE, lot.remaining)

    def post(self, source: Account, destination: Account, amount: int, lot: Lot | None) -> None:
        """Move units between two accounts; what goes through `available` or `pending` changes the lot."""
        operation = self.operation
        self.made.postings.append(
            PostingRow(
                self.place,
                self._seq,
                operation.member_id,
                operation.asset,
                source,
                destination,
                amount,
                lot.id if lot is not None else None,
                lot.place if lot is not None else None,
            )
        )
        self._seq += 1
        self._move(source, destination, amount)

    def _move(self, source: Account, destination: Account, amount: int) -> None:
        self.moved.add(destination, amount)
        self.moved.add(source, -amount)

    def consume(
        self, destination: Account, amount: int, lots: Sequence[Lot], *, source: Account = Account.AVAILABLE
    ) -> list[Slice]:
        """Take `amount` from `lots` in their order; what was taken from each."""
        taken = []
        for lot in lots:
            part = min(lot.remaining, amount)
            if part:
                amount -= part
                self.change(lot, -part)
                self.post(source, destination, part, lot)
                taken.append(Slice(lot, part))
        ensure(amount == 0, "the caller made sure that the lots suffice")
        return taken

    def change(self, lot: Lot, amount: int) -> None:
        """Count units into or out of a lot."""
        lot.remaining += amount
        if lot.id is not None:
            self.made.lot_changes.setdefault(lot.id, LotChange()).remaining += amount

    def end_unused(self, lot: Lot, amount: int) -> None:
        """Count units that ended without having been used; less, when a claw-back finds them gone."""
        lot.unused += amount
        if lot.id is not None:
            self.made.lot_changes.setdefault(lot.id, LotChange()).unused += amount

    def book(self, *, amount: int, reverses_id: int | None = None, kind: str | None = None) -> tuple[EntryKey, bool]:
        """Write the entry with what its postings changed."""
        operation, moved, wallet = self.operation, self.moved, self.wallet
        wallet.available += moved.available
        wallet.pending += moved.pending
        wallet.held += moved.held
        wallet.arrears += moved.arrears
        if not wallet.is_changed:
            wallet.is_changed = True
            self.made.wallets.append(wallet)
        at = (operation.member_id, self.key)
        ensure(self.place == len(self.made.entries) + 1, "an entry is booked before the next one is begun")
        self.made.entries[at] = EntryRow(
            member_id=operation.member_id,
            key=self.key,
            fingerprint=fingerprint(operation),
            kind=kind or operation.kind,
            asset=operation.asset,
            amount=amount,
            delta=moved.available - moved.arrears,
            balance_after=wallet.available - wallet.arrears,
            pending_delta=moved.pending,
            held_delta=moved.held,
            arrears_delta=moved.arrears,
            reverses_id=reverses_id,
            reason=operation.reason,
            occurred_at=operation.occurred_at,
            lot=self.lot,
            source=self.source,
        )
        return at, False


def resolve(made: Plan, hold: Held, state: HoldState) -> None:
    """End a hold, once."""
    hold.state = state
    if hold.id is not None:
        made.hold_states[hold.id] = state


def restate(made: Plan, lot: Lot, state: LotState) -> None:
    """Give a lot another state, or the same one with other dates; it is written from `lot`, which is changed."""
    ensure(lot.id is not None, "a lot changes its state after the batch that made it")
    found, _ = made.lot_states.get(lot.id or 0, (lot.state, lot))
    made.lot_states[lot.id or 0] = (found, lot)
    lot.state = state


def touch(made: Plan, operation: Operation, activity: str) -> None:
    """Remember an activity that keeps an inactivity programme alive."""
    names = (activity, operation.kind)
    made.touches.append(Touch(operation.member_id, operation.asset, names, operation.occurred_at))
