"""Protection ends on the eighteenth birthday in the programme's zone."""

from datetime import UTC, date, datetime, timedelta

import pytest

from loyalty import db
from loyalty.members import service as members
from loyalty.minors import service as minors
from tests.loyalty.people import NOW, registered

pytestmark = pytest.mark.usefixtures("database")


async def born(day: date) -> int:
    member_id = await registered()
    async with db.unit_of_work():
        await members.set_birthday(member_id, day, now=NOW)
    return member_id


async def minors_left(at: datetime) -> set[int]:
    async with db.unit_of_work():
        await minors.come_of_age(now=at, batch_max=100)
    return {row["id"] for row in await db.fetch("SELECT id FROM member WHERE is_minor")}


async def test_the_mark_is_lifted_at_midnight_in_shanghai() -> None:
    member_id = await born(date(2008, 12, 1))
    younger = await born(date(2010, 12, 1))
    midnight = datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert await minors_left(midnight - timedelta(seconds=1)) == {member_id, younger}
    assert await minors_left(midnight) == {younger}


async def test_days_without_a_sweep_are_caught_up() -> None:
    await born(date(2008, 12, 1))
    assert await minors_left(datetime(2026, 12, 10, tzinfo=UTC)) == set()


async def test_a_leap_day_child_grows_up_on_the_first_of_march() -> None:
    member_id = await born(date(2012, 2, 29))
    assert await minors_left(datetime(2030, 2, 28, 10, tzinfo=UTC)) == {member_id}
    assert await minors_left(datetime(2030, 2, 28, 16, tzinfo=UTC)) == set()
