"""Check-ins of many at once: one per person and day, each answered, whatever stands in between."""

import pytest

from handlers.messages import Inbound, Text
from handlers.router import Router
from loyalty import clock, db
from tests.handlers.talk import Person, at_once, words

pytestmark = pytest.mark.usefixtures("database")


async def test_two_hundred_people_check_in_at_once() -> None:
    router = Router()
    people = [Person() for _ in range(200)]
    for person in people:
        person.router = router
    said = await at_once(*(person.says("签到") for person in people))
    await router.drain()
    assert all("签到成功 ✅ 积分 +5" in words for words in said)
    assert await db.fetch_value("SELECT count(*) FROM check_in") == 200
    assert await db.fetch_value("SELECT sum(available) FROM ledger_balance WHERE asset = 'points'") == 1000


async def test_one_person_at_once_is_paid_once() -> None:
    person = Person()
    said = await at_once(*(person.says("签到") for _ in range(20)))
    assert sum("签到成功" in words for words in said) == 1
    assert sum("已经签到过" in words for words in said) == 19
    assert await db.fetch_value("SELECT count(*) FROM check_in") == 1


async def test_one_delivery_repeated_at_once_hears_one_answer() -> None:
    person = Person()
    router = Router()
    inbound = Inbound(person.sender, "same", clock.now(), Text("签到"))

    async def deliver() -> str:
        return words((await router.dispatch(inbound)).reply)

    said = await at_once(*(deliver() for _ in range(20)))
    assert len(set(said)) == 1
    assert "签到成功" in said[0]


async def test_words_like_a_check_in_answer_the_question_that_is_open() -> None:
    person = Person()
    await person.presses("set_name")
    assert "已保存" in await person.says("欧阳签到·买买提")
    assert await db.fetch_value("SELECT count(*) FROM check_in") == 0


async def test_a_refused_answer_in_a_burst_is_refused_alone() -> None:
    person = Person()
    await person.presses("set_birthday")
    said = await person.says("我想每天来签到的日子")
    assert "已保存" not in said
    assert "签到成功" not in said
    assert said
