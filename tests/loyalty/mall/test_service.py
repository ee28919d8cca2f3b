"""Exchanging: exact stock and limits from several processes, points that come back to their lots, each thing once."""

from collections import Counter
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from loyalty import db, vault
from loyalty.access import Role
from loyalty.datarights import service as datarights
from loyalty.errors import Refusal
from loyalty.fsck.queries import check_all
from loyalty.ledger import queries as ledger
from loyalty.ledger.service import NotEnough
from loyalty.mall import ending, giving, handing, items, queries, rules, service
from loyalty.mall.ending import MoneyWasPaid
from loyalty.mall.giving import CouponUsed
from loyalty.mall.items import ItemChanged, StockBelowOrders
from loyalty.mall.orders import OrderOver, OrderUnknown
from loyalty.mall.queries import OrderView
from loyalty.mall.rules import State
from loyalty.mall.service import LimitReached, NotOpen, Payment, PeriodLimitReached, SoldOut, TierTooLow
from loyalty.merges import service as merges
from tests.loyalty.mall.goods import codes_on_offer, exchanged, on_offer
from tests.loyalty.people import give_points, guest, registered
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import ADMIN, NOW, employee, store, template

pytestmark = pytest.mark.usefixtures("database")

HOUR = timedelta(hours=1)


async def rich(points: int = 1000) -> int:
    """A member with points."""
    member = await registered()
    await give_points(member, points)
    return member


async def points_of(member_id: int) -> int:
    return (await ledger.balances([member_id], at=NOW))[member_id].points


async def sound() -> None:
    """Every invariant of the mall and the ledger holds."""
    broken = [finding async for finding in check_all() if finding.broken]
    assert broken == []


async def heard(member_id: int, key: str = "k", item: str = "mug") -> str:
    try:
        return (await exchanged(member_id, item, key=key)).state.value
    except Refusal as refusal:
        return refusal.code


async def storm(wishes: list[tuple[int, str]]) -> Counter[str]:
    return Counter(await side_by_side(heard(member, key) for member, key in wishes))


async def test_stock_of_five_under_fifty_exchanges_from_four_processes(database_url: str) -> None:
    await on_offer(stock=5)
    members = [await rich() for _ in range(50)]
    wishes = [[(member, "k") for member in members[place::4]] for place in range(4)]
    total = tally(await at_once(database_url, storm, [(part,) for part in wishes]))
    assert total == {"to_collect": 5, "mall.sold_out": 45}
    assert sum([await points_of(member) for member in members]) == 50 * 1000 - 5 * 100
    await sound()


async def test_an_exchange_limit_holds_from_four_processes(database_url: str) -> None:
    await on_offer(stock=50, limit={"total": 2})
    member = await rich(10_000)
    wishes = [[(member, f"k{place}-{n}") for n in range(5)] for place in range(4)]
    total = tally(await at_once(database_url, storm, [(part,) for part in wishes]))
    assert total == {"to_collect": 2, "mall.limit_reached": 18}
    assert await points_of(member) == 9800
    await sound()


async def test_the_same_key_is_one_order_however_often() -> None:
    await on_offer()
    member = await rich()
    orders = await side_by_side(exchanged(member) for _ in range(12))
    assert len({order.id for order in orders}) == 1
    assert await points_of(member) == 900


async def test_cancelling_and_handing_over_at_once_is_one_of_them() -> None:
    await on_offer(stock=50)
    clerk = await employee(Role.CLERK, await store())
    for turn in range(6):
        member = await rich(100)
        order = await exchanged(member)

        async def cancel(order: OrderView = order, member: int = member) -> str:
            async with db.unit_of_work():
                return (await ending.cancel(order.id, member_id=member, now=NOW)).state.value

        async def collect(order: OrderView = order) -> str:
            async with db.unit_of_work():
                code = rules.collection_code(order.id)
                return (await handing.collect(code, principal=clerk, now=NOW)).state.value

        async def said(what: Awaitable[str]) -> str:
            try:
                return await what
            except Refusal as refusal:
                return refusal.code

        told = await side_by_side([said(cancel()), said(collect())] if turn % 2 else [said(collect()), said(cancel())])
        assert sorted(told) in (["cancelled", "mall.order_over"], ["collected", "mall.order_over"])
        assert await points_of(member) == (100 if "cancelled" in told else 0)
    await sound()


