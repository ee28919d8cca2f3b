"""When a window begins, a tier ends and a grace is over: calendar days in the programme's zone. Pure.

Intervals are half-open and every date is a day of the programme's calendar, wherever the member lives: a tier
"through 19 August" ends at 20 August 00:00. A month later is the same day, or the month's last one where it is
shorter; repeated periods count from the first day, so that a 31st does not wander to the 28th.
"""

from datetime import date, datetime, timedelta
from itertools import count
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from loyalty.clock import business_day, start_of
from loyalty.expiry import months_later
from loyalty.ladders.rules import (
    Anniversary,
    Calendar,
    CalendarEnd,
    Fixed,
    Forever,
    Grace,
    Lifetime,
    MemberAnniversary,
    NextPeriod,
    Rolling,
    Rounding,
    TierAnniversary,
    Unit,
    Validity,
    WhileQualified,
    Window,
)

DAY: Final = timedelta(days=1)
YEAR_MONTHS: Final = 12
UNIT_MONTHS: Final[dict[str, int]] = {"month": 1, "quarter": 3, "half_year": 6, "year": YEAR_MONTHS}
_INSTANT: Final = datetime.resolution
_WEEK_DAYS: Final = 7


def last_day(ends_at: datetime, zone: ZoneInfo) -> date:
    """The last day of an interval that ends at `ends_at`."""
    return business_day(ends_at - _INSTANT, zone)


