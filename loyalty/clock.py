"""The only reader of the wall clock; everything else takes time as an argument."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_offset = timedelta()


def now() -> datetime:
    """The present instant in UTC, shifted by the sandbox's clock when one is set."""
    return datetime.now(UTC) + _offset


def wall() -> datetime:
    """The wall clock in UTC, never shifted: for what is checked against other machines' clocks."""
    return datetime.now(UTC)


def shift(by: timedelta) -> None:
    """Move this process's clock to `by` ahead of the wall clock (sandbox and tests only)."""
    global _offset  # noqa: PLW0603 - one clock per process is the point of this module
    _offset = by


def offset() -> timedelta:
    """How far this process's clock runs ahead of the wall clock."""
    return _offset


def business_day(at: datetime, zone: ZoneInfo) -> date:
    """The calendar day of `at` in the programme's own zone, whatever the member's or the host's."""
    return at.astimezone(zone).date()


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of `day` in `zone`; intervals are half-open, so it also ends the day before."""
    return datetime(day.year, day.month, day.day, tzinfo=zone)