async def test_points_come_back_to_their_own_lots() -> None:
    await on_offer(points=120)
    member = await registered()
    await give_points(member, 100, expires_at=NOW + HOUR)
    await give_points(member, 50)
    order = await exchanged(member)
    async with db.unit_of_work():
        await ending.cancel(order.id, member_id=member, now=NOW)
    assert await points_of(member) == 150
    async with db.unit_of_work():  # again is the same
        assert (await ending.cancel(order.id, member_id=member, now=NOW)).state is State.CANCELLED
    # An hour later the 100 are dead, cancelled or not: nobody cancels to dodge an expiry.
    assert (await ledger.balances([member], at=NOW + HOUR))[member].points == 50
    late = await exchanged(member, key="late")
    async with db.unit_of_work():
        await ending.cancel(late.id, member_id=member, now=NOW + HOUR)
    assert (await ledger.balances([member], at=NOW + HOUR))[member].points == 50
    assert [step.state for step in await queries.steps([order.id])] == [State.TO_COLLECT, State.CANCELLED]
    await sound()


async def test_points_and_money_wait_for_the_money_and_come_back_without_any_job() -> None:
    await on_offer(stock=1, money_fen=990, pay_minutes=30)
    member, other = await rich(), await rich()
    order = await exchanged(member)
    assert order.state is State.AWAITING_PAYMENT
    assert await points_of(member) == 900
    assert await heard(other) == "mall.sold_out"
    in_time = NOW + timedelta(minutes=30)
    assert (await ledger.balances([member], at=in_time))[member].points == 1000
    seen = await queries.order(order.id, at=in_time)
    assert seen is not None
    assert seen.state is State.CANCELLED
    assert (await exchanged(other, now=in_time)).state is State.AWAITING_PAYMENT
    with pytest.raises(OrderOver):
        async with db.unit_of_work():
            await service.paid(order.id, Payment(reference="wx:1", by="wechat_pay"), now=in_time)
    await sound()


async def test_paid_once_by_the_same_payment() -> None:
    await on_offer(money_fen=990)
    member = await rich()
    order = await exchanged(member)
    for _ in range(2):
        async with db.unit_of_work():
            done = await service.paid(order.id, Payment(reference="wx:1", by="wechat_pay"), now=NOW)
        assert done.state is State.TO_COLLECT
    with pytest.raises(OrderOver):
        async with db.unit_of_work():
            await service.paid(order.id, Payment(reference="wx:2", by="wechat_pay"), now=NOW)
    with pytest.raises(MoneyWasPaid):
        async with db.unit_of_work():
            await ending.cancel(order.id, member_id=member, now=NOW)
    manager = await employee(Role.MANAGER, await store())
    async with db.unit_of_work():
        await ending.refund(order.id, principal=manager, reason="坏了", now=NOW)
    assert await points_of(member) == 1000
    await sound()


async def test_awaiting_money_is_cancelled_by_the_member() -> None:
    await on_offer(stock=1, money_fen=990)
    member = await rich()
    order = await exchanged(member)
    async with db.unit_of_work():
        await ending.cancel(order.id, member_id=member, now=NOW)
    assert await points_of(member) == 1000
    assert (await exchanged(member, key="again")).state is State.AWAITING_PAYMENT
    await sound()


async def test_a_coupon_is_void_when_unused_and_not_given_back_when_used() -> None:
    offer = await template(stock=9, per_member_limit=9)
    await on_offer("coupon", good={"kind": "coupon", "template": offer.code})
    manager = await employee(Role.MANAGER, await store())
    member = await rich()
    unused, used = await exchanged(member, "coupon", key="a"), await exchanged(member, "coupon", key="b")
    assert (unused.state, used.coupon_id is None) == (State.DELIVERED, False)
    await db.execute("UPDATE coupon SET status = 'redeemed', redeemed_at = $2 WHERE id = $1", used.coupon_id, NOW)
    async with db.unit_of_work():
        await ending.refund(unused.id, principal=manager, reason="不要了", now=NOW)
    with pytest.raises(CouponUsed):
        async with db.unit_of_work():
            await ending.refund(used.id, principal=manager, reason="不要了", now=NOW)
    assert await db.fetch_value("SELECT status FROM coupon WHERE id = $1", unused.coupon_id) == "void"
    assert await points_of(member) == 900
    await sound()


async def test_one_code_one_order_sealed_and_kept_once_revealed(database_url: str) -> None:
    await codes_on_offer("AAA-1", "BBB-2", "AAA-1", " ")
    first, second, third = await rich(), await rich(), await rich()
    one, two = await exchanged(first, "vip"), await exchanged(second, "vip")
    assert await heard(third, item="vip") == "mall.sold_out"
    async with db.unit_of_work():
        shown = [await giving.reveal(one.id, member_id=first, now=NOW) for _ in range(2)]
    assert shown == ["AAA-1", "AAA-1"]
    with pytest.raises(OrderUnknown):
        async with db.unit_of_work():
            await giving.reveal(one.id, member_id=second, now=NOW)
    assert not [row for row in await db.fetch("SELECT sealed FROM mall_code") if b"AAA" in row["sealed"]]
    manager = await employee(Role.MANAGER, await store())
    for order in (one, two):
        async with db.unit_of_work():
            await ending.refund(order.id, principal=manager, reason="错了", now=NOW)
    # Only the code that nobody saw can be exchanged again.
    assert await heard(third, item="vip") == "delivered"
    assert await heard(first, "again", "vip") == "mall.sold_out"
    await sound()


