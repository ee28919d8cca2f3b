"""What a fact earns by which rule, what did not fire and why. Pure.

Per asset: the rules whose condition holds and whose limits allow another time compete within their groups. What is
multipliable comes first, then the others in their order, each trimmed by what its own limits, its budget and the
programme's caps still allow. All of it is exact until it is rounded, once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any, Final

from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Context, Setting, Values, judge, needed, of_line
from loyalty.conditions.vocabulary import PURCHASE
from loyalty.earning import amounts, counting
from loyalty.earning.amounts import BIRTHDAY_POINTS, MULTIPLIER, Given, Occasion, Rounder
from loyalty.earning.counting import (
    TRANSACTION,
    Count,
    CounterKey,
    Scope,
    Tally,
    Trimmed,
    Used,
    Withheld,
)
from loyalty.earning.documents import (
    PERCENT,
    POINTS_TENDER,
    Amount,
    BirthdayGift,
    Multiplier,
    PerLine,
    PerYuan,
    Rule,
    TierMultiplier,
)
from loyalty.earning.facts import Fact, purchase_values
from loyalty.money import split
from loyalty.program.earning import EarningTerms
from loyalty.program.terms import Terms

POINTS: Final = "points"
TIER_BONUS: Final = "tier_bonus"
_SHARE_UNIT: Final = 10**6


class Why(StrEnum):
    """Why a rule gave nothing."""

    CONDITION = "condition"
    LIMIT = "limit"
    COOLDOWN = "cooldown"
    GROUP = "group"
    EXCLUDED = "excluded"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Versioned:
    """A rule with the version that awards refer to; version 0 is built in, from the terms."""

    version: int
    rule: Rule

    @property
    def code(self) -> str:
        """The rule's code."""
        return self.rule.code


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The rules in force for one trigger at one instant, and what holds for all of them: version `version` of the
    terms."""

    rules: tuple[Versioned, ...]
    programme: Terms
    setting: Setting
    version: int = 0

    @property
    def terms(self) -> EarningTerms:
        """What holds over all rules."""
        return self.programme.earning

    def keys(self) -> frozenset[str]:
        """What a context must hold of the member for these rules to be judged."""
        by_tier = {"member.tier"} if self.programme.points.expiry_by_tier else set[str]()
        return frozenset().union(*(_keys(one.rule) for one in self.rules), _of(self.terms.no_points_on), by_tier)

    def counters(self, day: date) -> frozenset[CounterKey]:
        """The counters that they read on a day."""
        return frozenset().union(*(counting.keys_of(one.rule, self.terms, day) for one in self.rules))

    def budgets(self) -> frozenset[str]:
        """The budgets that they spend."""
        return frozenset(name for one in self.rules if (name := one.rule.budget_code) is not None)


@dataclass(frozen=True, slots=True)
class Award:
    """What one rule gives. `wanted` is what it came to before limits; `per_line` shares `amount` out over the live
    lines; `explanation` holds the numbers of the arithmetic; `counted` names the counters that count it."""

    rule_code: str
    version: int
    asset: str
    amount: int
    wanted: int
    withheld: tuple[Withheld, ...] = ()
    per_line: tuple[int, ...] = ()
    explanation: Mapping[str, Any] = field(default_factory=dict)
    counted: tuple[CounterKey, ...] = ()
    budget: str | None = None


@dataclass(frozen=True, slots=True)
class Unfired:
    """A rule that gave nothing: `path` leads to the node of its condition that does not hold, `by` is the rule that it
    gave way to, `reason` names the limit."""

    rule_code: str
    version: int
    asset: str
    why: Why
    path: str | None = None
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a fact earns, with everything that is used once it was given. `carry` is the fraction of each asset, in
    billionths of a unit, before and after."""

    fact: Fact
    awards: tuple[Award, ...]
    unfired: tuple[Unfired, ...]
    used: Used
    carry: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def tier_percent(self) -> int:
        """By how much the member's tier multiplied points, in percent."""
        percents = (award.explanation["percent"] for award in self.awards if award.rule_code == TIER_BONUS)
        return next(percents, PERCENT)

    def total(self, asset: str) -> int:
        """Units of an asset in all."""
        return sum(award.amount for award in self.awards if award.asset == asset)


def evaluate(fact: Fact, ruleset: RuleSet, member: Values, used: Used) -> Evaluation:
    """What `fact` earns by the rules of its trigger, given what is known of the member and already used."""
    occasion = _occasion(fact, ruleset, member)
    awards: list[Award] = []
    unfired: list[Unfired] = []
    carry: dict[str, tuple[int, int]] = {}
    for asset in sorted({one.rule.asset for one in ruleset.rules}):
        course = _Course(occasion, ruleset, used, asset)
        course.run([one for one in ruleset.rules if one.rule.asset == asset])
        awards += course.awards
        unfired += course.unfired
        if ruleset.terms.rounding.carry:
            carry[asset] = (used.count(counting.carry_key(asset)).amount, course.carried)
        used = course.used
    return Evaluation(fact, tuple(awards), tuple(unfired), used, carry)


