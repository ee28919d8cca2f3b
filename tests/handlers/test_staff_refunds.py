"""Refunds and deductions in WeCom: looked at, confirmed by a button, decided by another's button."""

import pytest

from loyalty import clock, db
from loyalty.access import Role
from tests.handlers.talk import Clerk, keys
from tests.handlers.test_staff_talk import PHONE, Shop, open_shop
from tests.loyalty import shop

__all__ = ["open_shop"]
pytestmark = pytest.mark.usefixtures("database")


async def sold(at: Shop, amount_fen: int, number: str = "A1024") -> None:
    await shop.bought(
        at.member_id, amount_fen, now=clock.now(), store_id=at.store_id, external_id=number, occurred_at=clock.now()
    )


async def serving(at: Shop, who: Clerk) -> Clerk:
    await who.says(f"查 {PHONE}")
    return who


async def test_the_latest_purchase_is_shown_and_refunded_by_the_button(open_shop: Shop) -> None:
    await sold(open_shop, 8_800)
    manager = await serving(open_shop, open_shop.manager)
    said = await manager.says("退款")
    assert "退款预览" in said
    assert "单号：A1024" in said
    assert "退款：¥88.00" in said
    assert "扣积分：88" in said
    assert await db.fetch_value("SELECT count(*) FROM refund") == 0
    (key,) = keys(manager.reply)
    assert "已登记退款" in await manager.presses(key)
    assert "没有重复" in await manager.presses(key)
    assert await db.fetch_value("SELECT count(*) FROM refund") == 1
    assert "没有可以退的消费" in await manager.says("退款")


async def test_part_of_a_receipt_by_its_number(open_shop: Shop) -> None:
    await sold(open_shop, 8_800, "A1")
    await sold(open_shop, 5_000, "A2")
    manager = await serving(open_shop, open_shop.manager)
    assert "¥30.50" in await manager.says("退款 A1 30.5")
    assert "已登记退款" in await manager.presses(keys(manager.reply)[0])
    assert await db.fetch_value("SELECT refunded_fen FROM purchase WHERE external_id = 'A1'") == 3_050
    assert "¥10.00" in await manager.says("退款 ¥10")
    assert "没有找到要退款的消费记录" in await manager.says("退款 B7")
    assert "最多还能退" in await manager.says("退款 A1 100")


async def test_above_the_limit_another_manager_presses(open_shop: Shop) -> None:
    await sold(open_shop, 60_000)
    manager, other = await serving(open_shop, open_shop.manager), await open_shop.hired(Role.MANAGER)
    assert "确认后转审批" in await manager.says("退款 A1024")
    assert "已提交审批" in await manager.presses_shown("确认退款")
    said = await other.says("审批")
    assert "退款：¥600.00" in said
    assert "原因：A1024" in said
    assert "已同意退款 ¥600.00" in await other.presses_shown("同意")
    assert await db.fetch_value("SELECT money_fen FROM refund") == 60_000


async def test_clerks_and_other_stores_hear_no(open_shop: Shop) -> None:
    await sold(open_shop, 8_800)
    clerk = await serving(open_shop, open_shop.clerk)
    assert "退款预览" not in await clerk.says("退款")
    stranger = await serving(open_shop, await open_shop.hired(Role.MANAGER, store_id=await shop.store(now=clock.now())))
    assert "没有找到要退款的消费记录" in await stranger.says("退款 A1024")
    assert "请先查到会员" in await (await open_shop.hired(Role.MANAGER)).says("退款")
    assert "没看懂" in await open_shop.manager.presses("refund_do:1.2.x")
    assert await db.fetch_value("SELECT count(*) FROM refund") == 0


async def test_points_are_taken_in_one_line_or_wait(open_shop: Shop) -> None:
    await sold(open_shop, 100_000)
    manager, clerk = await serving(open_shop, open_shop.manager), await serving(open_shop, open_shop.clerk)
    assert "已扣除 ✅ 积分 -50" in await manager.says("扣 50 上次多记")
    assert "没有重复" in await manager.says("扣 50 上次多记")
    assert "例如：扣 50" in await clerk.says("扣积分")
    assert "已提交审批" in await clerk.says("20 上次多记")
    assert "扣积分：20" in await manager.says("审批")
    assert "已同意扣 20 积分" in await manager.presses_shown("同意")
    assert "门店扣减" in await open_shop.person.says("积分明细")
