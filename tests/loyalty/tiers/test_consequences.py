"""What follows from a tier: gifts of birthdays, and points that end with it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from loyalty import db
from loyalty.coupons import queries as coupons
from loyalty.journeys import service as journeys
from loyalty.ladders.rules import Anniversary, Benefits, Fixed
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from loyalty.members import service as members
from scheduler import relay
from tests.loyalty import shop
from tests.loyalty.people import give_points, guest
from tests.loyalty.shop import publish_ladder
from tests.loyalty.tiers.scene import grow, ladder, member, on, rolling, sweep, tier
from tests.loyalty.tiers.test_refunds import buy, give_back
from tests.scheduler.stage import hands

pytestmark = pytest.mark.usefixtures("database")

START = on("2024-01-01")
MORNING = datetime(2026, 11, 21, 4, tzinfo=UTC)


async def celebrant(growth: int) -> int:
    member_id = await guest(now=START)
    async with db.unit_of_work():
        await members.register(
            member_id, phone=None, channel="wechat_oa", now=START, birthday=date(1990, MORNING.month, MORNING.day)
        )
    if growth:
        await grow(member_id, growth, on("2026-10-01"))
    return member_id


async def test_a_birthday_gift_is_that_of_the_tier() -> None:
    template = await shop.template(stock=5, now=MORNING - timedelta(days=5))
    given = ladder(("silver", 500), ("gold", 2000))
    lowest, silver, gold = given.steps
    gift = Benefits(birthday_points=200, birthday_coupon=template.code)
    await publish_ladder(
        given.model_copy(update={"steps": (lowest, silver, gold.model_copy(update={"benefits": gift}))}), now=START
    )
    plain, golden = await celebrant(600), await celebrant(2000)
    for _ in range(2):
        async with db.unit_of_work():
            await journeys.enrol_birthdays(now=MORNING)
            await journeys.advance_due(now=MORNING, batch_max=10)
    balances = await ledger.balances([plain, golden], at=MORNING)
    assert (balances[plain].points, balances[golden].points) == (88, 200)
    assert len(await coupons.mine(golden, at=MORNING)) == 1
    assert await coupons.mine(plain, at=MORNING) == []


async def test_a_coupon_that_is_gone_does_not_hold_up_the_greeting() -> None:
    given = ladder(("gold", 2000))
    gift = Benefits(birthday_coupon="gone")
    lowest, gold = given.steps
    await publish_ladder(
        given.model_copy(update={"steps": (lowest, gold.model_copy(update={"benefits": gift}))}), now=START
    )
    golden = await celebrant(2000)
    async with db.unit_of_work():
        await journeys.enrol_birthdays(now=MORNING)
        assert (await journeys.advance_due(now=MORNING, batch_max=10)).failures == ()
    assert (await ledger.balances([golden], at=MORNING))[golden].points == 88


async def test_case_20_points_end_with_the_tier_at_the_anniversary_review() -> None:
    rules = ladder(
        ("gold", 100), measure=rolling(kind="rolling", months=12), validity=Anniversary(), ends_points=("points",)
    )
    await publish_ladder(rules, now=START)
    falls, stays = await member(on("2024-03-14", 10)), await member(on("2024-03-14", 10))
    for member_id in (falls, stays):
        await grow(member_id, 100, on("2025-01-10"))
        await give_points(member_id, 30, expires_at=on("2027-04-01"), now=on("2026-03-01"))
    await grow(stays, 100, on("2026-01-10"))
    review = on("2026-03-14")
    assert await tier(falls, review - timedelta(seconds=1)) == "gold"
    await sweep(on("2025-03-14"))
    await sweep(review)
    for _ in range(2):
        await relay.relay(hands())
    assert (await tier(falls, review), await tier(stays, review)) == ("basic", "gold")
    balances = await ledger.balances([falls, stays], at=review)
    assert (balances[falls].points, balances[stays].points) == (0, 30)
    (lost, _) = (await ledger.statement(falls, Asset.POINTS)).movements
    assert (lost.kind, lost.delta, lost.occurred_at) == ("tier_lowered", -30, review)


async def test_other_falls_leave_the_points() -> None:
    await publish_ladder(ladder(("gold", 100), validity=Fixed(months=12), ends_points=("points",)), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 100, on("2025-05-01"))
    await give_points(member_id, 30, expires_at=on("2030-01-01"), now=on("2025-05-01"))
    await give_back(purchase, on("2025-05-02"))
    await relay.relay(hands())
    assert await tier(member_id, on("2025-05-02")) == "basic"
    assert (await ledger.balances([member_id], at=on("2025-05-03")))[member_id].points == 30
