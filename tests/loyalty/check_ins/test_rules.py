"""Streaks and their bonuses, as a property over whole calendars."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.check_ins.rules import Last, Reward, next_bonus, reward, streak_after
from loyalty.program.terms import CheckInTerms, StreakBonus

DAY = date(2026, 11, 21)
TERMS = CheckInTerms(points=5, bonuses=(StreakBonus(days=3, points=10), StreakBonus(days=7, points=20)))


@pytest.mark.parametrize(
    ("last", "streak"),
    [
        (None, 1),
        (Last(DAY - timedelta(days=1), 6), 7),
        (Last(DAY - timedelta(days=2), 6), 1),
        (Last(DAY - timedelta(days=400), 1), 1),
    ],
)
def test_only_yesterday_continues_a_streak(last: Last | None, streak: int) -> None:
    assert streak_after(last, DAY) == streak


def test_the_bonus_comes_on_its_day_and_only_then() -> None:
    def on_day(number: int) -> Reward:
        return reward(Last(DAY - timedelta(days=1), number - 1), DAY, TERMS)

    assert on_day(2) == Reward(streak=2, points=5, bonus=0)
    assert on_day(3) == Reward(streak=3, points=15, bonus=10)
    assert on_day(4) == Reward(streak=4, points=5, bonus=0)


@pytest.mark.parametrize(("streak", "ahead"), [(0, (3, 10)), (2, (1, 10)), (3, (4, 20)), (6, (1, 20)), (7, None)])
def test_the_next_bonus_is_the_nearest_one_ahead(streak: int, ahead: tuple[int, int] | None) -> None:
    assert next_bonus(streak, TERMS) == ahead


@given(st.sets(st.integers(0, 60), min_size=1))
def test_streaks_count_the_days_without_a_gap(days: set[int]) -> None:
    last: Last | None = None
    for number in sorted(days):
        day = DAY + timedelta(days=number)
        last = Last(day, streak_after(last, day))
        run = 0
        while number - run in days:
            run += 1
        assert last.streak == run
