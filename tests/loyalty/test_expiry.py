"""Ends of units in the programme's own calendar."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.clock import business_day, start_of
from loyalty.expiry import Calendar, Expiry, Inactivity, Never, Rolling, Round, ends_at, months_later


def end_of_month_rule(at: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    end = ends_at(Rolling(months=months), at, zone)
    assert end is not None
    return end


def end_of_day_rule(at: datetime, *, months: int, zone: ZoneInfo) -> datetime:
    end = ends_at(Rolling(months=months, round_up=Round.DAY), at, zone)
    assert end is not None
    return end


SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from([SHANGHAI, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Pacific/Auckland")])


@pytest.mark.parametrize(
    ("day", "months", "later"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2028, 1, 31), 1, date(2028, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 11, 30), 12, date(2027, 11, 30)),
        (date(2028, 2, 29), 12, date(2029, 2, 28)),
        (date(2026, 3, 31), 0, date(2026, 3, 31)),
        (date(2026, 10, 31), 13, date(2027, 11, 30)),
    ],
)
def test_months_later(day: date, months: int, later: date) -> None:
    assert months_later(day, months) == later


def shanghai(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("rule", "start", "ends"),
    [
        # Case 17: earned 31 January, one month; none at all; and in a leap year.
        (Rolling(months=1, round_up=Round.DAY), "2026-01-31T10:00", "2026-03-01"),
        (Rolling(months=1, round_up=Round.DAY), "2028-01-31T10:00", "2028-03-01"),
        (Rolling(months=0, round_up=Round.DAY), "2026-01-31T23:59:59", "2026-02-01"),
        # Case 18: P12M earned 6 July 2020 is usable through 31 July 2021.
        (Rolling(months=12), "2020-07-06T09:00", "2021-08-01"),
        # Case 20: a star of 14 March 2026 dies with 31 March 2027.
        (Rolling(years=1), "2026-03-14T20:00", "2027-04-01"),
        # The same length, rounded up to every period there is.
        (Rolling(months=3, round_up=Round.NONE), "2026-02-10T12:30:15", "2026-05-10T12:30:15"),
        (Rolling(days=90, round_up=Round.NONE), "2026-02-10T12:30:15", "2026-05-11T12:30:15"),
        (Rolling(days=90, round_up=Round.DAY), "2026-02-10T12:30:15", "2026-05-12"),
        (Rolling(months=3, round_up=Round.MONTH), "2026-02-10", "2026-06-01"),
        (Rolling(months=3, round_up=Round.QUARTER), "2026-02-10", "2026-07-01"),
        (Rolling(months=3, round_up=Round.HALF_YEAR), "2026-02-10", "2026-07-01"),
        (Rolling(months=6, round_up=Round.HALF_YEAR), "2026-02-10", "2027-01-01"),
        (Rolling(months=3, round_up=Round.YEAR), "2026-02-10", "2027-01-01"),
        (Rolling(months=12, through_month=3), "2026-02-10", "2027-04-01"),
        (Rolling(months=12, through_month=3), "2026-03-31", "2027-04-01"),
        (Rolling(months=12, through_month=3), "2026-04-01", "2028-04-01"),
        # Calendar days: the next of them, the day itself included.
        (Calendar(days=("06-30", "12-31")), "2026-06-30T23:59", "2026-07-01"),
        (Calendar(days=("06-30", "12-31")), "2026-07-01T00:00", "2027-01-01"),
        (Calendar(days=("06-30", "12-31"), at_least_days=30), "2026-06-15", "2027-01-01"),
        (Calendar(days=("02-29",)), "2026-03-01", "2027-03-01"),
        (Calendar(days=("02-29",)), "2027-03-01", "2028-03-01"),
        (Inactivity(months=12), "2026-03-01T18:00", "2027-03-01"),
        (Never(), "2026-03-01", None),
    ],
)
def test_cases_17_18_20_each_rule_by_hand(rule: Expiry, start: str, ends: str | None) -> None:
    assert ends_at(rule, shanghai(start), SHANGHAI) == (None if ends is None else shanghai(ends))


def test_case_22_the_zone_of_the_programme_rules_and_not_the_members() -> None:
    # A member in Berlin earns at 18:30 on 31 July there: in Shanghai it is August already.
    earned = datetime(2026, 7, 31, 18, 30, tzinfo=BERLIN)
    assert ends_at(Rolling(months=12), earned, SHANGHAI) == shanghai("2027-09-01")
    assert ends_at(Rolling(months=12), earned, BERLIN) == datetime(2027, 8, 1, tzinfo=BERLIN)


def test_a_rule_without_length_and_rounding_is_none() -> None:
    with pytest.raises(ValueError, match="without rounding"):
        Rolling(round_up=Round.NONE)


def test_at_most_twenty_days_of_the_year() -> None:
    days = tuple(f"{month:02d}-{day:02d}" for month in (1, 2, 3) for day in range(1, 8))
    assert Calendar(days=days[:20])
    with pytest.raises(ValueError, match="at most 20"):
        Calendar(days=days)


def test_a_month_rule_ends_with_the_local_month() -> None:
    earned = datetime(2020, 7, 6, 4, tzinfo=UTC)
    assert end_of_month_rule(earned, months=12, zone=SHANGHAI) == datetime(2021, 8, 1, tzinfo=SHANGHAI)


def test_the_members_evening_belongs_to_the_programmes_next_day() -> None:
    # 31 July 16:00 UTC is 1 August 00:00 in Shanghai: August counts, not July.
    assert end_of_month_rule(datetime(2026, 7, 31, 16, tzinfo=UTC), months=0, zone=SHANGHAI).date() == date(2026, 9, 1)
    assert end_of_month_rule(datetime(2026, 7, 31, 15, 59, tzinfo=UTC), months=0, zone=SHANGHAI).date() == date(
        2026, 8, 1
    )


def test_a_day_rule_of_zero_months_ends_with_this_very_day() -> None:
    at = datetime(2026, 11, 21, 4, tzinfo=UTC)
    assert end_of_day_rule(at, months=0, zone=SHANGHAI) == datetime(2026, 11, 22, tzinfo=SHANGHAI)
    assert end_of_day_rule(at, months=3, zone=SHANGHAI) == datetime(2027, 2, 22, tzinfo=SHANGHAI)


def test_a_day_of_25_hours_is_one_day() -> None:
    at = datetime(2026, 10, 25, 12, tzinfo=BERLIN)
    begin, end = start_of(date(2026, 10, 25), BERLIN), end_of_day_rule(at, months=0, zone=BERLIN)
    assert (end.astimezone(UTC) - begin.astimezone(UTC)).total_seconds() == 25 * 3600


@given(at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), zone=ZONES)
def test_days_are_half_open_and_follow_each_other(at: datetime, zone: ZoneInfo) -> None:
    day = business_day(at, zone)
    assert start_of(day, zone) <= at < end_of_day_rule(at, months=0, zone=zone)


@given(
    at=st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
    months=st.integers(0, 120),
    zone=ZONES,
)
def test_the_month_rule_never_takes_away_from_the_day_rule(at: datetime, months: int, zone: ZoneInfo) -> None:
    by_month = end_of_month_rule(at, months=months, zone=zone)
    assert by_month >= end_of_day_rule(at, months=months, zone=zone) > at
    assert by_month.astimezone(zone).day == 1
