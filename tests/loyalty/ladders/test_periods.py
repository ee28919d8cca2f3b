"""Dates of tiers by hand: validity, grace, windows, in the programme's calendar."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty.clock import business_day, start_of
from loyalty.expiry import months_later
from loyalty.ladders import periods
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
    TierAnniversary,
    Validity,
    WhileQualified,
    Window,
)

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")
REGISTERED = datetime(2020, 10, 25, 15, tzinfo=SHANGHAI)


def on(day: str, hour: int = 0, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), zone).replace(hour=hour)


@pytest.mark.parametrize(
    ("validity", "reached", "review"),
    [
        (Fixed(months=12), "2024-04-15", "2025-04-15"),
        (Fixed(months=12), "2024-10-25", "2025-10-25"),
        (Anniversary(), "2025-10-15", "2025-10-25"),
        (Anniversary(minimum_months=6), "2025-10-15", "2026-10-25"),
        # Leap days, short months, a minimum that ends on the very day, an anniversary that is today.
        (Fixed(months=12), "2024-02-29", "2025-02-28"),
        (Fixed(months=48), "2024-02-29", "2028-02-29"),
        (Fixed(months=1), "2026-01-31", "2026-02-28"),
        (Fixed(months=1), "2028-01-31", "2028-02-29"),
        (Anniversary(minimum_months=6), "2025-04-25", "2025-10-25"),
        (Anniversary(minimum_months=6), "2025-04-26", "2026-10-25"),
        (Anniversary(), "2025-10-25", "2026-10-25"),
        (CalendarEnd(), "2025-03-15", "2026-01-01"),
        (CalendarEnd(further=1), "2025-03-15", "2027-01-01"),
        (CalendarEnd(unit="quarter", minimum_months=2), "2025-03-15", "2025-07-01"),
        (CalendarEnd(first_month=4), "2025-03-31", "2025-04-01"),
        (CalendarEnd(first_month=4), "2025-04-01", "2026-04-01"),
        (Forever(), "2025-03-15", None),
        (WhileQualified(), "2025-03-15", None),
    ],
)
def test_case_58_when_a_tier_is_reviewed(validity: Validity, reached: str, review: str | None) -> None:
    found = periods.valid_until(validity, on(reached, hour=17), joined_at=REGISTERED, zone=SHANGHAI)
    assert found == (None if review is None else on(review))


@pytest.mark.parametrize(
    ("validity", "since", "reviewed", "following"),
    [
        (Fixed(months=12), "2024-04-15", "2025-04-15", "2026-04-15"),
        (Fixed(months=1), "2026-01-31", "2026-02-28", "2026-03-31"),
        (Fixed(days=30), "2026-07-20", "2026-08-20", "2026-09-19"),
        (CalendarEnd(further=1), "2025-03-15", "2027-01-01", "2028-01-01"),
        (Anniversary(), "2025-10-15", "2025-10-25", "2026-10-25"),
    ],
)
def test_a_confirmed_tier_keeps_its_days(validity: Validity, since: str, reviewed: str, following: str) -> None:
    found = periods.confirmed_until(
        validity, on(reviewed), since=on(since, hour=9), joined_at=REGISTERED, zone=SHANGHAI
    )
    assert found == on(following)


@pytest.mark.parametrize(
    ("grace", "ends"),
    [
        (Grace(months=1), "2026-08-20"),
        (Grace(months=1, rounds_up_to="month"), "2026-09-01"),
        (Grace(days=30), "2026-08-20"),
        (Grace(months=1, rounds_up_to="quarter"), "2026-10-01"),
        (Grace(months=1, rounds_up_to="half_year"), "2027-01-01"),
        (Grace(months=1, rounds_up_to="year"), "2027-01-01"),
        # 19 August 2026 is a Wednesday.
        (Grace(months=1, rounds_up_to="week"), "2026-08-24"),
        (Grace(months=1, counts_from="shortfall"), "2026-08-25"),
        (Grace(days=30, counts_from="shortfall"), "2026-08-25"),
    ],
)
def test_case_59_when_a_grace_is_over(grace: Grace, ends: str) -> None:
    """Gold since 20 July, short on 25 July; what ends at 20 August 00:00 lasts through 19 August 23:59:59."""
    found = periods.grace_end(grace, on("2026-07-25", hour=11), reached_at=on("2026-07-20", hour=10), zone=SHANGHAI)
    assert found == on(ends)


def test_case_59_a_grace_of_a_later_period_ends_with_it() -> None:
    reached = on("2026-07-20", hour=10)
    for short, ends in (("2026-08-19", "2026-08-20"), ("2026-08-20", "2026-09-20"), ("2027-01-05", "2027-01-20")):
        assert periods.grace_end(Grace(months=1), on(short, 8), reached_at=reached, zone=SHANGHAI) == on(ends)
    assert periods.grace_end(Grace(days=30), on("2026-08-21", 8), reached_at=reached, zone=SHANGHAI) == on("2026-09-19")


def test_a_grace_after_a_review_counts_from_the_review() -> None:
    review = on("2025-04-15")
    assert periods.grace_end(Grace(months=1), review, reached_at=None, zone=SHANGHAI) == on("2025-05-15")
    assert periods.grace_end(Grace(days=30), review, reached_at=None, zone=SHANGHAI) == on("2025-05-15")
    rounded = Grace(months=1, rounds_up_to="month")
    assert periods.grace_end(rounded, review, reached_at=None, zone=SHANGHAI) == on("2025-06-01")
    assert periods.grace_end(rounded, on("2025-05-01"), reached_at=None, zone=SHANGHAI) == on("2025-06-01")


@pytest.mark.parametrize(
    ("window", "at", "begins"),
    [
        (Lifetime(), "2026-05-20", None),
        (Calendar(), "2026-05-20", "2026-01-01"),
        (Calendar(unit="half_year"), "2026-07-01", "2026-07-01"),
        (Calendar(unit="quarter", first_month=2), "2026-01-31", "2025-11-01"),
        (MemberAnniversary(), "2026-10-24", "2025-10-25"),
        (MemberAnniversary(), "2026-10-25", "2026-10-25"),
        (MemberAnniversary(), "2021-01-01", "2020-10-25"),
        (Rolling(months=12), "2026-05-20", "2025-05-20"),
        (Rolling(months=1), "2026-03-31", "2026-02-28"),
        (Rolling(days=90), "2026-03-31", "2025-12-31"),
    ],
)
def test_where_windows_begin(window: Window, at: str, begins: str | None) -> None:
    found = periods.window_start(
        window, on(at, hour=13), joined_at=REGISTERED, anchor=on("2024-02-29", hour=9), zone=SHANGHAI
    )
    assert found == (None if begins is None else on(begins))


def test_a_tiers_own_periods_begin_with_its_very_instant() -> None:
    anchor = on("2024-02-29", hour=9)
    for at, begins in (
        (on("2024-03-01"), anchor),
        (on("2025-02-27", 23), anchor),
        (on("2025-02-28"), on("2025-02-28")),
        (on("2028-02-29"), on("2028-02-29")),
    ):
        found = periods.window_start(TierAnniversary(), at, joined_at=REGISTERED, anchor=anchor, zone=SHANGHAI)
        assert found == begins


def test_the_next_period_begins_at_its_midnight() -> None:
    assert periods.next_period(NextPeriod(unit="quarter"), on("2026-03-31", 23), SHANGHAI) == on("2026-04-01")


def test_dates_are_of_the_programme_wherever_the_member_is() -> None:
    # 31 December, 18:30 in Berlin is already the next year in Shanghai.
    at = datetime(2025, 12, 31, 18, 30, tzinfo=BERLIN)
    year = Calendar()
    assert periods.window_start(year, at, joined_at=at, anchor=at, zone=SHANGHAI) == on("2026-01-01")
    assert periods.window_start(year, at, joined_at=at, anchor=at, zone=BERLIN) == on("2025-01-01", zone=BERLIN)
    assert periods.valid_until(Fixed(months=12), at, joined_at=at, zone=SHANGHAI) == on("2027-01-01")


def test_a_programme_with_summer_time_keeps_its_midnights() -> None:
    reached = datetime(2026, 1, 30, 10, tzinfo=BERLIN)
    found = periods.valid_until(Fixed(months=2), reached, joined_at=reached, zone=BERLIN)
    assert found == datetime(2026, 3, 29, 22, tzinfo=UTC)


DAYS = st.dates(date(2019, 1, 1), date(2032, 12, 31))


@given(anchor=DAYS, after=DAYS, months=st.integers(1, 24))
@settings(max_examples=60, deadline=None)
def test_multiples_are_those_that_counting_finds(anchor: date, after: date, months: int) -> None:
    after = max(anchor, after)
    every = [months_later(anchor, times * months) for times in range(200)]
    assert periods.next_multiple(anchor, months, after) == next(day for day in every[1:] if day > after)
    assert periods.last_multiple(anchor, months, after) == max(day for day in every if day <= after)


@given(day=DAYS, hour=st.integers(0, 23), months=st.integers(0, 13), days=st.integers(1, 400))
@settings(max_examples=60, deadline=None)
def test_what_leaves_a_rolling_window_leaves_it_on_that_very_day(day: date, hour: int, months: int, days: int) -> None:
    window = Rolling(months=months) if months else Rolling(days=days)
    at = start_of(day, SHANGHAI) + timedelta(hours=hour)
    leaves = periods.leaves_at(window, at, SHANGHAI)

    def inside(moment: datetime) -> bool:
        begins = periods.window_start(window, moment, joined_at=at, anchor=at, zone=SHANGHAI)
        return begins is not None and begins <= at

    before = start_of(business_day(leaves, SHANGHAI) - timedelta(days=1), SHANGHAI)
    assert inside(before)
    assert not inside(leaves)