async def test_who_may_when_and_for_how_much() -> None:
    await on_offer("vipmug", tiers=["gold"])
    await on_offer("later", starts_at=(NOW + HOUR).isoformat())
    await on_offer("monthly", limit={"per_period": 1, "period": "month"}, stock=9)
    member = await rich()
    for item, refusal in (("vipmug", TierTooLow), ("later", NotOpen)):
        with pytest.raises(refusal):
            await exchanged(member, item)
    await exchanged(member, "monthly")
    with pytest.raises(PeriodLimitReached):
        await exchanged(member, "monthly", key="b")
    assert (await exchanged(member, "monthly", key="b", now=NOW + timedelta(days=12))).points == 100
    poor = await registered()
    with pytest.raises(NotEnough):
        await exchanged(poor, "monthly")
    assert await db.fetch_value("SELECT taken FROM mall_item WHERE code = 'monthly'") == 2
    priced = rules.NewItem.model_validate(
        {"code": "a", "name": {"en": "a"}, "good": {"kind": "code"}, "points": 100, "tier_points": {"gold": 80}}
    )
    assert [priced.price(held) for held in ((), ("silver",), ("gold", "silver"))] == [100, 100, 80]
    await sound()


async def test_a_cancelled_exchange_counts_no_more_for_the_limit() -> None:
    await on_offer(limit={"total": 1})
    member = await rich()
    order = await exchanged(member)
    with pytest.raises(LimitReached):
        await exchanged(member, key="b")
    async with db.unit_of_work():
        await ending.cancel(order.id, member_id=member, now=NOW)
    assert (await exchanged(member, key="b")).state is State.TO_COLLECT


async def test_items_have_versions_and_no_stock_below_what_is_promised() -> None:
    first = await on_offer(stock=2, points=100)
    member = await rich()
    order = await exchanged(member)
    with pytest.raises(StockBelowOrders):
        await on_offer(version=first.version, stock=0)
    second = await on_offer(version=first.version, stock=3, points=500)
    with pytest.raises(ItemChanged):
        await on_offer(version=first.version, stock=4)
    kept = await queries.order(order.id, at=NOW)
    assert kept is not None
    assert (kept.item.points, second.version, second.left) == (100, 2, 2)
    with pytest.raises(Exception, match="mall_not_oversold"):
        await db.execute("UPDATE mall_item SET taken = stock + 1")
    with pytest.raises(Exception, match="never changed"):
        await db.execute("DELETE FROM mall_order_step")


async def test_an_address_is_sealed_looked_at_on_record_and_gone_with_the_account() -> None:
    await on_offer()
    member = await rich()
    clerk = await employee(Role.CLERK, await store())
    order = await exchanged(member, delivery="ship", address="上海市静安区 1 号")
    sealed = await db.fetch_value("SELECT address_sealed FROM mall_order")
    assert "静安".encode() not in sealed
    with pytest.raises(vault.SealBroken):
        vault.unseal(sealed, context=f"mall_order.address:{order.id}")
    async with db.unit_of_work():
        assert await handing.address(order.id, principal=clerk, now=NOW) == "上海市静安区 1 号"
    assert await db.fetch_value("SELECT count(*) FROM audit_entry WHERE action = 'mall.address'") == 1
    async with db.unit_of_work():
        await datarights.close(member, now=NOW)
    row = await db.fetch_one("SELECT state, address_sealed, holds_stock FROM mall_order")
    assert row is not None
    assert tuple(row) == ("cancelled", None, False)
    await sound()


async def test_a_merged_member_has_the_orders_and_gets_the_points_back() -> None:
    await on_offer(stock=9)
    await on_offer("paid", stock=9, money_fen=100)
    source, target = await rich(), await registered()
    spent, held = await exchanged(source), await exchanged(source, "paid", key="p")
    async with db.unit_of_work():
        await merges.merge(source, target, reason="unionid", now=NOW)
    for order in (spent, held):
        async with db.unit_of_work():
            await ending.cancel(order.id, member_id=target, now=NOW)
    assert await points_of(target) == 1000
    await sound()


async def test_nothing_is_on_offer_once_taken_off() -> None:
    await on_offer()
    async with db.unit_of_work():
        await items.switch("mug", on=False, principal=ADMIN, now=NOW)
    assert await heard(await guest()) == "mall.item_unknown"
    assert await queries.on_offer(at=NOW) == []
    await on_offer("none", stock=0)
    member = await rich()
    with pytest.raises(SoldOut):
        await exchanged(member, "none")
