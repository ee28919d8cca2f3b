"""How far a claw-back reaches, who pays for grace, what moves to another member, and what once was."""

import asyncio
from datetime import timedelta

import pytest

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import (
    Asset,
    Claw,
    Grace,
    Grant,
    Outcome,
    Pending,
    Posted,
    Reverse,
    Spend,
    Transfer,
)
from tests.loyalty.ledger.purse import (
    POINTS,
    capture,
    day,
    grant,
    hold,
    members,
    posted,
    seen,
    take_back,
    void,
)

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.parametrize(
    ("mode", "cap", "active", "arrears", "forgiven"),
    [
        (Claw.ONLY_PENDING, 0, 50, 0, 70),
        (Claw.WITHIN_BALANCE, 0, 0, 0, 20),
        (Claw.ALLOW, 1000, -20, 20, 0),
        (Claw.ALLOW, 10, -10, 10, 10),  # case 26
    ],
)
async def test_case_25_and_26_the_three_policies(
    mode: Claw, cap: int, active: int, arrears: int, forgiven: int
) -> None:
    await members()
    now = day(1, 10)
    await posted(
        grant(70, "order:a", now),
        grant(30, "order:b", now, pending=Pending(activates_at=day(2, 1))),
        Spend(**POINTS, amount=20, key="s", kind="spend", occurred_at=now),
        now=now,
    )
    assert await seen(now) == (50, 30, 0, 0)
    back = take_back(100, "order:a", "order:b", at=now, mode=mode, cap=cap)
    outcome, again = await posted(back, back, now=now)
    for one in (outcome, again):
        assert isinstance(one, Posted)
        assert one.forgiven == forgiven
    assert await seen(now) == (active, 0, 0, arrears)


async def test_case_26_the_next_earn_pays_the_debt_first() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(10, "order", now), Spend(**POINTS, amount=10, key="s", kind="spend", occurred_at=now), now=now)
    await posted(take_back(10, "order", at=now, mode=Claw.ALLOW, cap=10), now=now)
    assert await seen(now) == (-10, 0, 0, 10)
    (earned,) = await posted(grant(100, "next", now), now=now)
    assert isinstance(earned, Posted)
    assert await seen(now) == (90, 0, 0, 0)
    repaid = await db.fetch_one("SELECT amount, delta, reason FROM ledger_entry WHERE kind = 'repay'")
    assert repaid is not None
    assert (repaid["amount"], repaid["delta"]) == (10, 0)
    assert '"next"' in repaid["reason"]
    assert await db.fetch_value("SELECT remaining FROM ledger_lot WHERE grant_key = 'next'") == 90


async def test_case_6_a_deficit_is_carried() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(50, "a", now), now=now)
    await posted(take_back(80, at=now, mode=Claw.ALLOW, cap=100), now=now)
    await posted(grant(100, "b", now), now=now)
    assert await seen(now) == (70, 0, 0, 0)
    lot = await db.fetch_one("SELECT remaining, original FROM ledger_lot WHERE grant_key = 'b'")
    assert lot is not None
    assert (lot["remaining"], lot["original"]) == (70, 100)


async def test_case_28_the_statement_shows_what_happened_and_not_what_was_asked() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(50, "e", now), Spend(**POINTS, amount=40, key="s", kind="spend", occurred_at=now), now=now)
    (outcome,) = await posted(take_back(50, "e", at=now), now=now)
    assert isinstance(outcome, Posted)
    assert (outcome.delta, outcome.forgiven) == (-10, 40)
    page = await queries.statement(1, Asset.POINTS)
    assert sum(line.delta for line in page.movements) == page.movements[0].balance == 0


