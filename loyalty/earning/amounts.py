"""What a rule gives before any limit: exact fractions per line, rounded once in the end. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Context, Setting, of_line
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
_HALF: Final = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Given:
    """Units before rounding: what each line brought, and what belongs to no line."""

    lines: tuple[Fraction, ...]
    whole: Fraction = Fraction(0)

    @property
    def total(self) -> Fraction:
        """All of it."""
        return sum(self.lines, self.whole)

    def times(self, factor: Fraction) -> "Given":
        """So many times as much."""
        return Given(tuple(part * factor for part in self.lines), self.whole * factor)

    def plus(self, other: "Given") -> "Given":
        """Both together."""
        return Given(tuple(a + b for a, b in zip(self.lines, other.lines, strict=True)), self.whole + other.whole)


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
        return Given((Fraction(0),) * len(self.counts))

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
            each = [
                Fraction(amount.points * n if is_chosen else 0) for n, is_chosen in zip(pieces, chosen, strict=True)
            ]
            return Given(tuple(each)) if lines else occasion.nothing
        case Fixed():
            return Given(occasion.nothing.lines, Fraction(amount.points))
        case Streak():
            streak = occasion.context.values.get("check_in.streak")
            bonus = amount.bonuses.get(streak, 0) if isinstance(streak, int) else 0
            return Given(occasion.nothing.lines, Fraction(amount.points + bonus))
        case BirthdayGift():
            own = occasion.context.values.get(BIRTHDAY_POINTS)
            return Given(occasion.nothing.lines, Fraction(own if isinstance(own, int) else amount.points))
        case Multiplier():
            return _basis(amount, occasion, multiplied).times(Fraction(amount.percent - PERCENT, PERCENT))
        case TierMultiplier():
            more = Fraction(tier_percent(amount, occasion) - PERCENT, PERCENT)
            return _basis(amount, occasion, multiplied).times(more)
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
        return Given(tuple(Fraction(fen * amount.points, amount.per_fen) for fen in shares))
    return Given(occasion.nothing.lines, Fraction(sum(shares) // amount.per_fen * amount.points))


def basis(amount: Multiplier | TierMultiplier, occasion: Occasion, multiplied: Mapping[str, Given]) -> Fraction:
    """How much is multiplied."""
    return _basis(amount, occasion, multiplied).total


def _basis(amount: Multiplier | TierMultiplier, occasion: Occasion, multiplied: Mapping[str, Given]) -> Given:
    of = amount.of if isinstance(amount, Multiplier) else ()
    total = occasion.nothing
    for code, given in multiplied.items():
        if not of or code in of:
            total = total.plus(given)
    if not isinstance(amount, Multiplier) or amount.where is None:
        return total
    chosen = occasion.chosen(amount.where)
    return Given(tuple(part if counts else Fraction(0) for part, counts in zip(total.lines, chosen, strict=True)))


class Rounder:
    """Rounds what several rules give one after another, so that all of it together is rounded once: each gets the
    difference that it made. `fraction` of orders before is in front when fractions are carried."""

    def __init__(self, rounding: Rounding, lines: int, fraction: Fraction = Fraction(0)) -> None:
        self._rounding = rounding
        self._so_far = Given((Fraction(0),) * lines, fraction)
        self._units = 0

    def would_add(self, given: Given) -> int:
        """The units that `given` makes more."""
        return self._rounded(self._so_far.plus(given)) - self._units

    def add(self, given: Given) -> None:
        """Count `given`."""
        self._so_far = self._so_far.plus(given)
        self._units = self._rounded(self._so_far)

    @property
    def fraction(self) -> Fraction:
        """What was not rounded to a unit yet."""
        return self._so_far.total - self._units

    def _rounded(self, given: Given) -> int:
        if self._rounding.per == "order":
            return self._whole(given.total)
        return sum(self._whole(part) for part in given.lines) + self._whole(given.whole)

    def _whole(self, exact: Fraction) -> int:
        match self._rounding.mode:
            case "down":
                return floor(exact)
            case "half_up":
                return floor(exact + _HALF)
            case "up":
                return -floor(-exact)
