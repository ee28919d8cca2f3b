"""What a member has had already, and how much of an award that leaves: limits, caps, budgets. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from loyalty.earning.documents import Limit, Rule
from loyalty.program.earning import Cap, EarningTerms, Period

LIFETIME: Final = "lifetime"
TRANSACTION: Final = "cap:transaction"
CARRY: Final = "carry:"
CARRY_UNIT: Final = 10**9
_ADVERBS: Final[Mapping[Period, str]] = {
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "year": "yearly",
    "lifetime": "lifetime",
}

CounterKey = tuple[str, str]
"""Whose counter (``rule:double``, ``programme:points``, ``carry:points``) and the period that it counts."""


class Scope(StrEnum):
    """Whose limit it is that withheld something."""

    RULE = "rule"
    BUDGET = "budget"
    PROGRAMME = "programme"


@dataclass(frozen=True, slots=True)
class Count:
    """What was given in a period: units, how many times, and when last."""

    amount: int = 0
    times: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Withheld:
    """Units of an award that were not given: ``cap:daily``, ``cap:transaction``, ``budget`` …"""

    amount: int
    reason: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Used:
    """Everything that limits look at: the member's counters, and what is left of budgets by their names."""

    counts: Mapping[CounterKey, Count] = field(default_factory=dict)
    left: Mapping[str, int] = field(default_factory=dict)

    def count(self, key: CounterKey) -> Count:
        """What a counter shows."""
        return self.counts.get(key, Count())


@dataclass(slots=True)
class Tally:
    """`Used` while one fact is judged: what its own awards take is gone for those that follow."""

    used: Used
    at: datetime
    added: dict[CounterKey, Count] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)

    def amount(self, key: CounterKey) -> int:
        """Units counted so far."""
        return self.used.count(key).amount + self.added.get(key, Count()).amount

    def left(self, budget: str) -> int:
        """Units that a budget still has."""
        return self.used.left.get(budget, 0) - self.spent.get(budget, 0)

    def add(self, keys: Iterable[CounterKey], amount: int) -> None:
        """Count an award once on each of `keys`."""
        for key in keys:
            before = self.added.get(key, Count())
            self.added[key] = Count(before.amount + amount, before.times + 1, self.at)

    def spend(self, budget: str, amount: int) -> None:
        """Take an award off a budget."""
        self.spent[budget] = self.spent.get(budget, 0) + amount

    def after(self) -> Used:
        """What is used when all of it was given."""
        counts = dict(self.used.counts)
        for key, more in self.added.items():
            before = counts.get(key, Count())
            counts[key] = Count(before.amount + more.amount, before.times + more.times, more.last_at or before.last_at)
        return Used(counts, {name: left - self.spent.get(name, 0) for name, left in self.used.left.items()})


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What an award comes to, what was withheld by which limit, and the counters that count it. `by_rule` is what the
    rule's own limits and its budget left, before those of the programme."""

    amount: int
    by_rule: int
    withheld: tuple[Withheld, ...]
    counted: tuple[CounterKey, ...]

    @property
    def is_refused(self) -> bool:
        """Whether it was refused in full for being too much at once."""
        return any(one.reason == TRANSACTION for one in self.withheld)


def label(per: Period, day: date) -> str:
    """The period of `per` that `day` lies in; weeks begin on Monday."""
    match per:
        case "day":
            return f"day:{day.isoformat()}"
        case "week":
            year, week, _ = day.isocalendar()
            return f"week:{year}-W{week:02d}"
        case "month":
            return f"month:{day:%Y-%m}"
        case "year":
            return f"year:{day.year}"
        case "lifetime":
            return LIFETIME


def keys_of(rule: Rule, terms: EarningTerms, day: date) -> frozenset[CounterKey]:
    """Every counter that judging the rule on `day` reads."""
    periods: tuple[Cap | Limit, ...] = (*rule.caps, *rule.limits)
    own = {(_own(rule), label(one.per, day)) for one in periods}
    if rule.cooldown_hours is not None:
        own.add((_own(rule), LIFETIME))
    if terms.rounding.carry:
        own.add(carry_key(rule.asset))
    return frozenset(own | {(_shared(cap.asset), label(cap.per, day)) for cap in terms.caps if cap.asset == rule.asset})


