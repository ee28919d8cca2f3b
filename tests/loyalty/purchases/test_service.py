"""Purchases: facts once, points by the terms and tier of their moment."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import OtherStore, OwnMembership, PartnerPrincipal, Role
from loyalty.errors import Forbidden
from loyalty.fsck import queries as fsck
from loyalty.ladders.rules import Ladder, Step
from loyalty.ledger import queries as ledger
from loyalty.ledger.service import Asset
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import PointsTerms, Terms
from loyalty.purchases import queries, rules
from loyalty.purchases import service as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import Line, Receipt
from loyalty.purchases.service import NewPurchase, PurchaseInvalid, PurchaseKeyReused
from loyalty.tiers import queries as tiers
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import ADMIN, NOW, a_purchase, bought, employee, publish_ladder, store

pytestmark = pytest.mark.usefixtures("database")


async def balances(member_id: int, *, at: datetime = NOW) -> tuple[int, int]:
    found = (await ledger.balances([member_id], at=at))[member_id]
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    return found.points, found.growth


async def record(*batch: NewPurchase, **values: Any) -> list[purchases.PurchaseOutcome]:
    async with db.unit_of_work():
        return await purchases.record(batch, **{"principal": ADMIN, "now": NOW, **values})


async def publish(terms: Terms, *, effective_from: datetime) -> None:
    async with db.unit_of_work():
        await publishing.publish(terms, by="test", effective_from=effective_from, now=effective_from)
    program.forget()


async def test_a_purchase_earns_points_growth_and_an_event() -> None:
    member_id = await guest()
    view = await bought(member_id, 12_345)
    assert (view.points, view.growth, view.replayed) == (123, 123, False)
    assert await balances(member_id) == (123, 123)
    (movement,) = (await ledger.statement(member_id, Asset.POINTS)).movements
    assert movement.reason["purchase_id"] == view.id
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'purchase.recorded'") == 1


async def test_rounding_is_per_order_and_not_per_line() -> None:
    # Three lines of ¥3.99: 11 points for the order, not 9 for the lines.
    assert rules.earned(1_197, multiplier_percent=100, terms=Terms()).points == 11


async def test_points_end_with_the_month_a_year_later() -> None:
    member_id = await guest()
    await bought(member_id)
    expiring = await ledger.expiring(member_id, Asset.POINTS, after=NOW, until=NOW + timedelta(days=800))
    assert expiring == [(datetime(2027, 11, 30, 16, tzinfo=UTC), 100)]


async def test_a_repeat_changes_nothing_and_says_so() -> None:
    member_id = await guest()
    purchase = a_purchase(member_id)
    first, in_batch = await record(purchase, purchase)
    (later,) = await record(purchase)
    assert isinstance(first, PurchaseView)
    assert isinstance(in_batch, PurchaseView)
    assert isinstance(later, PurchaseView)
    assert first.id == in_batch.id == later.id
    assert [first.replayed, in_batch.replayed, later.replayed] == [False, True, True]
    assert await balances(member_id) == (100, 100)


async def test_the_same_number_for_another_purchase_is_refused_and_the_others_recorded() -> None:
    member_id = await guest()
    first = a_purchase(member_id, 10_000, external_id="x")
    changed = a_purchase(member_id, 10_001, external_id="x")
    outcomes = await record(first, changed, a_purchase(member_id))
    assert [type(outcome) for outcome in outcomes] == [PurchaseView, PurchaseKeyReused, PurchaseView]
    assert isinstance((await record(changed))[0], PurchaseKeyReused)
    with pytest.raises(PurchaseKeyReused):
        async with db.unit_of_work():
            await purchases.record_one(changed, principal=ADMIN, now=NOW)
    assert await balances(member_id) == (200, 200)


async def test_two_sources_may_use_the_same_number() -> None:
    member_id = await guest()
    outcomes = await record(
        a_purchase(member_id, external_id="1", source="till-1"), a_purchase(member_id, external_id="1", source="till-2")
    )
    assert all(isinstance(outcome, PurchaseView) for outcome in outcomes)


async def test_a_backdated_purchase_is_judged_by_its_own_moment() -> None:
    member_id = await guest()
    await publish(Terms(points=PointsTerms(per_yuan=2)), effective_from=NOW)
    old = await bought(member_id, 10_000, occurred_at=NOW - timedelta(days=1))
    new = await bought(member_id, 10_000)
    assert (old.points, old.terms_version) == (100, 0)
    assert (new.points, new.terms_version) == (200, 1)


async def test_the_tier_of_the_moment_multiplies() -> None:
    member_id = await guest()
    await bought(member_id, 200_000)
    assert (await tiers.standing(member_id, at=NOW)).tier.code == "gold"
    later = NOW + timedelta(hours=1)
    gold = await bought(member_id, 10_000, now=later, occurred_at=later)
    before = await bought(member_id, 10_000, now=later, occurred_at=NOW - timedelta(hours=1))
    assert (gold.points, gold.growth) == (120, 100)
    assert before.points == 100


async def test_nothing_paid_earns_nothing_and_is_still_a_fact() -> None:
    member_id = await guest()
    view = await bought(member_id, 0)
    assert (view.points, view.growth) == (0, 0)
    assert [purchase.id for purchase in await queries.recent(member_id)] == [view.id]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("amount_fen", {"amount_fen": -1}),
        ("amount_fen", {"amount_fen": 10**12 + 1}),
        ("source", {"source": ""}),
        ("source", {"source": "s" * 41}),
        ("external_id", {"external_id": "x" * 81}),
        ("currency", {"currency": "USD"}),
        ("occurred_at", {"occurred_at": NOW + timedelta(minutes=6)}),
    ],
)
async def test_values_that_nobody_may_report(field: str, values: dict[str, Any]) -> None:
    bad, good = await record(a_purchase(1, **values), a_purchase(await guest()))
    assert isinstance(bad, PurchaseInvalid)
    assert bad.params == {"field": field}
    assert isinstance(good, PurchaseView), "what one lacks does not hold up the others"


async def test_a_clerk_records_for_others_in_their_own_store_and_is_audited() -> None:
    member_id, own_id, store_id = await guest(), await guest(), await store()
    clerk = await employee(Role.CLERK, store_id, member_id=own_id)
    (view,) = await record(a_purchase(member_id, store_id=store_id), principal=clerk)
    assert isinstance(view, PurchaseView)
    assert view.staff_id == clerk.staff_id
    assert await db.fetch_value("SELECT member_id FROM audit_entry WHERE action = 'purchase.record'") == member_id
    with pytest.raises(OwnMembership):
        await record(a_purchase(own_id, store_id=store_id), principal=clerk)
    with pytest.raises(OtherStore):
        await record(a_purchase(member_id, store_id=await store()), principal=clerk)
    with pytest.raises(Forbidden):
        await record(a_purchase(member_id, store_id=store_id), principal=await employee(Role.FINANCE))


async def test_a_till_records_for_its_store_only() -> None:
    member_id, store_id = await guest(), await store()
    till = PartnerPrincipal(1, store_id=store_id)
    assert isinstance((await record(a_purchase(member_id, store_id=store_id), principal=till))[0], PurchaseView)
    with pytest.raises(OtherStore):
        await record(a_purchase(member_id, store_id=await store()), principal=till)


async def test_reading() -> None:
    member_id = await guest()
    old = await bought(member_id, external_id="old", occurred_at=NOW - timedelta(days=100))
    new = await bought(member_id, receipt=Receipt((Line(no=1, sku="拿铁", quantity=2, amount_fen=10_000),)))
    assert [view.id for view in await queries.recent(member_id, limit=1)] == [new.id]
    assert [view.id for view in await queries.recent(member_id, before_id=new.id)] == [old.id]
    assert [view.id for view in await queries.since(member_id, moment=NOW - timedelta(days=90))] == [new.id]
    found = await queries.by_key("till", "old")
    assert found is not None
    assert found.id == old.id
    assert [(line.sku, line.quantity) for line in new.receipt.lines] == [("拿铁", 2)]


async def record_often(member_id: int, external_ids: list[str]) -> dict[str, int]:
    """What one process of the race hears."""

    async def once(external_id: str) -> str:
        (outcome,) = await record(a_purchase(member_id, 100, external_id=external_id))
        return f"replayed={outcome.replayed}" if isinstance(outcome, PurchaseView) else type(outcome).__name__

    return Counter(await side_by_side(once(external_id) for external_id in external_ids))


async def test_a_thousand_equal_reports_from_four_processes_earn_once(database_url: str) -> None:
    member_id = await guest()
    heard = await at_once(database_url, record_often, [(member_id, ["same"] * 250) for _ in range(4)])
    assert tally(heard) == {"replayed=False": 1, "replayed=True": 999}
    assert await balances(member_id) == (1, 1)


async def test_two_hundred_purchases_of_one_member_at_once_all_count_and_raise_the_tier_once(database_url: str) -> None:
    steps = (Step(code="basic", names={}, reach_from=0), Step(code="silver", names={}, reach_from=50))
    await publish_ladder(Ladder(steps=steps), now=NOW - timedelta(days=1))
    member_id = await guest()
    arguments = [(member_id, [f"{part}-{n}" for n in range(50)]) for part in range(4)]
    heard = await at_once(database_url, record_often, arguments)
    assert tally(heard) == {"replayed=False": 200}
    assert (await balances(member_id))[1] == 200
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'tier.raised'") == 1
    assert await db.fetch_value("SELECT count(*) FROM tier_interval WHERE member_id = $1", member_id) == 1