async def test_case_4_a_grace_lot_replaces_what_died_at_the_merchants_cost() -> None:
    await members()
    ten, died = day(1, 10), day(2, 10)
    await posted(
        grant(100, "A", ten, expires_at=day(2, 1)),
        grant(50, "B", ten, expires_at=day(3, 1)),
        grant(30, "C", ten),
        Spend(**POINTS, amount=120, key="s", kind="spend", occurred_at=ten),
        now=ten,
    )
    grace = Grace(expires_at=died + timedelta(days=30))
    back = Reverse(
        **POINTS,
        key="r",
        reverses_key="s",
        kind="refund",
        occurred_at=died,
        amount=40,
        grace=grace,
        reason={"why": "merchant"},
    )
    await posted(back, now=died)
    assert await seen(died) == (100, 0, 0, 0)
    goodwill = await db.fetch_value("SELECT sum(amount) FROM ledger_posting WHERE source = 'goodwill'")
    assert goodwill == 20
    assert await seen(grace.expires_at) == (30, 0, 0, 0)


async def test_a_spend_and_its_reversal_in_one_batch() -> None:
    await members()
    now = day(1, 10)
    outcomes = await posted(
        grant(100, "g", now),
        Spend(**POINTS, amount=60, key="s", kind="spend", occurred_at=now),
        Reverse(**POINTS, key="r", reverses_key="s", kind="refund", occurred_at=now),
        now=now,
    )
    assert [isinstance(outcome, Posted) for outcome in outcomes] == [True] * 3
    assert await seen(now) == (100, 0, 0, 0)


async def test_a_transfer_keeps_each_parts_own_end() -> None:
    await members(1, 2)
    now = day(1, 10)
    await posted(grant(40, "a", now, expires_at=day(2, 1)), grant(60, "b", now), now=now)
    move = Transfer(**POINTS, to_member_id=2, amount=50, key="t", occurred_at=now)
    first, again = await posted(move, move, now=now)
    assert isinstance(again, Posted)
    assert again.replayed
    assert (await seen(now), await seen(now, 2)) == ((50, 0, 0, 0), (50, 0, 0, 0))
    assert await queries.expiring(2, Asset.POINTS, after=now, until=day(12, 1)) == [(day(2, 1), 40)]
    assert isinstance(first, Posted)


async def test_a_balance_of_the_past_is_what_it_was_then() -> None:
    await members()
    await posted(grant(100, "A", day(1, 1), expires_at=day(2, 1)), now=day(1, 1))
    await posted(grant(50, "B", day(1, 5), expires_at=day(12, 31)), now=day(1, 5))
    await posted(Spend(**POINTS, amount=80, key="s", kind="spend", occurred_at=day(1, 10)), now=day(1, 10))
    async with db.unit_of_work():
        await ledger.expire_due(now=day(2, 3), batch_max=10)
    at = {}
    for when in (day(1, 1), day(1, 6), day(1, 31), day(2, 1), day(2, 5)):
        at[when] = (await queries.balance_as_of(1, Asset.POINTS, when)).available
    assert list(at.values()) == [100, 150, 70, 50, 50]  # case 7: 50 on 1 Feb, before any sweep came


async def test_a_rush_on_one_hold_takes_it_once() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(100, "g", now), hold(60, "h", now), now=now)

    async def take(number: int) -> Outcome:
        async with db.unit_of_work():
            operation = capture("h", now, 60, key=f"c{number}") if number % 2 else void("h", now, key=f"v{number}")
            return (await ledger.post([operation], now=now))[0]

    outcomes = await asyncio.gather(*(take(number) for number in range(20)))
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 1
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []


async def test_further_kinds_of_points_open_their_account_when_first_used() -> None:
    await members()
    kind = Asset.points_of("coffee")

    async def earn(number: int) -> None:
        async with db.unit_of_work():
            await ledger.post_one(
                Grant(member_id=1, asset=kind, amount=1, key=f"k{number}", kind="test", occurred_at=day(1, 1)),
                now=day(1, 1),
            )

    await asyncio.gather(*(earn(number) for number in range(10)))
    assert (await queries.balances([1], at=day(1, 1)))[1].of(kind).available == 10
