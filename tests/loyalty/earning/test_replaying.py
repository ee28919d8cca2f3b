"""Replay of a rule over history: hand-computed, in chunks, and nothing is written."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.earning import replaying
from loyalty.earning.documents import Rule
from loyalty.earning.replaying import Chunk, Span, Tally
from tests.loyalty.earning.test_award import award, publish, shared, terms
from tests.loyalty.earning.written import DOUBLE, NOW, document, purchase
from tests.loyalty.people import registered
from tests.loyalty.shop import ADMIN

pytestmark = pytest.mark.usefixtures("database")
DAY = timedelta(days=1)


def rule(code: str = "tried", amount: Any = None, **more: Any) -> Rule:
    return Rule.model_validate(document(code, amount, **more))


async def replayed(tried: Rule, *, limit: int = 100, begins: Any = NOW - 10 * DAY, ends: Any = NOW + DAY) -> Tally:
    tally, after = Tally(), 0
    while True:
        chunk: Chunk = await replaying.replay(
            Span(tried, begins, ends), principal=ADMIN, now=NOW + DAY, so_far=tally, after=after, limit=limit
        )
        tally = chunk.tally
        if chunk.after is None:
            return tally
        after = chunk.after


async def history() -> tuple[int, int]:
    one, two = await registered(), await registered()
    await award(
        purchase(10_000, key="purchase:1", member_id=one, occurred_at=NOW - 2 * DAY),
        purchase(5_000, key="purchase:2", member_id=one, occurred_at=NOW - 2 * DAY),
        purchase(7_000, key="purchase:3", member_id=two, occurred_at=NOW - DAY),
        purchase(90_000, key="purchase:4", member_id=two, occurred_at=NOW - 20 * DAY),
    )
    return one, two


@pytest.mark.parametrize("limit", [1, 100])
async def test_double_over_three_purchases(limit: int) -> None:
    one, two = await history()
    tally = await replayed(rule(amount=DOUBLE), limit=limit)
    # ¥100 + ¥50 + ¥70 gave 220 points; doubled they give 440. The purchase of three weeks ago is not in the period.
    assert (tally.members, tally.facts, tally.fired) == (2, 3, 3)
    assert (tally.given, tally.units, tally.would, tally.delta) == (220, 220, 440, 220)
    assert [(won.member_id, won.units, won.delta) for won in tally.winners] == [(one, 150, 150), (two, 70, 70)]


async def test_case_35_a_daily_cap_withholds_in_a_replay() -> None:
    await history()
    tally = await replayed(rule(amount=DOUBLE, caps=[{"per": "day", "amount": 120}]))
    # The first member would get 100 and 20 of 50 on one day, the second 70.
    assert (tally.units, tally.withheld) == (190, {"cap:daily": 30})


@pytest.mark.parametrize("limit", [1, 100])
async def test_a_budget_ends_a_replay_also_between_chunks(limit: int) -> None:
    await history()
    tally = await replayed(rule(amount=DOUBLE, budget={"total": 160}), limit=limit)
    assert (tally.units, tally.withheld, tally.budgets) == (160, {"budget": 60}, {"rule:tried": 0})


async def test_why_it_did_not_fire_is_counted() -> None:
    await history()
    large = {"op": "ge", "field": "purchase.amount", "value": 6_000}
    tally = await replayed(rule(amount=50, condition=large, limits=[{"per": "lifetime", "times": 1}]))
    assert (tally.fired, tally.units, tally.silent) == (2, 100, {"condition": 1})
    none = await replayed(rule(amount=50, group={"code": "g", "mode": "best"}, limits=[{"per": "day", "times": 1}]))
    assert (none.fired, none.silent) == (2, {"limit": 1})


async def test_switching_a_rule_off_shows_as_a_negative_delta() -> None:
    await history()
    tally = await replayed(rule("purchase_points", {"kind": "nothing"}))
    assert (tally.given, tally.would, tally.delta) == (220, 0, -220)


async def test_what_is_in_force_replays_to_what_it_gave() -> None:
    await terms(caps=[{"per": "day", "amount": 180, "asset": "points"}])
    await publish("double", DOUBLE, caps=[{"per": "week", "amount": 150}], budget={"total": 1000})
    await publish("share", 30, trigger="event:shared", budget={"total": 1000})
    one = await registered()
    # Before the period, in the same week: the cap of the week has counted 60 of it.
    await award(purchase(6_000, key="purchase:0", member_id=one, occurred_at=NOW - 2 * DAY))
    await award(shared(one, "s1", occurred_at=NOW - DAY))
    for number in range(1, 5):
        at = NOW - DAY + timedelta(hours=number)
        await award(purchase(number * 2_000, key=f"purchase:{number}", member_id=one, occurred_at=at))
    same = rule("double", DOUBLE, caps=[{"per": "week", "amount": 150}], budget={"total": 1000})
    tally = await replayed(same, begins=NOW - DAY - timedelta(hours=1))
    gave = await db.fetch_value(
        "SELECT sum(a.amount)::bigint FROM earning_award a JOIN earning_fact f ON f.id = a.fact_id"
        " WHERE a.asset = 'points' AND f.trigger = 'purchase' AND f.occurred_at >= $1",
        NOW - DAY - timedelta(hours=1),
    )
    assert tally.given == gave == 150
    assert tally.delta == 0


async def test_a_replay_writes_nothing() -> None:
    await history()
    counted = "SELECT (SELECT count(*) FROM earning_fact), (SELECT count(*) FROM earning_award), (SELECT count(*) FROM ledger_entry), (SELECT count(*) FROM earning_counter), (SELECT count(*) FROM earning_rule)"  # noqa: E501 -- one statement
    before = tuple((await db.fetch_one(counted) or {}).values())
    await replayed(rule(amount=DOUBLE, caps=[{"per": "day", "amount": 120}], budget={"total": 50}))
    assert tuple((await db.fetch_one(counted) or {}).values()) == before


async def test_a_period_that_cannot_be_is_refused() -> None:
    for begins, ends in ((NOW, NOW), (NOW + 2 * DAY, NOW + 3 * DAY)):
        with pytest.raises(replaying.PeriodEmpty):
            await replaying.replay(Span(rule(amount=1), begins, ends), principal=ADMIN, now=NOW)
