"""What goes back when part of a purchase does: judged by the recorded rules, and limits have it again."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.earning import queries
from loyalty.ledger import queries as ledger
from loyalty.purchases.receipt import Line, Receipt
from loyalty.refunds import service as refunds
from loyalty.refunds.queries import RefundView
from loyalty.refunds.service import NewRefund
from tests.loyalty.earning.test_award import award, publish, shared
from tests.loyalty.earning.written import NOW
from tests.loyalty.people import registered
from tests.loyalty.shop import ADMIN, bought

pytestmark = pytest.mark.usefixtures("database")
DAY = timedelta(days=1)
STEPS = {"kind": "per_yuan", "points": 10, "per_fen": 10_000, "steps": True}


async def returned(number: str, amount_fen: int | None = None, **more: Any) -> RefundView:
    new = NewRefund(
        source="till",
        external_id=f"r{number}{amount_fen}{more}"[:80],
        purchase_source="till",
        purchase_external_id=number,
        amount_fen=amount_fen,
        occurred_at=NOW,
        **more,
    )
    async with db.unit_of_work():
        return await refunds.refund(new, principal=ADMIN, now=NOW)


async def buys(member_id: int, number: str, amount_fen: int = 10_000, **more: Any) -> int:
    view = await bought(member_id, amount_fen, external_id=number, occurred_at=NOW, now=NOW, **more)
    return view.points


async def points(member_id: int) -> int:
    return (await ledger.balances([member_id], at=NOW))[member_id].points


async def test_case_36_a_refund_gives_headroom_to_new_facts_and_pays_nothing_withheld() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("purchase_points", {"kind": "per_yuan"}, caps=[{"per": "day", "amount": 100}])
    assert (await buys(member_id, "of80", 8000), await buys(member_id, "of50", 5000)) == (80, 20)
    assert (await returned("of80", 8000)).points_taken == 80
    assert await points(member_id) == 20
    assert await buys(member_id, "more", 9000) == 80
    assert await points(member_id) == 100


async def test_case_30_a_rule_that_changed_since_takes_back_what_it_gave_then() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50)
    assert await buys(member_id, "o", 5000) == 100
    await publish("gift", 500)
    await publish("purchase_points", {"kind": "per_yuan", "points": 2})
    assert (await returned("o", 5000)).points_taken == 100


async def test_what_is_kept_no_longer_reaches_a_threshold() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, condition={"op": "ge", "field": "purchase.amount", "value": 20_000})
    lines = Receipt(lines=(Line(no=1, amount_fen=15_000), Line(no=2, amount_fen=10_000)))
    assert await buys(member_id, "o", 25_000, receipt=lines) == 300
    assert (await returned("o", lines={2: 1})).points_taken == 150
    assert (await returned("o", lines={1: 1})).points_taken == 150
    assert await points(member_id) == 0


async def test_a_rule_that_gave_way_softens_what_is_taken() -> None:
    member_id = await registered(now=NOW - DAY)
    group = {"code": "gifts", "mode": "best"}
    await publish("large", 50, group=group, condition={"op": "ge", "field": "purchase.amount", "value": 20_000})
    await publish("steps", STEPS, group=group)
    assert await buys(member_id, "o", 25_000) == 300
    # ¥150 are kept: 150 points and one step of 10.
    assert (await returned("o", 10_000)).points_taken == 140


async def test_a_proportional_return_takes_its_part_of_every_award() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, condition={"op": "ge", "field": "purchase.amount", "value": 20_000})
    assert await buys(member_id, "o", 20_000) == 250
    assert (await returned("o", 5000, method="proportional")).points_taken == 63
    rows = await db.fetch("SELECT rule, amount, returned FROM earning_award WHERE asset = 'points' ORDER BY rule")
    assert [tuple(row) for row in rows] == [("gift", 50, 13), ("purchase_points", 200, 50)]


async def test_a_budget_and_a_limit_have_it_again() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 60, budget={"total": 100}, limits=[{"per": "day", "times": 1}])
    assert await buys(member_id, "a", 0) == 60
    assert await buys(member_id, "b", 10_000) == 100
    await db.execute("UPDATE purchase SET amount_fen = 100 WHERE external_id = 'a'")
    await returned("a", 100)
    assert await queries.budgets_left(["rule:gift"]) == {"rule:gift": (100, 0)}
    assert await buys(member_id, "c", 0) == 60


async def test_an_own_lot_goes_back_too() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, expiry={"kind": "never"})
    assert await buys(member_id, "o", 5000) == 100
    await returned("o", 5000)
    left = await db.fetch("SELECT remaining FROM ledger_lot WHERE member_id = $1 AND asset = 'points'", member_id)
    assert [row["remaining"] for row in left] == [0, 0]


async def test_other_facts_keep_their_counters() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, trigger="event:shared", caps=[{"per": "day", "amount": 60}])
    await award(shared(member_id, "1"))
    await buys(member_id, "o")
    await returned("o", 10_000)
    assert await db.fetch_value("SELECT amount FROM earning_counter WHERE code = 'rule:gift'") == 50
