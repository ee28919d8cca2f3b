"""Ladders that cannot work are refused in words, one refusal for each way of not working."""

from typing import Any

import pytest

from loyalty.ladders.checks import (
    AutoRedeemStarves,
    BalanceHasNoWindow,
    FollowsAnotherMeasure,
    FollowsAResettingWindow,
    GraceWithoutFall,
    KeepAboveReach,
    KeepNeverJudged,
    KeepsDoNotRise,
    LadderImpossible,
    NeverRises,
    StepsDoNotRise,
    StoresWithoutPurchases,
    Surroundings,
    TierTaken,
    TierTwice,
    TooManyVisits,
    WordsMissing,
    problems,
)
from loyalty.ladders.rules import (
    DEFAULT_LADDER,
    Benefits,
    Calendar,
    Fall,
    Fixed,
    Grace,
    Ladder,
    Measure,
    Metric,
    NextPeriod,
    Rolling,
    Step,
    WhileQualified,
)
from templates.words import LOCALES, refusal_words

WORDS = {"zh-CN": "级", "en": "step"}


def step(code: str, reach_from: int, keep_from: int | None = None, **more: Any) -> Step:
    return Step(code=code, reach_from=reach_from, keep_from=keep_from, **{"names": WORDS, **more})


def ladder(*steps: Step, **more: Any) -> Ladder:
    return Ladder(**{"names": WORDS, "steps": (step("low", 0), *steps), **more})


BALANCE = Measure(metric=Metric.POINTS_BALANCE)


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        (Ladder(names=WORDS, steps=(step("low", 10),)), StepsDoNotRise),
        (ladder(step("high", 100), step("higher", 100)), StepsDoNotRise),
        (ladder(step("high", 100), step("high", 200)), TierTwice),
        (ladder(step("taken", 100)), TierTaken),
        (ladder(step("high", 100, 101), validity=Fixed(months=12)), KeepAboveReach),
        (ladder(step("high", 100), step("higher", 200, 50), validity=Fixed(months=12)), KeepsDoNotRise),
        (ladder(step("high", 100, names={"zh-CN": "级"})), WordsMissing),
        (ladder(step("high", 100, benefits=Benefits(texts=({"en": "a seat"},)))), WordsMissing),
        (
            ladder(step("high", 99), measure=Measure(metric=Metric.POINTS_BALANCE, window=Calendar())),
            BalanceHasNoWindow,
        ),
        (ladder(step("high", 40, validity=WhileQualified()), step("x", 100), measure=BALANCE), AutoRedeemStarves),
        (
            ladder(step("high", 32), measure=Measure(metric=Metric.VISITS, window=Calendar(unit="month"))),
            TooManyVisits,
        ),
        (ladder(step("high", 100), measure=Measure(store_ids=(1,))), StoresWithoutPurchases),
        (ladder(step("high", 100, 50)), KeepNeverJudged),
        (ladder(step("high", 100, 50), validity=Fixed(months=12), fall=Fall.NONE), KeepNeverJudged),
        (ladder(step("high", 100), validity=Fixed(months=12), fall=Fall.NONE, grace=Grace(days=30)), GraceWithoutFall),
        (
            ladder(step("high", 100), measure=Measure(window=Calendar()), validity=WhileQualified()),
            FollowsAResettingWindow,
        ),
        (ladder(step("high", 100), keeping=BALANCE, validity=WhileQualified()), FollowsAnotherMeasure),
        (ladder(step("high", 40), measure=BALANCE, rises=NextPeriod()), NeverRises),
    ],
)
def test_case_61_what_cannot_work_is_refused_in_words(written: Ladder, refused: type[LadderImpossible]) -> None:
    found = list(problems(written, Surroundings(tiers={"taken": "partner"}, auto_redeem_points=100)))
    assert [type(problem) for problem in found] == [refused]
    for locale in LOCALES:
        words = refusal_words(found[0].code, found[0].params, locale)
        assert words.detail != words.title


def test_case_61_points_earned_do_not_fall_when_points_are_redeemed() -> None:
    around = Surroundings(auto_redeem_points=100)
    earned = ladder(step("x", 100), measure=Measure(metric=Metric.POINTS_EARNED))
    assert list(problems(earned, around)) == []
    balance = ladder(step("x", 99), measure=BALANCE)
    assert list(problems(balance, around)) == []
    assert [type(problem) for problem in problems(ladder(step("x", 100), measure=BALANCE), around)] == [
        AutoRedeemStarves
    ]
    assert list(problems(ladder(step("x", 100), measure=BALANCE), Surroundings())) == []


def test_what_can_work_is_let_through() -> None:
    assert list(problems(DEFAULT_LADDER, Surroundings())) == []
    rolling = ladder(
        step("high", 100, 80),
        measure=Measure(window=Rolling(months=12)),
        validity=WhileQualified(),
        grace=Grace(months=1),
    )
    assert list(problems(rolling, Surroundings())) == []
    kept_otherwise = ladder(
        step("high", 100, 3),
        validity=Fixed(months=12),
        keeping=Measure(metric=Metric.VISITS, window=Rolling(months=12)),
    )
    assert list(problems(kept_otherwise, Surroundings())) == []