def unlimited(ruleset: RuleSet, *, without: frozenset[str]) -> RuleSet:
    """The rules without their limits and those of the programme, `without` some of them: to judge again what was
    judged under limits then."""
    free = {"caps": (), "limits": (), "cooldown_hours": None, "per_transaction": None, "budget": None}
    rules = tuple(
        Versioned(one.version, one.rule.model_copy(update=free)) for one in ruleset.rules if one.code not in without
    )
    earning = ruleset.terms.model_copy(update={"caps": (), "per_transaction": None})
    return replace(ruleset, rules=rules, programme=ruleset.programme.model_copy(update={"earning": earning}))


def _occasion(fact: Fact, ruleset: RuleSet, member: Values) -> Occasion:
    values = {**member, **fact.values}
    if fact.trigger == PURCHASE:
        values |= purchase_values(fact, fact.paid_fen(without=(POINTS_TENDER,)))
    lines = tuple(line.values() for line in fact.live_lines())
    context = Context(fact.occurred_at, values, lines)
    barred = ruleset.terms.no_points_on
    counts = tuple(barred is None or not of_line(barred, line, context, ruleset.setting) for line in lines)
    return Occasion(fact, context, ruleset.setting, counts or (True,))


class _Course:
    """One asset's rules on one occasion, step by step."""

    def __init__(self, occasion: Occasion, ruleset: RuleSet, used: Used, asset: str) -> None:
        self._occasion = occasion
        self._terms = ruleset.terms
        self._asset = asset
        self._used = used
        self._tally = Tally(used, occasion.context.at)
        self._day = occasion.context.at.astimezone(ruleset.setting.zone).date()
        carried = used.count(counting.carry_key(asset)).amount if ruleset.terms.rounding.carry else 0
        self._rounder = Rounder(ruleset.terms.rounding, len(occasion.counts), carried)
        self._multiplied: dict[str, Given] = {}
        self._fired: str | None = None
        self._alone: str | None = None
        self.carried = carried
        self.used = used
        self.awards: list[Award] = []
        self.unfired: list[Unfired] = []

    def run(self, rules: Sequence[Versioned]) -> None:
        """Judge them all."""
        ready = [one for one in sorted(rules, key=_place) if self._is_ready(one)]
        for phase in (True, False):
            for one in self._winners([one for one in ready if one.rule.is_base is phase]):
                self._fire(one)
        most = self._terms.per_transaction
        if most is not None and self._asset == POINTS and sum(award.amount for award in self.awards) > most:
            self.awards = [_refused(award) for award in self.awards]
            return
        self.used = self._tally.after()
        if self._terms.rounding.carry:
            self.carried = self._rounder.carried
            kept = {counting.carry_key(self._asset): Count(self.carried)}
            self.used = Used({**self.used.counts, **kept}, self.used.left)

    def _is_ready(self, one: Versioned) -> bool:
        if one.rule.condition is not None:
            judged = judge(one.rule.condition, self._occasion.context, self._occasion.setting)
            if not judged.holds:
                self._unfired(one, Why.CONDITION, path=judged.path)
                return False
        reason = counting.closed(one.rule, self._day, self._tally)
        if reason is not None:
            self._unfired(one, Why.COOLDOWN if reason == "cooldown" else Why.LIMIT, reason=reason)
        return reason is None

    def _winners(self, ready: Sequence[Versioned]) -> list[Versioned]:
        """The rules that are left when every group has had its way, compared as if each were alone."""
        out: set[str] = set()
        for code in sorted({one.rule.group.code for one in ready if one.rule.group is not None}):
            group = [one for one in ready if one.rule.group is not None and one.rule.group.code == code]
            winner = self._winner(group)
            for one in group:
                if winner is not None and one is not winner:
                    out.add(one.code)
                    self._unfired(one, Why.GROUP, by=winner.code)
        return [one for one in ready if one.code not in out]

    def _winner(self, group: Sequence[Versioned]) -> Versioned | None:
        mode = group[0].rule.group.mode if group[0].rule.group is not None else "stack"
        worth = {one.code: self._worth(one) for one in group}
        giving = [one for one in group if worth[one.code]]
        if mode == "stack" or not giving:
            return None
        return giving[0] if mode == "first" else max(giving, key=lambda one: worth[one.code])

    def _worth(self, one: Versioned) -> int:
        units = self._rounder.would_add(self._given(one))
        return counting.headroom(one.rule, units, self._day, self._tally)

    def _given(self, one: Versioned) -> Given:
        return amounts.wanted(one.rule.amount, self._occasion, self._multiplied)

    def _fire(self, one: Versioned) -> None:
        if one.rule.is_promotion:
            by = self._alone or (self._fired if one.rule.exclusive else None)
            if by is not None:
                self._unfired(one, Why.EXCLUDED, by=by)
                return
        given = self._given(one)
        wanted = self._rounder.would_add(given)
        trimmed = counting.trim(one.rule, wanted, self._terms, self._day, self._tally)
        if not trimmed.is_refused:
            self._award(one, given, wanted, trimmed)
        elif wanted:
            self._note(one, given, wanted, trimmed)

    def _award(self, one: Versioned, given: Given, wanted: int, trimmed: Trimmed) -> None:
        if wanted:
            self._note(one, given, wanted, trimmed)
        else:
            self._unfired(one, Why.NOTHING)
        self._rounder.add(given)
        kept = given if not wanted else given.times(trimmed.by_rule, wanted)
        if one.rule.is_base:
            self._multiplied[one.code] = kept
        elif self._terms.multipliers == "compounding":
            self._grow(one.rule.amount, trimmed.by_rule, wanted or 1)
        if not trimmed.amount:
            return
        self._tally.add(trimmed.counted, trimmed.amount)
        if one.rule.budget_code is not None:
            self._tally.spend(one.rule.budget_code, trimmed.amount)
        if one.rule.is_promotion:
            self._fired = one.code
            self._alone = one.code if one.rule.exclusive else self._alone

    def _grow(self, amount: Amount, by_rule: int, wanted: int) -> None:
        """What was multiplied has become more for the multipliers that follow, as far as limits left it."""
        if isinstance(amount, Multiplier | TierMultiplier):
            for code, so_far in list(self._multiplied.items()):
                more = amounts.wanted(amount, self._occasion, {code: so_far})
                self._multiplied[code] = so_far.plus(more.times(by_rule, wanted))

    def _note(self, one: Versioned, given: Given, wanted: int, trimmed: Trimmed) -> None:
        self.awards.append(
            Award(
                rule_code=one.code,
                version=one.version,
                asset=self._asset,
                amount=trimmed.amount,
                wanted=wanted,
                withheld=trimmed.withheld,
                per_line=_shared(trimmed.amount, given),
                explanation=self._explained(one.rule.amount),
                counted=trimmed.counted,
                budget=one.rule.budget_code,
            )
        )

    def _explained(self, amount: Amount) -> Mapping[str, Any]:
        match amount:
            case PerYuan():
                base = amounts.base_fen(amount, self._occasion)
                return {"kind": amount.kind, "base_fen": base, "points": amount.points, "per_fen": amount.per_fen}
            case PerLine():
                return {"kind": amount.kind, "points": amount.points, "per": amount.per}
            case Multiplier():
                percent = amount.percent
            case TierMultiplier():
                percent = amounts.tier_percent(amount, self._occasion)
            case _:
                return {"kind": amount.kind}
        of = amounts.basis(amount, self._occasion, self._multiplied)
        return {"kind": amount.kind, "percent": percent, "of": of, "mode": self._terms.multipliers}

    def _unfired(self, one: Versioned, why: Why, **more: str | None) -> None:
        self.unfired.append(Unfired(one.code, one.version, self._asset, why, **more))


def _refused(award: Award) -> Award:
    """What one fact would earn above the programme's limit per transaction is refused in full."""
    withheld = (Withheld(award.wanted, TRANSACTION, Scope.PROGRAMME),)
    return replace(award, amount=0, withheld=withheld, per_line=(0,) * len(award.per_line), counted=())


def _keys(rule: Rule) -> frozenset[str]:
    amount = rule.amount
    where = amount.where if isinstance(amount, PerYuan | PerLine | Multiplier) else None
    own: frozenset[str] = frozenset()
    if isinstance(amount, BirthdayGift):
        own = frozenset({BIRTHDAY_POINTS})
    elif isinstance(amount, TierMultiplier):
        own = frozenset({MULTIPLIER if amount.percents is None else "member.tier"})
    return own | _of(rule.condition) | _of(where)


def _of(condition: Node | None) -> frozenset[str]:
    return frozenset() if condition is None else needed(condition)


def _shared(amount: int, given: Given) -> tuple[int, ...]:
    weights = [part * _SHARE_UNIT // given.per for part in given.lines]
    return tuple(split(amount, weights if any(weights) else [1] * len(weights)))


def _place(one: Versioned) -> tuple[int, str]:
    return one.rule.order, one.code
