"""Bells sound after the commit that rang them, once, and in nobody else's unit of work."""

from collections.abc import Iterator

import pytest

from loyalty import bell, db
from tests.loyalty.processes import side_by_side

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def heard() -> Iterator[list[frozenset[str]]]:
    bells: list[frozenset[str]] = []
    bell.listen(bells.append)
    yield bells
    bell.unlisten(bells.append)


async def test_bells_of_one_unit_of_work_sound_together_after_its_commit(heard: list[frozenset[str]]) -> None:
    async with db.unit_of_work():
        bell.ring("relay")
        bell.ring("outbox")
        bell.ring("relay")
        assert heard == []
    assert heard == [frozenset({"relay", "outbox"})]


async def test_a_rollback_silences_them_and_they_do_not_come_back(heard: list[frozenset[str]]) -> None:
    with pytest.raises(ZeroDivisionError):
        await _fail()
    async with db.unit_of_work():
        pass
    assert heard == []


async def _fail() -> None:
    async with db.unit_of_work():
        bell.ring("outbox")
        raise ZeroDivisionError


async def test_side_by_side_each_unit_of_work_has_its_own_bells(heard: list[frozenset[str]]) -> None:
    async def work(duty: bell.Duty) -> None:
        async with db.unit_of_work():
            bell.ring(duty)
            await db.fetch_value("SELECT pg_sleep(0.05)")

    await side_by_side([work("relay"), work("outbox")])
    assert sorted(heard, key=sorted) == [frozenset({"outbox"}), frozenset({"relay"})]


async def test_ringing_outside_any_unit_of_work_is_heard_by_nobody(heard: list[frozenset[str]]) -> None:
    await side_by_side([_ring()])
    assert heard == []


async def _ring() -> None:
    bell.ring("outbox")


async def test_everybody_who_listens_hears_until_they_stop(heard: list[frozenset[str]]) -> None:
    second: list[frozenset[str]] = []
    bell.listen(second.append)
    bell.sound({"relay"})
    bell.unlisten(second.append)
    bell.sound({"outbox"})
    assert heard == [frozenset({"relay"}), frozenset({"outbox"})]
    assert second == [frozenset({"relay"})]
