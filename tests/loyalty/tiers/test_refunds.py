"""Refunds of the purchase by which a tier was reached: kept or revoked by policy, one row of history either way."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from loyalty import db
from loyalty.coupon_templates import service as templates
from loyalty.coupon_templates.rules import AmountOff, NewTemplate
from loyalty.coupons import service as coupons
from loyalty.coupons.service import ClaimRequest
from loyalty.ladders.rules import Benefits, Calendar, CalendarEnd, Fixed, Measure, Metric, RefundPolicy
from loyalty.purchases import service as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.service import NewPurchase
from loyalty.refunds import service as refunds
from loyalty.refunds.service import NewRefund
from loyalty.tiers import queries
from tests.loyalty.shop import ADMIN, publish_ladder
from tests.loyalty.tiers.scene import course, events, ladder, member, on, stands, sweep, tier

pytestmark = pytest.mark.usefixtures("database")

START = on("2025-01-01")
BOUGHT = on("2026-03-10", 12)
REFUNDED = BOUGHT + timedelta(days=3)
GIVES = {"benefits": Benefits(multiplier_percent=150)}
_serial = count(1)


def rules(**more: Any) -> Any:
    steps: tuple[tuple[str, int], ...] = (("silver", 500), ("gold", 1000))
    made = ladder(*steps, **{"validity": Fixed(months=12), **more})
    return made.model_copy(update={"steps": tuple(step.model_copy(update=GIVES) for step in made.steps)})


async def buy(member_id: int, yuan: int, at: datetime, *, reported_at: datetime | None = None) -> PurchaseView:
    new = NewPurchase(
        source="till", external_id=f"p{next(_serial)}", member_id=member_id, amount_fen=yuan * 100, occurred_at=at
    )
    async with db.unit_of_work():
        return await purchases.record_one(new, principal=ADMIN, now=reported_at or at)


async def give_back(purchase: PurchaseView, at: datetime, yuan: int | None = None) -> None:
    new = NewRefund(
        source="till",
        external_id=f"r{next(_serial)}",
        purchase_source=purchase.source,
        purchase_external_id=purchase.external_id,
        amount_fen=purchase.amount_fen if yuan is None else yuan * 100,
        occurred_at=at,
    )
    async with db.unit_of_work():
        await refunds.refund(new, principal=ADMIN, now=at)


async def test_case_62_without_a_benefit_used_the_tier_is_revoked() -> None:
    await publish_ladder(ladder(("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    assert await tier(member_id, BOUGHT) == "gold"
    await give_back(purchase, REFUNDED)
    assert (await stands(member_id, REFUNDED)).count == 0
    assert await course(member_id) == [("gold", "growth", BOUGHT), ("basic", "refund", REFUNDED)]
    assert await events(member_id) == ["tier.raised", "tier.lowered"]


async def test_case_62_a_benefit_that_was_used_keeps_it_until_the_review() -> None:
    await publish_ladder(rules_above_base(), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    await buy(member_id, 10, BOUGHT + timedelta(days=1))
    await give_back(purchase, REFUNDED)
    assert (await stands(member_id, REFUNDED)).count == 10
    assert await course(member_id) == [("gold", "growth", BOUGHT), ("gold", "refund", REFUNDED)]
    assert (await queries.history(member_id))[0].evidence["kind"] == "kept"
    await sweep(on("2027-03-10"))
    assert (await course(member_id))[-1] == ("basic", "review", on("2027-03-10"))


def rules_above_base(**more: Any) -> Any:
    made = rules(**more)
    lowest, *others = made.steps
    return made.model_copy(update={"steps": (lowest.model_copy(update={"benefits": Benefits()}), *others[1:])})


@pytest.mark.parametrize(("policy", "lands"), [("keep", "gold"), ("revoke", "basic")])
@pytest.mark.parametrize("used", [False, True])
async def test_case_62_the_policy_is_data(policy: Any, lands: str, *, used: bool) -> None:
    await publish_ladder(rules_above_base(refund=RefundPolicy(then=policy)), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    if used:
        await buy(member_id, 10, BOUGHT + timedelta(days=1))
    await give_back(purchase, REFUNDED)
    assert await course(member_id) == [("gold", "growth", BOUGHT), (lands, "refund", REFUNDED)]


async def test_case_62_a_tier_without_a_review_gets_one_when_it_is_kept() -> None:
    forever = ladder(("gold", 1000), refund=RefundPolicy(then="keep", kept_months=3))
    await publish_ladder(forever, now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    assert (await stands(member_id, BOUGHT)).until is None
    await give_back(purchase, REFUNDED)
    assert (await stands(member_id, REFUNDED)).until == on("2026-06-13")
    await sweep(on("2026-06-13"))
    assert await tier(member_id, on("2026-06-13")) == "basic"


async def test_a_tier_that_is_reached_all_the_same_is_not_touched() -> None:
    await publish_ladder(ladder(("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    first = await buy(member_id, 1000, BOUGHT)
    await buy(member_id, 1000, BOUGHT + timedelta(days=1))
    await give_back(first, REFUNDED)
    assert await course(member_id) == [("gold", "growth", BOUGHT)]


async def test_a_small_refund_after_the_window_went_on_is_not_held_against_a_tier() -> None:
    year = ladder(("gold", 1000), measure=Measure(window=Calendar()), validity=CalendarEnd(further=1))
    await publish_ladder(year, now=START)
    member_id = await member(START)
    await buy(member_id, 1000, on("2025-11-01"))
    small = await buy(member_id, 50, on("2026-02-01"))
    await give_back(small, on("2026-02-03"))
    assert await course(member_id) == [("gold", "growth", on("2025-11-01"))]


async def test_only_what_the_refunded_purchase_raised_is_taken_back() -> None:
    await publish_ladder(ladder(("silver", 500), ("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    await buy(member_id, 500, BOUGHT)
    second = await buy(member_id, 500, BOUGHT + timedelta(hours=1))
    await give_back(second, REFUNDED)
    standing = await stands(member_id, REFUNDED)
    assert (standing.tier.code, standing.since, standing.until) == ("silver", BOUGHT, on("2027-03-10"))
    assert [held[:2] for held in await course(member_id)] == [
        ("silver", "growth"),
        ("gold", "growth"),
        ("silver", "refund"),
    ]


async def test_what_is_left_may_still_reach_a_step_between() -> None:
    await publish_ladder(ladder(("silver", 500), ("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    await give_back(purchase, REFUNDED, yuan=300)
    assert await course(member_id) == [("gold", "growth", BOUGHT), ("silver", "refund", REFUNDED)]
    assert await events(member_id) == ["tier.raised", "tier.lowered"]


async def test_a_till_whose_clock_runs_ahead_still_reached_its_tier() -> None:
    await publish_ladder(ladder(("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    await buy(member_id, 1000, BOUGHT + timedelta(minutes=4), reported_at=BOUGHT)
    small = await buy(member_id, 10, BOUGHT + timedelta(days=1))
    await give_back(small, REFUNDED)
    assert await course(member_id) == [("gold", "growth", BOUGHT)]


async def test_a_coupon_that_only_the_tier_opens_is_a_benefit_used() -> None:
    await publish_ladder(ladder(("gold", 1000), validity=Fixed(months=12)), now=START)
    member_id = await member(START)
    purchase = await buy(member_id, 1000, BOUGHT)
    new = NewTemplate(
        code="for-gold",
        name={"en": "for gold"},
        worth=AmountOff(off_fen=100),
        claim_from=START,
        valid_days=30,
        tiers=("gold",),
    )
    async with db.unit_of_work():
        template = await templates.create_template(new, principal=ADMIN, now=BOUGHT)
        await coupons.claim([ClaimRequest(member_id=member_id, template_id=template.id)], now=BOUGHT)
    await give_back(purchase, REFUNDED)
    assert await tier(member_id, REFUNDED) == "gold"


async def test_money_paid_and_days_in_the_shop_follow_the_purchases() -> None:
    spend = ladder(("gold", 100_000), measure=Measure(metric=Metric.SPEND))
    visits = ladder(("regular", 2), measure=Measure(metric=Metric.VISITS))
    await publish_ladder(spend, now=START)
    await publish_ladder(
        visits.model_copy(
            update={"code": "visits", "steps": (visits.steps[0].model_copy(update={"code": "new"}), visits.steps[1])}
        ),
        now=START,
    )
    member_id = await member(START)
    first = await buy(member_id, 600, BOUGHT)
    second = await buy(member_id, 400, BOUGHT + timedelta(hours=2))
    assert await tier(member_id, BOUGHT + timedelta(hours=2)) == "gold"
    assert await tier(member_id, BOUGHT + timedelta(hours=2), "visits") == "new"
    await buy(member_id, 1, BOUGHT + timedelta(days=1))
    assert await tier(member_id, BOUGHT + timedelta(days=1), "visits") == "regular"
    await give_back(second, REFUNDED)
    assert (await stands(member_id, REFUNDED)).count == 60_100
    assert (await tier(member_id, REFUNDED), await tier(member_id, REFUNDED, "visits")) == ("basic", "regular")
    await give_back(first, REFUNDED)
    assert (await stands(member_id, REFUNDED, "visits")).count == 1
    assert await tier(member_id, REFUNDED, "visits") == "new"
