"""What a rule gives before any limit: exact shares of a unit per line, rounded once in the end. Pure.

The shares are integers over one denominator and not `fractions.Fraction`: a till waits for this arithmetic, and
a `Fraction` per line and step was a third of it (docs/operations.md has the figures of a checkout).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import lcm
from typing import Final

from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Context, Setting, of_line
from loyalty.earning.counting import CARRY_UNIT
from loyalty.earning.documents import (
    PERCENT,
    Amount,
    BirthdayGift,
    Fixed,
    Multiplier,
    Nothing,
    PerLine,
    PerYuan,
    Streak,
    TierMultiplier,
)
from loyalty.earning.facts import Fact
from loyalty.program.earning import Rounding

MULTIPLIER: Final = "member.multiplier_percent"
BIRTHDAY_POINTS: Final = "member.birthday_points"
"""What a context holds of the benefits of the member's tiers, beside the vocabulary."""


@dataclass(frozen=True, slots=True)
class Given:
    """Units before rounding: what each line brought, and what belongs to no line, both in `per`-ths of a unit."""

    lines: tuple[int, ...]
    whole: int = 0
    per: int = 1

    @property
    def total(self) -> int:
        """All of it, in `per`-ths of a unit."""
        return sum(self.lines, self.whole)

    def times(self, factor: int, per: int) -> "Given":
        """`factor` / `per` times as much."""
        return Given(tuple(part * factor for part in self.lines), self.whole * factor, self.per * per)

    def plus(self, other: "Given") -> "Given":
        """Both together."""
        per = lcm(self.per, other.per)
        mine, theirs = per // self.per, per // other.per
        lines = tuple(a * mine + b * theirs for a, b in zip(self.lines, other.lines, strict=True))
        return Given(lines, self.whole * mine + other.whole * theirs, per)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A fact with everything that is known while it is judged; `counts` tells which live lines may earn at all."""

    fact: Fact
    context: Context
    setting: Setting
    counts: tuple[bool, ...]

    @property
    def nothing(self) -> Given:
        """No units on any line."""
        return Given((0,) * len(self.counts))

    def chosen(self, where: Node | None) -> tuple[bool, ...]:
        """Which lines count, of those that `where` means. A purchase without lines is one line that no condition on
        lines means."""
        if where is None:
            return self.counts
        if not self.context.lines:
            return (False,) * len(self.counts)
        return tuple(
            counts and of_line(where, line, self.context, self.setting)
            for counts, line in zip(self.counts, self.context.lines, strict=True)
        )


def wanted(amount: Amount, occasion: Occasion, multiplied: Mapping[str, Given]) -> Given:
    """What an amount comes to. `multiplied` is what each multipliable rule gave."""
    match amount:
        case PerYuan():
            return _per_yuan(amount, occasion)
        case PerLine():
            lines = occasion.fact.live_lines()
            pieces = [line.quantity if amount.per == "quantity" else 1 for line in lines]
            chosen = occasion.chosen(amount.where) if lines else ()
            each = [amount.points * n if is_chosen else 0 for n, is_chosen in zip(pieces, chosen, strict=True)]
            return Given(tuple(each)) if lines else occasion.nothing
        case Fixed():
            return Given(occasion.nothing.lines, amount.points)
        case Streak():
            streak = occasion.context.values.get("check_in.streak")
            bonus = amount.bonuses.get(streak, 0) if isinstance(streak, int) else 0
            return Given(occasion.nothing.lines, amount.points + bonus)
        case BirthdayGift():
            own = occasion.context.values.get(BIRTHDAY_POINTS)
            return Given(occasion.nothing.lines, own if isinstance(own, int) else amount.points)
        case Multiplier():
            return _basis(amount, occasion, multiplied).times(amount.percent - PERCENT, PERCENT)
        case TierMultiplier():
            more = tier_percent(amount, occasion) - PERCENT
            return _basis(amount, occasion, multiplied).times(more, PERCENT)
        case Nothing():
            return occasion.nothing


def tier_percent(amount: TierMultiplier, occasion: Occasion) -> int:
    """The multiplier of the member's tier in percent, 100 at least."""
    values = occasion.context.values
    if amount.percents is not None:
        return amount.percents.get(str(values.get("member.tier")), PERCENT)
    percent = values.get(MULTIPLIER)
    return percent if isinstance(percent, int) else PERCENT


def base_fen(amount: PerYuan, occasion: Occasion) -> int:
    """The money that an amount counts."""
    return sum(_counted_fen(amount, occasion))


def _counted_fen(amount: PerYuan, occasion: Occasion) -> list[int]:
    fact = occasion.fact
    base = fact.paid_fen(tenders=amount.tenders, without=amount.without_tenders)
    chosen = occasion.chosen(amount.where)
    return [fen if counts else 0 for fen, counts in zip(fact.shares_fen(base), chosen, strict=True)]


def _per_yuan(amount: PerYuan, occasion: Occasion) -> Given:
    shares = _counted_fen(amount, occasion)
    if not amount.steps:
        return Given(tuple(fen * amount.points for fen in shares), per=amount.per_fen)
    return Given(occasion.nothing.lines, sum(shares) // amount.per_fen * amount.points)


def basis(amount: Multiplier | TierMultiplier, occasion: Occasion, multiplied: Mapping[str, Given]) -> int:
    """How much is multiplied, in whole units."""
    multiplied_here = _basis(amount, occasion, multiplied)
    return multiplied_here.total // multiplied_here.per


def _basis(amount: Multiplier | TierMultiplier, occasion: Occasion, multiplied: Mapping[str, Given]) -> Given:
    of = amount.of if isinstance(amount, Multiplier) else ()
    total = occasion.nothing
    for code, given in multiplied.items():
        if not of or code in of:
            total = total.plus(given)
    if not isinstance(amount, Multiplier) or amount.where is None:
        return total
    chosen = occasion.chosen(amount.where)
    parts = tuple(part if counts else 0 for part, counts in zip(total.lines, chosen, strict=True))
    return Given(parts, per=total.per)


class Rounder:
    """Rounds what several rules give one after another, so that all of it together is rounded once: each gets the
    difference that it made. `carried` `CARRY_UNIT`-ths of a unit of orders before are in front when fractions are
    carried."""

    def __init__(self, rounding: Rounding, lines: int, carried: int = 0) -> None:
        self._rounding = rounding
        self._so_far = Given((0,) * lines, carried, CARRY_UNIT) if carried else Given((0,) * lines)
        self._units = 0

    def would_add(self, given: Given) -> int:
        """The units that `given` makes more."""
        return self._rounded(self._so_far.plus(given)) - self._units

    def add(self, given: Given) -> None:
        """Count `given`."""
        self._so_far = self._so_far.plus(given)
        self._units = self._rounded(self._so_far)

    @property
    def carried(self) -> int:
        """What was not rounded to a unit yet, in `CARRY_UNIT`-ths of one, rounded down."""
        so_far = self._so_far
        return (so_far.total - self._units * so_far.per) * CARRY_UNIT // so_far.per

    def _rounded(self, given: Given) -> int:
        if self._rounding.per == "order":
            return self._whole(given.total, given.per)
        return sum(self._whole(part, given.per) for part in given.lines) + self._whole(given.whole, given.per)

    def _whole(self, parts: int, per: int) -> int:
        match self._rounding.mode:
            case "down":
                return parts // per
            case "half_up":
                return (2 * parts + per) // (2 * per)
            case "up":
                return -(-parts // per)
