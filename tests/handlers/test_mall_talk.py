"""The mall in the chat, and a clerk who hands over and sends."""

import re

import pytest

from loyalty import clock, db
from loyalty.access import Role
from loyalty.mall import rules
from tests.handlers.talk import Clerk, Person
from tests.loyalty import shop
from tests.loyalty.mall.goods import codes_on_offer, exchanged, on_offer
from tests.loyalty.people import give_points

pytestmark = pytest.mark.usefixtures("database")


async def rich(person: Person) -> int:
    await person.says("你好")
    member_id: int = await db.fetch_value("SELECT max(id) FROM member")
    await give_points(member_id, 500)
    return member_id


async def clerk() -> Clerk:
    principal = await shop.employee(Role.CLERK, await shop.store(now=clock.now()))
    return Clerk(await db.fetch_value("SELECT user_id FROM staff WHERE id = $1", principal.staff_id))


async def test_seen_confirmed_collected() -> None:
    await on_offer()
    person = Person()
    await rich(person)
    assert "马克杯：100 积分，剩 5 件" in await person.says("积分商城")
    assert "确认兑换吗" in await person.presses_shown("换：")
    taken = await person.presses_shown("确认兑换")
    code = re.search(r"取货码：(\S+)，", taken)
    assert code is not None
    server = await clerk()
    assert "待取货" in await server.says("兑换单")
    assert "请把「马克杯」交给顾客" in await server.says(f"取货 {code[1]}")
    assert "已取货" in await person.says("我的兑换")


async def test_cancelled_and_empty() -> None:
    person = Person()
    assert "上新" in await person.says("积分商城")
    assert "还没有兑换过" in await person.says("我的兑换")
    await on_offer()
    await rich(person)
    await person.presses("mall_take:mug")
    await person.says("我的兑换")
    assert "100 积分已退回" in await person.presses_shown("取消")


async def test_codes_in_english_and_what_is_none_of_ours() -> None:
    await codes_on_offer("SECRET-1")
    person = Person("telegram", locale="en")
    await rich(person)
    assert "100 points" in await person.says("mall")
    await person.presses("mall_take:vip")
    await person.says("my exchanges")
    assert "SECRET-1" in await person.presses_shown("Show code")
    assert "no such order" in (await person.presses("mall_cancel:999")).lower()
    assert "no such order" in (await person.presses("mall_code:x")).lower()


async def test_a_clerk_sends_by_number() -> None:
    await on_offer()
    person = Person()
    order = await exchanged(await rich(person), delivery="ship", address="上海 1 号")
    server = await clerk()
    assert "运单号" in await server.says("发货")
    assert "已发货" in await server.says(f"发货 {order.id} SF12345")
    assert "SF12345" in await person.says("我的兑换")
    assert rules.order_of(f"mall:{rules.collection_code(order.id)}") == order.id
