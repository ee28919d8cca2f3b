"""When units end: calendar arithmetic in the programme's zone, and the rules that a merchant may choose from.

Intervals are half-open: "usable through 31 January" ends at 1 February 00:00 local.
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self, assert_never
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, model_validator

from loyalty.clock import business_day, start_of

MonthDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$", examples=["12-31"])]


class Round(StrEnum):
    """Up to which end a rolling expiry is rounded: none ends at the very time of day at which units became usable,
    the others with the last day of the period that holds it."""

    NONE = "none"
    DAY = "day"
    MONTH = "month"
    QUARTER = "quarter"
    HALF_YEAR = "half_year"
    YEAR = "year"


Activity = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,23}$", examples=["earn", "spend", "purchase"])]
"""What keeps an inactive member's units alive: earning or spending anything, or one kind of movement."""


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Never(_Rule):
    """Units never end."""

    kind: Literal["never"] = "never"


class Rolling(_Rule):
    """Usable for so long from the day they become usable, that day included, rounded up.

    `through_month` (1 to 12) rounds up to the end of the next such month instead ("always ends in March").
    """

    kind: Literal["rolling"] = "rolling"
    years: Annotated[int, Field(ge=0, le=50)] = 0
    months: Annotated[int, Field(ge=0, le=600)] = 0
    days: Annotated[int, Field(ge=0, le=3660)] = 0
    round_up: Round = Round.MONTH
    through_month: Annotated[int, Field(ge=1, le=12)] | None = None

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.round_up is Round.NONE and self.through_month is None and not (self.years or self.months or self.days):
            raise ValueError("without rounding, units last for some years, months or days")
        return self


class Calendar(_Rule):
    """Usable through the next of these days of the year, but at least for `at_least_days`."""

    kind: Literal["calendar"] = "calendar"
    days: Annotated[tuple[MonthDay, ...], Field(min_length=1, max_length=20)]
    at_least_days: Annotated[int, Field(ge=0, le=366)] = 0


class Inactivity(_Rule):
    """Usable until nothing that counts has happened for `months`; each such activity moves the end of all."""

    kind: Literal["inactivity"] = "inactivity"
    months: Annotated[int, Field(ge=1, le=120)]
    activities: Annotated[tuple[Activity, ...], Field(min_length=1, max_length=8)] = ("earn", "spend")


Expiry = Annotated[Never | Rolling | Calendar | Inactivity, Field(discriminator="kind")]


def ends_at(rule: Expiry, start: datetime, zone: ZoneInfo) -> datetime | None:
    """The first instant at which units that become usable at `start` are over; None for never."""
    match rule:
        case Never():
            return None
        case Rolling(round_up=Round.NONE, through_month=None):
            local = start.astimezone(zone)
            return datetime.combine(_reached(rule, local.date()), local.time(), tzinfo=zone)
        case Rolling():
            return start_of(_rolled(rule, business_day(start, zone)) + timedelta(days=1), zone)
        case Calendar():
            first = business_day(start, zone) + timedelta(days=rule.at_least_days)
            return start_of(_next_of(rule.days, first) + timedelta(days=1), zone)
        case Inactivity():
            return idle_end(start, months=rule.months, zone=zone)
        case _:
            assert_never(rule)


def idle_end(at: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    """When units end of a member whose last activity was `at`: the same day so many months later begins."""
    return start_of(months_later(business_day(at, zone), months), zone)


def months_later(day: date, months: int) -> date:
    """The same day `months` later, or that month's last day where it is shorter (31 Jan + 1 = 28 Feb)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def rounded_up(day: date, to: Round) -> date:
    """The last day of the period that holds `day`."""
    match to:
        case Round.NONE | Round.DAY:
            return day
        case Round.MONTH:
            return _month_end(day.year, day.month)
        case Round.QUARTER:
            return _month_end(day.year, (day.month + 2) // 3 * 3)
        case Round.HALF_YEAR:
            return _month_end(day.year, 6 if day.month <= 6 else 12)  # noqa: PLR2004 - half of twelve
        case Round.YEAR:
            return date(day.year, 12, 31)
        case _:
            assert_never(to)


def _rolled(rule: Rolling, day: date) -> date:
    reached = _reached(rule, day)
    if rule.through_month is None:
        return rounded_up(reached, rule.round_up)
    year = reached.year if reached.month <= rule.through_month else reached.year + 1
    return _month_end(year, rule.through_month)


def _reached(rule: Rolling, day: date) -> date:
    return months_later(day, 12 * rule.years + rule.months) + timedelta(days=rule.days)


def _month_end(year: int, month: int) -> date:
    return date(year, month, monthrange(year, month)[1])


def _next_of(days: Sequence[str], first: date) -> date:
    """The first of the month-days that is not before `first`; 29 February falls on the 28th in common years."""
    ahead = [_on(year, day) for year in (first.year, first.year + 1) for day in days]
    return min(day for day in ahead if day >= first)


def _on(year: int, month_day: str) -> date:
    month, day = (int(part) for part in month_day.split("-"))
    return date(year, month, min(day, monthrange(year, month)[1]))
