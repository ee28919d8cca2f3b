"""Counting the ledger again from its postings. Pure.

The cached balances and lots are what this arrives at from zero, and two replays cut at any point are one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from loyalty.ledger.operations import Account


@dataclass(frozen=True, slots=True)
class AssetBalance:
    """What a member has of one asset. `available` is what they can use, less what they owe, so it may be negative;
    pending and held units come on top."""

    available: int = 0
    pending: int = 0
    held: int = 0
    arrears: int = 0


@dataclass(slots=True)
class Tally:
    """Sums of postings: per lot what is available and pending in it, and over all lots what is held and owed."""

    available: dict[int, int] = field(default_factory=dict)
    pending: dict[int, int] = field(default_factory=dict)
    held: int = 0
    arrears: int = 0

    def count(self, source: str, destination: str, amount: int, lot_id: int | None) -> None:
        """Add one posting."""
        self._move(destination, amount, lot_id)
        self._move(source, -amount, lot_id)

    def _move(self, account: str, amount: int, lot_id: int | None) -> None:
        match account:
            case Account.AVAILABLE if lot_id is not None:
                self.available[lot_id] = self.available.get(lot_id, 0) + amount
            case Account.PENDING if lot_id is not None:
                self.pending[lot_id] = self.pending.get(lot_id, 0) + amount
            case Account.HELD:
                self.held += amount
            case Account.ARREARS:
                self.arrears -= amount
            case _:
                pass


def tally(postings: Iterable[Mapping[str, Any]], begun: Tally | None = None) -> Tally:
    """The sums after `postings`, counted on from `begun`."""
    counted = begun or Tally()
    for row in postings:
        counted.count(row["source"], row["destination"], row["amount"], row["lot_id"])
    return counted


def balance(postings: Iterable[Mapping[str, Any]], at: datetime) -> AssetBalance:
    """The balance at `at` after everything booked by then. Time alone ends lots and holds and starts pending ones.

    A row that reserves carries the end of its hold and when that was resolved; others carry None there.
    """
    rows = list(postings)
    counted = tally(rows)
    lots = {row["lot_id"]: row for row in rows if row["lot_id"] is not None}
    usable = sum(amount for lot_id, amount in counted.available.items() if _lives(lots[lot_id], at))
    started = {lot_id: amount for lot_id, amount in counted.pending.items() if _has_started(lots[lot_id], at)}
    usable += sum(amount for lot_id, amount in started.items() if _lives(lots[lot_id], at))
    lost = sum(amount for lot_id, amount in counted.pending.items() if _is_lost(lots[lot_id], at))
    ended = [row for row in rows if row["destination"] == "held" and _has_ended(row, at)]
    usable += sum(row["amount"] for row in ended if _lives(row, at))
    return AssetBalance(
        available=usable - counted.arrears,
        pending=sum(counted.pending.values()) - sum(started.values()) - lost,
        held=counted.held - sum(row["amount"] for row in ended),
        arrears=counted.arrears,
    )


def _lives(lot: Mapping[str, Any], at: datetime) -> bool:
    return lot["expires_at"] is None or lot["expires_at"] > at


def _has_started(lot: Mapping[str, Any], at: datetime) -> bool:
    return lot["activates_at"] is not None and lot["activates_at"] <= at


def _is_lost(lot: Mapping[str, Any], at: datetime) -> bool:
    return lot["cancels_at"] is not None and lot["cancels_at"] <= at


def _has_ended(row: Mapping[str, Any], at: datetime) -> bool:
    """An open hold past its end; what was resolved by then has postings of its own."""
    is_open = row["resolved_at"] is None or row["resolved_at"] > at
    return bool(row["hold_ends"] is not None and row["hold_ends"] <= at and is_open)
