"""One clock that the sandbox may move, beside one that it may not."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty import clock

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    yield
    clock.shift(timedelta())


def test_only_now_is_moved_and_moving_does_not_add_up() -> None:
    clock.shift(timedelta(days=3))
    clock.shift(timedelta(days=2))
    assert clock.offset() == timedelta(days=2)
    assert timedelta(days=2) <= clock.now() - clock.wall() + timedelta(seconds=1) < timedelta(days=2, seconds=2)
    assert clock.now().tzinfo is clock.wall().tzinfo is UTC


@pytest.mark.parametrize(
    ("at", "day"),
    [
        (datetime(2026, 11, 21, 15, 59, 59, tzinfo=UTC), date(2026, 11, 21)),
        (datetime(2026, 11, 21, 16, tzinfo=UTC), date(2026, 11, 22)),
        (datetime(2026, 11, 22, 0, 0, tzinfo=ZoneInfo("Pacific/Auckland")), date(2026, 11, 21)),
    ],
)
def test_a_business_day_is_a_day_in_the_programmes_zone(at: datetime, day: date) -> None:
    assert clock.business_day(at, SHANGHAI) == day


def test_a_day_begins_where_the_one_before_ends() -> None:
    begin = clock.start_of(date(2026, 11, 21), SHANGHAI)
    assert begin == datetime(2026, 11, 20, 16, tzinfo=UTC)
    assert clock.business_day(begin - timedelta(microseconds=1), SHANGHAI) == date(2026, 11, 20)
