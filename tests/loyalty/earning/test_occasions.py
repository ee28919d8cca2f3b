"""Check-ins, registrations, whole profiles and brought friends, by published rules."""

from datetime import date, timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.check_ins import service as check_ins
from loyalty.earning import occasions
from loyalty.earning.occasions import Registered
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone
from tests.loyalty.earning.test_award import DAY, publish
from tests.loyalty.earning.written import DOUBLE, NOW
from tests.loyalty.people import guest, registered

pytestmark = pytest.mark.usefixtures("database")


async def points(member_id: int) -> int:
    return (await ledger.balances([member_id], at=NOW))[member_id].points


async def came(member_id: int, now: Any = NOW) -> check_ins.CheckedInView:
    async with db.unit_of_work():
        return await check_ins.check_in(member_id, now=now)


async def test_a_check_in_earns_by_published_rules_on_top_of_the_programmes() -> None:
    member_id = await registered(now=NOW - 3 * DAY)
    assert (await came(member_id, NOW - DAY)).points == 5
    await publish("wednesday", DOUBLE, trigger="check_in", condition={"op": "weekdays", "days": [3]})
    second = {"op": "eq", "field": "check_in.streak", "value": 2}
    await publish("second", 7, trigger="check_in", condition=second, expiry={"kind": "never"})
    view = await came(member_id)
    assert (view.streak, view.points, view.balance) == (2, 17, 22)
    assert await db.fetch_value("SELECT points FROM check_in ORDER BY id DESC LIMIT 1") == 17
    assert [one.broken async for one in fsck.check_all() if one.broken] == []
    await publish("check_in_points", {"kind": "nothing"})
    assert (await came(member_id, NOW + DAY)).points == 0


async def test_without_a_published_rule_a_check_in_costs_no_statement_more(monkeypatch: pytest.MonkeyPatch) -> None:
    await publish("purchases", 10)
    asked: list[str] = []
    genuine = db.fetch

    async def fetch(sql: str, *args: object) -> Any:
        asked.append(sql)
        return await genuine(sql, *args)

    await came(await registered(now=NOW - DAY))
    member_id = await registered(now=NOW - DAY)
    monkeypatch.setattr(db, "fetch", fetch)
    await came(member_id)
    assert [sql for sql in asked if "earning" in sql] == []


async def test_registering_and_bringing_a_friend_earn_once_each() -> None:
    friend = await registered(now=NOW - 9 * DAY)
    await publish("welcome", 20, trigger="registration")
    await publish("friend", 50, trigger="referral", limits=[{"per": "day", "times": 1}])
    number = await db.fetch_value("SELECT number FROM member WHERE id = $1", friend)
    brought = [await registered(now=NOW), await registered(now=NOW)]
    await db.execute("UPDATE member SET scene = 'ref_' || $1 WHERE id = ANY($2)", number, [*brought, friend])
    told = [Registered(one, NOW, {"channel": "wechat_oa", "with_phone": False}) for one in (*brought, friend)]
    for _ in range(2):
        async with db.unit_of_work():
            await occasions.registered(told, now=NOW)
    assert [await points(one) for one in brought] == [20, 20]
    assert await points(friend) == 20 + 50


async def test_a_profile_becomes_whole_once() -> None:
    member_id = await guest(now=NOW)
    async with db.unit_of_work():
        await members.register(member_id, phone=VerifiedPhone("+8613800138000", "sms"), channel="wechat_oa", now=NOW)
        await members.rename(member_id, "小明", now=NOW)
        await members.set_birthday(member_id, date(1990, 2, 3), now=NOW)
        await members.rename(member_id, "大明", now=NOW)
    rows = await db.fetch("SELECT at FROM event WHERE name = 'member.profile_completed'")
    assert len(rows) == 1
    await publish("whole", 30, trigger="profile_completed")
    for _ in range(2):
        async with db.unit_of_work():
            await occasions.profile_completed([(member_id, NOW)], now=NOW + timedelta(seconds=5))
    assert await points(member_id) == 30