def carry_key(asset: str) -> CounterKey:
    """The counter of the fraction that was not rounded to a unit yet, in billionths."""
    return f"{CARRY}{asset}", LIFETIME


@dataclass(frozen=True, slots=True)
class Mosts:
    """How far a counter may go: units, and times; None where nothing holds it."""

    amount: int | None = None
    times: int | None = None


def mosts_of(rule: Rule, terms: EarningTerms, day: date) -> dict[CounterKey, Mosts]:
    """How far each counter of a rule may go on a day."""
    found: dict[CounterKey, Mosts] = {}
    for cap in rule.caps:
        _lower(found, (_own(rule), label(cap.per, day)), Mosts(amount=cap.amount))
    for limit in rule.limits:
        _lower(found, (_own(rule), label(limit.per, day)), Mosts(times=limit.times))
    for shared in terms.caps:
        if shared.asset == rule.asset:
            _lower(found, (_shared(rule.asset), label(shared.per, day)), Mosts(amount=shared.amount))
    return found


def _lower(found: dict[CounterKey, Mosts], key: CounterKey, more: Mosts) -> None:
    known = found.get(key, Mosts())
    found[key] = Mosts(_least(known.amount, more.amount), _least(known.times, more.times))


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def closed(rule: Rule, day: date, tally: Tally) -> str | None:
    """Why the rule does not fire (again) now: ``limit:daily``, ``cooldown``; None when it may."""
    for limit in rule.limits:
        if tally.used.count((_own(rule), label(limit.per, day))).times >= limit.times:
            return f"limit:{_ADVERBS[limit.per]}"
    if rule.cooldown_hours is not None:
        last = tally.used.count((_own(rule), LIFETIME)).last_at
        if last is not None and tally.at < last + timedelta(hours=rule.cooldown_hours):
            return "cooldown"
    return None


def headroom(rule: Rule, wanted: int, day: date, tally: Tally) -> int:
    """What the rule's own limits would leave of an award."""
    return trim(rule, wanted, EarningTerms(), day, tally).amount


def trim(rule: Rule, wanted: int, terms: EarningTerms, day: date, tally: Tally) -> Trimmed:
    """What limits leave of an award: those of the rule, then its budget, then those of the programme."""
    if rule.per_transaction is not None and wanted > rule.per_transaction:
        return Trimmed(0, 0, (Withheld(wanted, TRANSACTION, Scope.RULE),), ())
    withheld: list[Withheld] = []
    left = _capped(wanted, _own(rule), rule.caps, day, tally, withheld, Scope.RULE)
    left = by_rule = _budgeted(rule, left, tally, withheld)
    shared = [cap for cap in terms.caps if cap.asset == rule.asset]
    left = _capped(left, _shared(rule.asset), shared, day, tally, withheld, Scope.PROGRAMME)
    counted = {key for key in keys_of(rule, terms, day) if not key[0].startswith(CARRY)}
    return Trimmed(left, by_rule, tuple(withheld), tuple(sorted(counted)) if left else ())


def _capped(
    wanted: int,
    owner: str,
    caps: Iterable[Cap],
    day: date,
    tally: Tally,
    withheld: list[Withheld],
    scope: Scope,
) -> int:
    left = wanted
    for cap in caps:
        room = max(0, cap.amount - tally.amount((owner, label(cap.per, day))))
        if left > room:
            withheld.append(Withheld(left - room, f"cap:{_ADVERBS[cap.per]}", scope))
            left = room
    return left


def _budgeted(rule: Rule, wanted: int, tally: Tally, withheld: list[Withheld]) -> int:
    if rule.budget is None or rule.budget_code is None:
        return wanted
    room = max(0, tally.left(rule.budget_code))
    if wanted <= room:
        return wanted
    given = room if rule.budget.partial else 0
    withheld.append(Withheld(wanted - given, "budget", Scope.BUDGET))
    return given


def _own(rule: Rule) -> str:
    return f"rule:{rule.code}"


def _shared(asset: str) -> str:
    return f"programme:{asset}"
