"""Counting the ledger again from its postings. Pure.

The cached balances and lots are what this arrives at from zero, and two replays cut at any point are one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from loyalty.ledger.booking import Plan
from loyalty.ledger.lots import Held, Lot, Slice, Wallet, World
from loyalty.ledger.operations import Account, Asset
from loyalty.ledger.waiting import settle


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


def balance(postings: Sequence[Mapping[str, Any]], at: datetime) -> AssetBalance:
    """The balance at `at` after everything booked by then, with what time alone had decided by then.

    A row that touches a lot carries what the lot is like; one that reserves carries its hold's end and when that was
    resolved; others carry None there.
    """
    return standing(_wallet(postings, at), at)


def standing(wallet: Wallet, at: datetime) -> AssetBalance:
    """What a wallet comes to at `at`; the wallet is settled by it, in memory only."""
    settle(0, Asset.POINTS, wallet, Plan(), World(wallets={}, booked={}, taken={}, holds={}, now=at))
    return AssetBalance(
        available=sum(lot.remaining for lot in wallet.live(at)) - wallet.arrears,
        pending=sum(lot.remaining for lot in wallet.lots if lot.state == "pending"),
        held=sum(hold.amount for hold in wallet.holds if hold.state == "open"),
        arrears=wallet.arrears,
    )


def _wallet(rows: Sequence[Mapping[str, Any]], at: datetime) -> Wallet:
    counted = tally(rows)
    lots = {row["lot_id"]: _lot(row, counted) for row in rows if row["lot_id"] is not None}
    wallet = Wallet((0, 0), available=0, pending=0, held=0, arrears=counted.arrears, lots=list(lots.values()))
    holds: dict[int, Held] = {}
    for row in rows:
        is_open = row["resolved_at"] is None or row["resolved_at"] > at
        if row["destination"] == Account.HELD and row["hold_ends"] is not None and is_open:
            entry_id = row["entry_id"]
            if entry_id not in holds:
                holds[entry_id] = Held(entry_id, "", 0, "open", row["hold_ends"])
                wallet.holds.append(holds[entry_id])
            holds[entry_id].amount += row["amount"]
            holds[entry_id].slices.append(Slice(lots[row["lot_id"]], row["amount"]))
    return wallet


def _lot(row: Mapping[str, Any], counted: Tally) -> Lot:
    lot_id = row["lot_id"]
    promised = counted.pending.get(lot_id, 0)
    return Lot(
        id=lot_id,
        remaining=promised or counted.available.get(lot_id, 0),
        expires_at=row["expires_at"],
        priority=row["priority"],
        promotional=row["promotional"],
        effective_at=row["effective_at"],
        grant_key="",
        state="pending" if promised else "active",
        activates_at=row["activates_at"],
        cancels_at=row["cancels_at"],
    )
