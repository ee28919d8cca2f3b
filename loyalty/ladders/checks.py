"""What cannot work in a ladder, each said as a refusal with its words: thresholds that contradict each other, tiers
that nobody can reach or keep, a metric that another rule of the programme holds down. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from loyalty.errors import Invalid
from loyalty.ladders.periods import UNIT_MONTHS, YEAR_MONTHS
from loyalty.ladders.rules import (
    Calendar,
    Fall,
    Forever,
    Ladder,
    Lifetime,
    MemberAnniversary,
    Metric,
    Rolling,
    TierAnniversary,
    WhileQualified,
    Window,
)

LOCALES: Final = frozenset({"zh-CN", "en"})
_DAYS_PER_MONTH_MAX: Final = 31
_FROM_STORES: Final = frozenset({Metric.SPEND, Metric.VISITS})


class LadderImpossible(Invalid):
    """The ladder cannot work as it is written."""

    code = "ladders.impossible"
    status = 422


class StepsDoNotRise(LadderImpossible):
    """The first step asks something, or a step asks no more than the one below; `tier` names it."""

    code = "ladders.steps_do_not_rise"


class TierTwice(LadderImpossible):
    """Two steps have the same code `tier`."""

    code = "ladders.tier_twice"


class TierTaken(LadderImpossible):
    """`tier` is a step of another ladder, `ladder`: a code names one tier of the whole programme."""

    code = "ladders.tier_taken"


class KeepAboveReach(LadderImpossible):
    """Keeping `tier` asks more than reaching it."""

    code = "ladders.keep_above_reach"


class KeepsDoNotRise(LadderImpossible):
    """Keeping `tier` asks less than keeping the one below."""

    code = "ladders.keeps_do_not_rise"


class WordsMissing(LadderImpossible):
    """`what` has no name in `locale`."""

    code = "ladders.words_missing"


class BalanceHasNoWindow(LadderImpossible):
    """The points balance is of now; it cannot be counted over a period."""

    code = "ladders.balance_has_no_window"


class AutoRedeemStarves(LadderImpossible):
    """Points are redeemed by themselves at `redeemed_at` points, so that no balance ever reaches the `reach_from`
    of `tier`."""

    code = "ladders.auto_redeem_starves"


class TooManyVisits(LadderImpossible):
    """`tier` asks `reach_from` days with a purchase of a window that has at most `days`."""

    code = "ladders.too_many_visits"


class StoresWithoutPurchases(LadderImpossible):
    """Only purchases happen in stores; `metric` does not."""

    code = "ladders.stores_without_purchases"


class KeepNeverJudged(LadderImpossible):
    """`tier` has a threshold for keeping and no review that would ask it."""

    code = "ladders.keep_never_judged"


class GraceWithoutFall(LadderImpossible):
    """There is a grace, but nobody ever falls."""

    code = "ladders.grace_without_fall"


class FollowsAResettingWindow(LadderImpossible):
    """The tier follows its metric, and the metric begins at nought with every period: everybody would fall then."""

    code = "ladders.follows_a_resetting_window"


class FollowsAnotherMeasure(LadderImpossible):
    """The tier follows its metric, but another one decides who reaches it: members would rise and fall in turns."""

    code = "ladders.follows_another_measure"


class NeverRises(LadderImpossible):
    """Upgrades wait for the next period, when the metric of a points balance may be long gone."""

    code = "ladders.never_rises"


REFUSALS: Final[tuple[type[LadderImpossible], ...]] = (LadderImpossible, *LadderImpossible.__subclasses__())
"""Every way of not working."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else the programme has: the tiers of other ladders (code → ladder), and the points at which a balance is
    redeemed by itself."""

    tiers: Mapping[str, str] = field(default_factory=dict)
    auto_redeem_points: int | None = None


def problems(ladder: Ladder, around: Surroundings) -> Iterator[LadderImpossible]:
    """Everything that keeps `ladder` from working, in the order in which one would mend it."""
    yield from _steps(ladder)
    yield from _codes(ladder, around)
    yield from _words(ladder)
    yield from _metrics(ladder, around)
    yield from _ends(ladder)


def _steps(ladder: Ladder) -> Iterator[LadderImpossible]:
    if ladder.lowest.reach_from != 0:
        yield StepsDoNotRise(tier=ladder.lowest.code)
    for lower, upper in pairwise(ladder.steps):
        if upper.reach_from <= lower.reach_from:
            yield StepsDoNotRise(tier=upper.code)
        if upper.kept_from < lower.kept_from:
            yield KeepsDoNotRise(tier=upper.code)
    for step in ladder.steps:
        if step.kept_from > step.reach_from:
            yield KeepAboveReach(tier=step.code)


def _codes(ladder: Ladder, around: Surroundings) -> Iterator[LadderImpossible]:
    seen: set[str] = set()
    for step in ladder.steps:
        if step.code in seen:
            yield TierTwice(tier=step.code)
        seen.add(step.code)
        other = around.tiers.get(step.code, ladder.code)
        if other != ladder.code:
            yield TierTaken(tier=step.code, ladder=other)


def _words(ladder: Ladder) -> Iterator[LadderImpossible]:
    named = [(ladder.code, ladder.names), *((step.code, step.names) for step in ladder.steps)]
    named += [(step.code, text) for step in ladder.steps for text in step.benefits.texts]
    for what, words in named:
        for locale in sorted(LOCALES):
            if not words.get(locale, "").strip():
                yield WordsMissing(what=what, locale=locale)


def _metrics(ladder: Ladder, around: Surroundings) -> Iterator[LadderImpossible]:
    for measure in {ladder.measure, ladder.kept_by}:
        if measure.metric is Metric.POINTS_BALANCE and not isinstance(measure.window, Lifetime):
            yield BalanceHasNoWindow()
        if measure.store_ids and measure.metric not in _FROM_STORES:
            yield StoresWithoutPurchases(metric=measure.metric.value)
    if ladder.measure.metric is Metric.POINTS_BALANCE and ladder.rises.kind == "next_period":
        yield NeverRises()
    for step in ladder.steps:
        yield from _starved(ladder, step.code, step.reach_from, around)
        days = _window_days(ladder.measure.window)
        if ladder.measure.metric is Metric.VISITS and days is not None and step.reach_from > days:
            yield TooManyVisits(tier=step.code, reach_from=step.reach_from, days=days)


def _starved(ladder: Ladder, tier: str, reach_from: int, around: Surroundings) -> Iterator[LadderImpossible]:
    redeemed_at = around.auto_redeem_points
    if ladder.measure.metric is Metric.POINTS_BALANCE and redeemed_at is not None and reach_from >= redeemed_at:
        yield AutoRedeemStarves(tier=tier, reach_from=reach_from, redeemed_at=redeemed_at)


def _ends(ladder: Ladder) -> Iterator[LadderImpossible]:
    if ladder.fall is Fall.NONE and ladder.grace is not None:
        yield GraceWithoutFall()
    for step in ladder.steps[1:]:
        validity = ladder.validity_of(step)
        if step.keep_from is not None and (isinstance(validity, Forever) or ladder.fall is Fall.NONE):
            yield KeepNeverJudged(tier=step.code)
        if isinstance(validity, WhileQualified) and not isinstance(ladder.kept_by.window, Lifetime | Rolling):
            yield FollowsAResettingWindow(tier=step.code)
        if isinstance(validity, WhileQualified) and ladder.keeping not in {None, ladder.measure}:
            yield FollowsAnotherMeasure(tier=step.code)


def _window_days(window: Window) -> int | None:
    """At most so many days lie in the window; None: any number."""
    match window:
        case Calendar():
            return UNIT_MONTHS[window.unit] * _DAYS_PER_MONTH_MAX
        case MemberAnniversary():
            return YEAR_MONTHS * _DAYS_PER_MONTH_MAX
        case TierAnniversary():
            return window.months * _DAYS_PER_MONTH_MAX
        case Rolling():
            return window.months * _DAYS_PER_MONTH_MAX + window.days + 1
        case Lifetime():
            return None
