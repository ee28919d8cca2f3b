"""What earns: one occasion of one member, as rules see it. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from loyalty.conditions.rules import Value, Values
from loyalty.conditions.vocabulary import Kind, find, named
from loyalty.ledger.operations import Pending
from loyalty.money import split


@dataclass(frozen=True, slots=True, kw_only=True)
class FactLine:
    """One line of a purchase; `amount_fen` is its price after discounts, whatever it was paid with. A `voided` line
    was taken off the receipt: it earns nothing, and no condition sees it."""

    amount_fen: int
    sku: str | None = None
    category: str | None = None
    quantity: int = 1
    tags: frozenset[str] = frozenset()
    voided: bool = False

    def values(self) -> Values:
        """The line as conditions see it."""
        return {
            "line.sku": self.sku,
            "line.category": self.category,
            "line.quantity": self.quantity,
            "line.amount": self.amount_fen,
            "line.tags": self.tags,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One occasion. `key` names it among everything that ever earned for the member, and is never used twice.

    `amount_fen` is the price of what was bought, voided lines left out; `tenders` is what it was paid with, by kind
    (``{"points": 2000, "cash": 8000}``); without any it was paid in money. `values` are what conditions know beside:
    the streak of a check-in, what an event carried. `kind` and `reason` go into the ledger's entries; `pending` is how
    what is earned waits, unless a rule says otherwise. `store` and `city` follow from `store_id`.
    """

    trigger: str
    key: str
    member_id: int
    occurred_at: datetime
    amount_fen: int = 0
    tenders: Mapping[str, int] = field(default_factory=dict)
    lines: Sequence[FactLine] = ()
    store_id: int | None = None
    store: str | None = None
    city: str | None = None
    channel: str | None = None
    values: Values = field(default_factory=dict)
    kind: str = "earning"
    reason: Mapping[str, Any] = field(default_factory=dict)
    pending: Pending | None = None

    def live_lines(self) -> list[FactLine]:
        """The lines that were bought."""
        return [line for line in self.lines if not line.voided]

    def paid_fen(self, *, tenders: Sequence[str] = (), without: Sequence[str] = ()) -> int:
        """What was paid by `tenders` (by every one, when none is named) except `without`."""
        if not self.tenders:
            return 0 if tenders else self.amount_fen
        return sum(
            fen for kind, fen in self.tenders.items() if (not tenders or kind in tenders) and kind not in without
        )

    def shares_fen(self, fen: int) -> list[int]:
        """`fen` shared out over the live lines by their prices; a purchase without lines is one line."""
        weights = [max(0, line.amount_fen) for line in self.live_lines()]
        return split(fen, weights if any(weights) else [1] * len(weights)) if weights else [fen]


def document_of(fact: Fact) -> dict[str, Any]:
    """What the fact itself says, as it is stored with the judgement."""
    return {
        "amount_fen": fact.amount_fen,
        "tenders": dict(fact.tenders),
        "lines": [_line_document(line) for line in fact.lines],
        "store_id": fact.store_id,
        "store": fact.store,
        "city": fact.city,
        "channel": fact.channel,
        "values": stored(fact.values),
        "kind": fact.kind,
        "reason": dict(fact.reason),
    }


def _line_document(line: FactLine) -> dict[str, Any]:
    return {
        "amount_fen": line.amount_fen,
        "sku": line.sku,
        "category": line.category,
        "quantity": line.quantity,
        "tags": sorted(line.tags),
        "voided": line.voided,
    }


def read(document: Mapping[str, Any], *, trigger: str, key: str, member_id: int, occurred_at: datetime) -> Fact:
    """The fact that `document_of` stored."""
    return Fact(
        trigger=trigger,
        key=key,
        member_id=member_id,
        occurred_at=occurred_at,
        amount_fen=document["amount_fen"],
        tenders=document["tenders"],
        lines=tuple(FactLine(**{**line, "tags": frozenset(line["tags"])}) for line in document["lines"]),
        store_id=document["store_id"],
        store=document["store"],
        city=document["city"],
        channel=document["channel"],
        values=restored(document["values"]),
        kind=document["kind"],
        reason=document["reason"],
    )


def stored(values: Values) -> dict[str, Any]:
    """Values as JSON."""
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: Value) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return value.isoformat() if isinstance(value, date) else value


def restored(values: Mapping[str, Any]) -> dict[str, Value]:
    """What `stored` made into JSON."""
    return {key: _typed(key, value) for key, value in values.items()}


def _typed(key: str, value: Any) -> Value:
    if isinstance(value, list):
        return frozenset(value)
    entry = find(named(key)[0])
    is_day = entry is not None and entry.kind is Kind.DAY and value is not None
    return date.fromisoformat(value) if is_day else value


def purchase_values(fact: Fact, paid_fen: int) -> dict[str, Value]:
    """A purchase as conditions see it."""
    return {
        "purchase.amount": fact.amount_fen,
        "purchase.paid": paid_fen,
        "purchase.store": fact.store,
        "purchase.city": fact.city,
        "purchase.channel": fact.channel,
        "purchase.tenders": frozenset(kind for kind, fen in fact.tenders.items() if fen),
        "purchase.quantity": sum(line.quantity for line in fact.live_lines()),
    }
