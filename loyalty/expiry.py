"""When units end: calendar arithmetic in the programme's zone."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from loyalty.clock import business_day, start_of


def months_later(day: date, months: int) -> date:
    """The same day `months` later, or that month's last day where it is shorter (31 Jan + 1 = 28 Feb)."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def end_of_month_rule(at: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    """Units earned at `at` are usable through the last day of the month `months` later.

    Rolling expiry rounded up to the month's end: members see one date a month instead of one a day, and
    lots of a month can be read together. Example: earned 6 Jul 2020 with 12 months, usable through
    31 Jul 2021, over at 1 Aug 2021 00:00 local.
    """
    last = months_later(business_day(at, zone), months)
    return start_of(date(last.year, last.month, monthrange(last.year, last.month)[1]) + timedelta(days=1), zone)


def end_of_day_rule(at: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    """Usable through the same day `months` later; 0 months means through the end of this very day."""
    return start_of(months_later(business_day(at, zone), months) + timedelta(days=1), zone)