def unit_start(day: date, unit: Unit, first_month: int = 1) -> date:
    """The first day of the calendar unit around `day`; years begin with `first_month`."""
    index = day.year * YEAR_MONTHS + day.month - first_month
    months = UNIT_MONTHS[unit]
    year, month = divmod(index // months * months + first_month - 1, YEAR_MONTHS)
    return date(year, month + 1, 1)


def unit_end(day: date, unit: Unit, first_month: int = 1) -> date:
    """The first day after the calendar unit around `day`."""
    return months_later(unit_start(day, unit, first_month), UNIT_MONTHS[unit])


def next_multiple(anchor: date, months: int, after: date) -> date:
    """The first day later than `after` that lies a multiple of `months` behind `anchor`."""
    gone = (after.year - anchor.year) * YEAR_MONTHS + after.month - anchor.month
    days = (months_later(anchor, times * months) for times in count(max(1, gone // months)))
    return next(day for day in days if day > after)


def last_multiple(anchor: date, months: int, day: date) -> date:
    """The latest day up to `day` that lies a multiple of `months` behind `anchor`, or `anchor` itself."""
    return max(anchor, _before(next_multiple(anchor, months, day), anchor, months))


def _before(following: date, anchor: date, months: int) -> date:
    times = ((following.year - anchor.year) * YEAR_MONTHS + following.month - anchor.month) // months
    return months_later(anchor, (times - 1) * months)


def window_start(
    window: Window, at: datetime, *, joined_at: datetime, anchor: datetime, zone: ZoneInfo
) -> datetime | None:
    """Where the window around the instant `at` begins; None: it has no beginning. `anchor` is where a tier's own
    periods count from."""
    day = business_day(at, zone)
    match window:
        case Lifetime():
            return None
        case Calendar():
            return start_of(unit_start(day, window.unit, window.first_month), zone)
        case MemberAnniversary():
            return start_of(last_multiple(business_day(joined_at, zone), YEAR_MONTHS, day), zone)
        case TierAnniversary():
            first = business_day(anchor, zone)
            begins = last_multiple(first, window.months, day)
            return anchor if begins == first else start_of(begins, zone)
        case Rolling():
            return start_of(months_later(day, -window.months) - window.days * DAY, zone)
        case _:
            assert_never(window)


def valid_until(
    validity: Validity,
    reached_at: datetime,
    *,
    joined_at: datetime,
    zone: ZoneInfo,
) -> datetime | None:
    """When a tier that is reached at `reached_at` is reviewed; None: by the calendar never."""
    day = business_day(reached_at, zone)
    match validity:
        case Forever() | WhileQualified():
            return None
        case Fixed():
            # Days are whole ones after the day itself: 30 days from 20 July, whatever the hour, end with 19 August.
            ends = months_later(day, validity.months) if validity.months else day + (validity.days + 1) * DAY
        case CalendarEnd():
            ends = unit_end(day, validity.unit, validity.first_month)
            for _ in range(validity.further):
                ends = unit_end(ends, validity.unit, validity.first_month)
            while ends < months_later(day, validity.minimum_months):
                ends = unit_end(ends, validity.unit, validity.first_month)
        case Anniversary():
            joined = business_day(joined_at, zone)
            ends = next_multiple(joined, YEAR_MONTHS, day)
            while ends < months_later(day, validity.minimum_months):
                ends = next_multiple(joined, YEAR_MONTHS, ends)
        case _:
            assert_never(validity)
    return start_of(ends, zone)


def confirmed_until(
    validity: Validity,
    reviewed_at: datetime,
    *,
    since: datetime,
    joined_at: datetime,
    zone: ZoneInfo,
) -> datetime | None:
    """When a tier that a review at `reviewed_at` confirmed, or gave, is reviewed next; `since` is when it began."""
    day = business_day(reviewed_at, zone)
    match validity:
        case Forever() | WhileQualified():
            return None
        case Fixed() if validity.months:
            ends = next_multiple(business_day(since, zone), validity.months, day)
        case Fixed():
            ends = day + validity.days * DAY
        case CalendarEnd():
            ends = unit_end(day, validity.unit, validity.first_month)
        case Anniversary():
            ends = next_multiple(business_day(joined_at, zone), YEAR_MONTHS, day)
        case _:
            assert_never(validity)
    return start_of(ends, zone)


def grace_end(grace: Grace, short_at: datetime, *, reached_at: datetime | None, zone: ZoneInfo) -> datetime:
    """When a member who fell short at `short_at` falls. `reached_at` is given while the tier follows its metric and
    the grace counts in periods from the day on which it was reached."""
    if reached_at is not None and grace.counts_from == "reached":
        ends = _period_end(grace, business_day(reached_at, zone), business_day(short_at, zone))
    else:
        day = business_day(short_at, zone)
        begun = short_at > start_of(day, zone)
        ends = months_later(day, grace.months) if grace.months else day + (grace.days + begun) * DAY
    return start_of(_rounded_up(ends - DAY, grace.rounds_up_to), zone)


def _period_end(grace: Grace, reached: date, short: date) -> date:
    if grace.months:
        return next_multiple(reached, grace.months, short)
    return next(ends for times in count(1) if (ends := reached + (times * grace.days + 1) * DAY) > short)


def _rounded_up(day: date, unit: Rounding) -> date:
    """The first day after the unit in which `day`, the last one, lies."""
    if unit == "day":
        return day + DAY
    if unit == "week":
        return day + (_WEEK_DAYS - day.weekday()) * DAY
    return unit_end(day, unit)


def next_period(rises: NextPeriod, at: datetime, zone: ZoneInfo) -> datetime:
    """The beginning of the period after the one in which `at` lies."""
    return start_of(unit_end(business_day(at, zone), rises.unit, rises.first_month), zone)


def leaves_at(window: Rolling, at: datetime, zone: ZoneInfo) -> datetime:
    """From when on what happened at `at` lies outside of the rolling window."""
    day = business_day(at, zone)
    # The clamp of short months makes the way back longer than the way there: look for the first day that is past it.
    follows = (months_later(day, window.months) + (window.days + later) * DAY for later in count())
    return next(
        start
        for day_after in follows
        if (start := start_of(day_after, zone)) > at
        and start_of(months_later(day_after, -window.months) - window.days * DAY, zone) > at
    )
