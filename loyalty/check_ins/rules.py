"""Streaks and rewards of checking in (签到). Pure."""

from dataclasses import dataclass
from datetime import date, timedelta

from loyalty.program.terms import CheckInTerms


@dataclass(frozen=True, slots=True)
class Last:
    """The member's latest check-in before the day in question."""

    day: date
    streak: int


@dataclass(frozen=True, slots=True)
class Reward:
    """What a check-in on a day is worth; `bonus` is the part that the streak added."""

    streak: int
    points: int
    bonus: int


def streak_after(last: Last | None, day: date) -> int:
    """Yesterday's check-in continues a streak, anything older starts a new one."""
    return last.streak + 1 if last is not None and last.day == day - timedelta(days=1) else 1


def reward(last: Last | None, day: date, terms: CheckInTerms) -> Reward:
    """Streak and points of checking in on `day`."""
    streak = streak_after(last, day)
    bonus = sum(step.points for step in terms.bonuses if step.days == streak)
    return Reward(streak=streak, points=terms.points + bonus, bonus=bonus)


def next_bonus(streak: int, terms: CheckInTerms) -> tuple[int, int] | None:
    """Days still missing to the next streak bonus and its points; None when all are behind."""
    ahead = [step for step in terms.bonuses if step.days > streak]
    nearest = min(ahead, key=lambda step: step.days, default=None)
    return None if nearest is None else (nearest.days - streak, nearest.points)
