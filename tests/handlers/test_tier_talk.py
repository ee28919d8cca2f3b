"""Tiers in chat: a member asks until when and why, a manager sets one by hand, another manager decides."""

from datetime import timedelta

import pytest

from loyalty import clock
from loyalty.access import Role
from loyalty.ladders.rules import Benefits, Fixed
from tests.handlers.acquaintance import member_of
from tests.handlers.talk import Person, later
from tests.handlers.test_staff_talk import PHONE, Shop
from tests.loyalty.shop import publish_ladder
from tests.loyalty.tiers.scene import grow, ladder, rolling, sweep

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
async def open_shop() -> Shop:
    return await Shop().opened()


async def programme() -> None:
    year = rolling(kind="tier_anniversary", months=12)
    made = ladder(("silver", 500, 300), ("gold", 2000), keeping=year, validity=Fixed(months=12))
    names = (
        {"zh-CN": "普通会员", "en": "Member"},
        {"zh-CN": "银卡会员", "en": "Silver"},
        {"zh-CN": "金卡会员", "en": "Gold"},
    )
    given = Benefits(multiplier_percent=150, free_shipping=True, texts=({"zh-CN": "专属茶席", "en": "a table"},))
    steps = [step.model_copy(update={"names": words}) for step, words in zip(made.steps, names, strict=True)]
    steps[1] = steps[1].model_copy(update={"benefits": given})
    await publish_ladder(made.model_copy(update={"steps": tuple(steps)}), now=clock.now() - timedelta(days=900))


async def test_a_member_reads_until_when_what_is_missing_and_why() -> None:
    await programme()
    person = Person()
    await person.says("你好")
    member_id = await member_of(person)
    await grow(member_id, 600, clock.now() - timedelta(days=100))
    said = await person.says("等级")
    assert "您现在是银卡会员" in said
    assert "再得 1400 成长值，就是金卡会员" in said
    assert "再得 300 成长值就能保级" in said
    assert "1.5 倍、包邮、专属茶席" in said
    assert "达标升级" in await person.says("等级记录")
    later(timedelta(days=266))
    await sweep(clock.now())
    assert "未达保级条件" in await person.says("等级记录")
    assert "您现在是普通会员" in await person.says("等级")


async def test_a_manager_sets_a_tier_and_the_card_says_so(open_shop: Shop) -> None:
    await programme()
    assert "请先查到会员" in await open_shop.manager.says("设等级 银卡 30 补偿投诉")
    await open_shop.manager.says(PHONE)
    assert "普通会员、银卡会员" in await open_shop.manager.says("设等级")
    assert "已设置" in await open_shop.manager.says("设等级 银卡 30 补偿投诉")
    assert "没有重复" in await open_shop.manager.says("设等级 银卡 30 补偿投诉")
    assert "银卡会员 至" in await open_shop.clerk.says(PHONE)
    assert "店里为您特别设置" in await open_shop.person.says("等级")
    refused = await open_shop.clerk.says("设等级 银卡 30 补偿投诉")
    assert "已设置" not in refused


async def test_above_the_limit_another_manager_presses_the_card(open_shop: Shop) -> None:
    await programme()
    other = await open_shop.hired(Role.MANAGER)
    await open_shop.manager.says(PHONE)
    assert "已提交审批" in await open_shop.manager.says("设等级 金卡 30 补偿投诉")
    card = await other.says("审批")
    assert "设为等级" in card
    assert "金卡会员" in card
    assert "已同意" in await other.presses_shown("同意")
    assert "您现在是金卡会员" in await open_shop.person.says("等级")
