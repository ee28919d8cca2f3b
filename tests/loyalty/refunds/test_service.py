"""Refunds: the recorded earn goes back in proportion, within the balance, once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import PartnerPrincipal, Role
from loyalty.errors import Forbidden, Refusal
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.ledger import service as posting
from loyalty.ledger.service import Asset, Spend
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import PointsTerms, Terms
from loyalty.purchases import queries as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.refunds import queries
from loyalty.refunds import service as refunds
from loyalty.refunds.queries import RefundView
from loyalty.refunds.service import NewRefund, PurchaseUnknown, RefundInvalid, RefundKeyReused, RefundTooLarge
from loyalty.tiers import queries as tiers
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import ADMIN, NOW, bought, employee, store

pytestmark = pytest.mark.usefixtures("database")


def a_refund(purchase: PurchaseView, amount_fen: int, number: str = "r1", **values: Any) -> NewRefund:
    given: dict[str, Any] = {
        "source": "till",
        "external_id": number,
        "purchase_source": purchase.source,
        "purchase_external_id": purchase.external_id,
        "amount_fen": amount_fen,
        "occurred_at": NOW,
    }
    return NewRefund(**{**given, **values})


async def refund(new: NewRefund, **values: Any) -> RefundView:
    async with db.unit_of_work():
        return await refunds.refund(new, **{"principal": ADMIN, "now": NOW, **values})


async def spend(member_id: int, points: int) -> None:
    operation = Spend(member_id=member_id, asset=Asset.POINTS, amount=points, key="spent", kind="test", occurred_at=NOW)
    async with db.unit_of_work():
        await posting.post_one(operation, now=NOW)


async def balances(member_id: int) -> tuple[int, int]:
    found = (await ledger.balances([member_id], at=NOW))[member_id]
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    return found.points, found.growth


async def test_a_full_refund_takes_everything_back() -> None:
    purchase = await bought(await guest(), 12_345)
    done = await refund(a_refund(purchase, 12_345))
    assert (done.points_taken, done.points_forgiven, done.growth_taken) == (123, 0, 123)
    assert await balances(purchase.member_id) == (0, 0)
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'purchase.refunded'") == 1


async def test_parts_add_up_to_the_whole_and_no_further() -> None:
    purchase = await bought(await guest(), 10_000)
    done = [await refund(a_refund(purchase, part, f"r{part}-{n}")) for n, part in enumerate((3_333, 3_333, 3_334))]
    assert sum(part.points_taken for part in done) == 100
    assert await balances(purchase.member_id) == (0, 0)
    with pytest.raises(RefundTooLarge) as refused:
        await refund(a_refund(purchase, 1, "r9"))
    assert refused.value.params == {"left_fen": 0}
    assert [part.id for part in await queries.refunds_of(purchase.id)] == [part.id for part in done]


async def test_points_that_are_spent_are_forgiven_and_on_record() -> None:
    purchase = await bought(await guest(), 5_000)
    await spend(purchase.member_id, 40)
    done = await refund(a_refund(purchase, 5_000))
    assert (done.points_taken, done.points_forgiven) == (10, 40)
    assert await balances(purchase.member_id) == (0, 0)
    (taken, _, _) = (await ledger.statement(purchase.member_id, Asset.POINTS)).movements
    assert taken.delta == -10


async def test_the_recorded_earn_goes_back_whatever_the_terms_are_today() -> None:
    purchase = await bought(await guest(), 5_000)
    async with db.unit_of_work():
        await publishing.publish(
            Terms(points=PointsTerms(per_yuan=2)), by="test", effective_from=NOW - timedelta(days=1), now=NOW
        )
    program.forget()
    assert (await refund(a_refund(purchase, 5_000))).points_taken == 50


async def test_case_62_the_tier_goes_with_the_purchase_that_reached_it() -> None:
    purchase = await bought(await guest(), 100_000)
    await refund(a_refund(purchase, 100_000))
    standing = await tiers.standing(purchase.member_id, at=NOW)
    assert (standing.tier.code, standing.growth) == ("basic", 0)
    assert [held.reason for held in await tiers.history(purchase.member_id)] == ["refund", "growth"]


async def test_a_repeat_is_the_same_refund() -> None:
    purchase = await bought(await guest())
    first, again = await refund(a_refund(purchase, 4_000)), await refund(a_refund(purchase, 4_000))
    assert first.id == again.id
    assert [first.replayed, again.replayed] == [False, True]
    assert await balances(purchase.member_id) == (60, 60)
    with pytest.raises(RefundKeyReused):
        await refund(a_refund(purchase, 4_001))
    with pytest.raises(RefundKeyReused):
        await refund(a_refund(await bought(purchase.member_id), 4_000))


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("amount_fen", {"amount_fen": 0}),
        ("source", {"source": ""}),
        ("external_id", {"external_id": "x" * 81}),
        ("occurred_at", {"occurred_at": NOW + timedelta(hours=1)}),
    ],
)
async def test_values_that_nobody_may_report(field: str, values: dict[str, Any]) -> None:
    purchase = await bought(await guest())
    with pytest.raises(RefundInvalid) as refused:
        await refund(replace(a_refund(purchase, 100), **values))
    assert refused.value.params == {"field": field}


async def test_who_may_refund() -> None:
    store_id = await store()
    purchase = await bought(await guest(), store_id=store_id)
    with pytest.raises(PurchaseUnknown):
        await refund(a_refund(purchase, 100, purchase_external_id="other"))
    with pytest.raises(PurchaseUnknown):
        await refund(a_refund(purchase, 100), principal=PartnerPrincipal(1, store_id=await store()))
    with pytest.raises(Forbidden):
        await refund(a_refund(purchase, 100), principal=await employee(Role.CLERK, store_id))
    manager = await employee(Role.MANAGER, store_id)
    assert (await refund(a_refund(purchase, 100), principal=manager)).amount_fen == 100
    assert await db.fetch_value("SELECT actor_id FROM audit_entry WHERE action = 'purchase.refund'") == manager.staff_id


async def refund_often(external_id: str, numbers: list[str], amount_fen: int) -> dict[str, int]:
    """What one process of the race hears."""
    purchase = await purchases.by_key("till", external_id)
    assert purchase is not None

    async def once(number: str) -> str:
        try:
            done = await refund(a_refund(purchase, amount_fen, number))
        except Refusal as refusal:
            return type(refusal).__name__
        return f"replayed={done.replayed}"

    return Counter(await side_by_side(once(number) for number in numbers))


async def test_refunds_at_once_from_four_processes_never_exceed_the_purchase(database_url: str) -> None:
    purchase = await bought(await guest(), 10_000)
    arguments = [(purchase.external_id, [f"{part}-{n}" for n in range(25)], 700) for part in range(4)]
    heard = tally(await at_once(database_url, refund_often, arguments))
    assert heard == {"replayed=False": 14, "RefundTooLarge": 86}
    assert await balances(purchase.member_id) == (2, 2)


async def test_a_thousand_equal_refunds_at_once_have_one_effect(database_url: str) -> None:
    purchase = await bought(await guest(), 10_000)
    arguments = [(purchase.external_id, ["same"] * 250, 5_000) for _ in range(4)]
    heard = tally(await at_once(database_url, refund_often, arguments))
    assert heard == {"replayed=False": 1, "replayed=True": 999}
    assert await balances(purchase.member_id) == (50, 50)
