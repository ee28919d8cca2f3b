"""Facts are recorded with their cause, in order, without anything personal, and queued for who waits for them."""

import dataclasses
import typing
from datetime import date, datetime
from typing import Any

import orjson
import pytest

from loyalty import bell, db, events
from loyalty.events import SUBSCRIBED, CheckedIn, Event, MemberRegistered
from loyalty.spine import relaying
from loyalty.spine import service as spine
from tests.loyalty.people import NOW

pytestmark = pytest.mark.usefixtures("database")

PERSONAL = {"name", "phone", "birthday", "openid", "external_id", "union_id", "token", "text", "address"}


def checked_in(member_id: int = 1, streak: int = 1) -> CheckedIn:
    return CheckedIn(member_id=member_id, at=NOW, day=date(2026, 11, 21), streak=streak, points=5)


def joined(member_id: int = 1) -> MemberRegistered:
    return MemberRegistered(member_id=member_id, at=NOW, channel="wechat_oa", with_phone=True)


async def record(*facts: Event) -> None:
    async with db.unit_of_work():
        await spine.record(*facts, now=NOW)


async def waiting() -> list[relaying.Recorded]:
    async with db.unit_of_work():
        return await relaying.take_due(now=NOW, batch_max=100) or []


async def test_facts_keep_their_order_and_what_they_say() -> None:
    await record(*(checked_in(member_id, streak) for streak, member_id in enumerate((3, 1, 2), start=1)))
    rows = await db.fetch("SELECT member_id, name, version, data, at, recorded_at FROM event ORDER BY id")
    assert [row["member_id"] for row in rows] == [3, 1, 2]
    assert orjson.loads(rows[0]["data"]) == {"day": "2026-11-21", "streak": 1, "points": 5}
    assert (rows[0]["name"], rows[0]["version"]) == ("member.checked_in", 1)
    assert rows[0]["at"] == rows[0]["recorded_at"] == NOW


async def test_only_what_somebody_waits_for_is_queued_and_rings() -> None:
    rung: list[frozenset[str]] = []
    bell.listen(rung.append)
    try:
        await record(checked_in())
        assert rung == []
        await record(checked_in(), joined(7))
    finally:
        bell.unlisten(rung.append)
    assert rung == [frozenset({"relay"})]
    assert [(event.name, event.member_id) for event in await waiting()] == [("member.registered", 7)]


async def test_a_fact_goes_with_its_cause() -> None:
    with pytest.raises(ZeroDivisionError):
        await _fail_after_recording()
    assert await db.fetch_value("SELECT count(*) FROM event") == 0
    assert await waiting() == []


async def _fail_after_recording() -> None:
    async with db.unit_of_work():
        await spine.record(joined(), now=NOW)
        raise ZeroDivisionError


async def test_nothing_to_record_is_no_statement() -> None:
    await spine.record(now=NOW)


async def test_recorded_facts_are_history() -> None:
    await record(checked_in())
    for statement in ("UPDATE event SET member_id = 2", "DELETE FROM event"):
        with pytest.raises(Exception, match="never changed or removed"):
            await db.execute(statement)


def test_no_event_has_a_place_for_anything_personal() -> None:
    kinds = _kinds()
    assert len(kinds) > 20
    for kind in kinds:
        assert not PERSONAL.intersection(field.name for field in dataclasses.fields(kind)), kind


def test_every_subscribed_name_is_an_event_and_names_are_unique() -> None:
    names = [kind.name for kind in _kinds()]
    assert len(names) == len(set(names))
    assert set(names) >= SUBSCRIBED


def test_every_event_can_be_written_down() -> None:
    samples: dict[object, Any] = {int: 1, str: "x", bool: True, date: date(2026, 1, 1), datetime: NOW}
    for kind in _kinds():
        hints = typing.get_type_hints(kind)
        values: dict[str, Any] = {field.name: samples.get(hints[field.name]) for field in dataclasses.fields(kind)}
        assert orjson.loads(spine._data(kind(**values))) is not None


def _kinds() -> list[type[Event]]:
    found = [value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)]
    return [kind for kind in found if kind is not Event]
