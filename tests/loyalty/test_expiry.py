"""Ends of units in the programme's own calendar."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.clock import business_day, start_of
from loyalty.expiry import Rolling, Round, ends_at, months_later


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
