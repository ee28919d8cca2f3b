"""The ledger's verbs against the numbered cases of `loyalty.md` §3b and against its own guards."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, NotEnough, Posted, Reverse, Spend, TakeBack

JAN_1 = datetime(2026, 1, 1, tzinfo=UTC)
JAN_10 = datetime(2026, 1, 10, tzinfo=UTC)
JAN_20 = datetime(2026, 1, 20, tzinfo=UTC)
FEB_1 = datetime(2026, 2, 1, tzinfo=UTC)
FEB_10 = datetime(2026, 2, 10, tzinfo=UTC)
MAR_1 = datetime(2026, 3, 1, tzinfo=UTC)

pytestmark = pytest.mark.usefixtures("database")


def grant(amount: int, key: str, *, member_id: int = 1, expires_at: datetime | None = None, **more: object) -> Grant:
    return Grant(
        member_id=member_id,
        asset=Asset.POINTS,
        amount=amount,
        key=key,
        kind="test",
        occurred_at=JAN_1,
        expires_at=expires_at,
        **more,  # type: ignore[arg-type]
    )


def spend(amount: int, key: str, *, member_id: int = 1, at: datetime = JAN_10) -> Spend:
    return Spend(member_id=member_id, asset=Asset.POINTS, amount=amount, key=key, kind="test", occurred_at=at)


def reverse(key: str, of: str, *, amount: int | None, at: datetime) -> Reverse:
    return Reverse(
        member_id=1, asset=Asset.POINTS, key=key, reverses_key=of, kind="refund", occurred_at=at, amount=amount
    )


async def posted(*batch: ledger.Operation, now: datetime = JAN_10) -> list[ledger.Outcome]:
    async with db.unit_of_work():
        outcomes = await ledger.post(batch, now=now)
    assert await broken() == []
    return outcomes


async def broken() -> list[str]:
    return [row async for finding in fsck.check_all() for row in finding.broken]


async def members(ids: Sequence[int] = (1,)) -> None:
    async with db.unit_of_work():
        await ledger.open_accounts(ids, now=JAN_1)


async def lots() -> dict[str, int]:
    rows = await db.fetch(
        "SELECT e.key, l.remaining FROM ledger_lot l JOIN ledger_entry e ON e.id = l.entry_id ORDER BY l.id"
    )
    return {row["key"]: row["remaining"] for row in rows}


async def usable(at: datetime) -> int:
    return (await queries.balances([1], at=at))[1].points


async def abc() -> None:
    """Case 1: A100 until 31 Jan, B50 until 28 Feb, C30 for ever; 120 spent on 10 Jan."""
    await members()
    await posted(grant(100, "A", expires_at=FEB_1), grant(50, "B", expires_at=MAR_1), grant(30, "C"), now=JAN_1)
    await posted(spend(120, "s"))


async def test_case_1_the_lot_that_expires_first_is_spent_first() -> None:
    await abc()
    assert await lots() == {"A": 0, "B": 30, "C": 30}
    assert await usable(JAN_10) == 60
    rows = await db.fetch("SELECT lot_id, amount FROM ledger_posting WHERE source = 'available' ORDER BY id")
    assert [row["amount"] for row in rows] == [100, 20]


async def test_case_2_a_refund_unwinds_what_was_taken_last() -> None:
    await abc()
    await posted(reverse("r", "s", amount=40, at=JAN_20), now=JAN_20)
    assert await lots() == {"A": 20, "B": 50, "C": 30}
    assert await usable(JAN_20) == 100


async def test_case_3_units_given_back_to_a_dead_lot_expire_at_once_in_a_row_of_their_own() -> None:
    await abc()
    await posted(reverse("r", "s", amount=40, at=FEB_10), now=FEB_10)
    assert await lots() == {"A": 0, "B": 50, "C": 30}
    page = await queries.statement(1, Asset.POINTS)
    assert [(line.kind, line.delta) for line in page.movements[:2]] == [("expire", -20), ("refund", 40)]
    assert await usable(FEB_10) == 80


async def test_partial_reversals_never_exceed_the_original() -> None:
    await abc()
    await posted(reverse("r1", "s", amount=70, at=JAN_20), now=JAN_20)
    outcomes = await posted(
        reverse("r2", "s", amount=50, at=JAN_20), reverse("r3", "s", amount=1, at=JAN_20), now=JAN_20
    )
    assert isinstance(outcomes[0], Posted)
    assert isinstance(outcomes[1], ledger.NothingToReverse)
    assert await usable(JAN_20) == 180


async def test_case_9_priority_beats_expiry_and_promotional_goes_before_paid() -> None:
    await members()
    later, sooner = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 8, 15, tzinfo=UTC)
    await posted(
        grant(50, "A", expires_at=later, priority=1, promotional=False),
        grant(20, "B", expires_at=later, priority=1),
        grant(100, "C", expires_at=sooner, priority=2),
        spend(90, "s"),
    )
    assert await lots() == {"A": 0, "B": 0, "C": 80}


async def test_case_15_a_lot_whose_expiry_is_now_is_expired_and_the_sweep_books_it_once() -> None:
    await members()
    await posted(grant(100, "A", expires_at=FEB_1))
    for expected in (1, 0):
        async with db.unit_of_work():
            assert len(await ledger.expire_due(now=FEB_1, batch_max=10)) == expected
    assert await broken() == []
    assert await usable(FEB_1) == 0


async def test_the_end_of_a_lot_that_was_used_up_is_booked_and_not_shown() -> None:
    await members()
    await posted(grant(30, "earn", expires_at=FEB_1), spend(30, "spend"))
    async with db.unit_of_work():
        (closed,) = await ledger.expire_due(now=FEB_10, batch_max=10)
    assert closed[2].amount == 0
    shown = (await queries.statement(1, Asset.POINTS)).movements
    assert [movement.delta for movement in shown] == [-30, 30]


async def test_case_16_between_expiry_and_sweep_the_dead_lot_cannot_be_spent() -> None:
    await members()
    await posted(grant(100, "A", expires_at=FEB_1), grant(40, "B"))
    outcome = (await posted(spend(50, "s", at=FEB_1), now=FEB_1 + timedelta(hours=1)))[0]
    assert isinstance(outcome, NotEnough)
    assert outcome.params == {"wanted": 50, "available": 40}
    assert await usable(FEB_1) == 40


async def test_case_25_a_claw_back_takes_what_is_there_and_books_the_rest_as_forgiven() -> None:
    await members()
    await posted(grant(100, "earn"), spend(50, "s"))
    back = TakeBack(
        member_id=1,
        asset=Asset.POINTS,
        amount=100,
        key="refund",
        kind="refund",
        occurred_at=JAN_10,
        reverses=("earn",),
    )
    first, again = await posted(back, back)
    assert isinstance(first, Posted)
    assert (first.delta, first.forgiven) == (-50, 50)
    assert isinstance(again, Posted)
    assert again.replayed
    assert await db.fetch_value("SELECT sum(amount) FROM ledger_posting WHERE source = 'forgiven'") == 50


async def test_a_claw_back_takes_its_own_lot_before_older_ones() -> None:
    await members()
    await posted(grant(30, "old", expires_at=FEB_1), grant(100, "earn"))
    await posted(
        TakeBack(
            member_id=1, asset=Asset.POINTS, amount=80, key="b", kind="refund", occurred_at=JAN_10, reverses=("earn",)
        )
    )
    assert await lots() == {"old": 30, "earn": 20}


async def test_case_43_the_same_key_gives_the_same_answer_and_another_question_is_refused() -> None:
    await members()
    first = (await posted(grant(100, "k")))[0]
    again, other = await posted(grant(100, "k"), grant(200, "k"))
    assert isinstance(first, Posted)
    assert isinstance(again, Posted)
    assert (again.entry_id, again.balance, again.replayed) == (first.entry_id, 100, True)
    assert isinstance(other, ledger.KeyReused)
    assert await usable(JAN_10) == 100


async def test_case_46_two_hundred_parallel_earns_all_count() -> None:
    await members()
    outcomes = await asyncio.gather(*(one(grant(1, f"e{n}")) for n in range(200)))
    assert sorted(outcome.balance for outcome in outcomes if isinstance(outcome, Posted)) == list(range(1, 201))
    assert await broken() == []


async def test_a_first_spend_race_never_overspends() -> None:
    await members()
    await posted(grant(100, "k"))
    outcomes = await asyncio.gather(*(one(spend(1, f"s{n}")) for n in range(200)))
    assert sum(isinstance(outcome, Posted) for outcome in outcomes) == 100
    assert await usable(JAN_10) == 0
    assert await broken() == []


async def test_the_same_key_a_thousand_times_at_once_is_one_entry() -> None:
    await members()
    outcomes = await asyncio.gather(*(one(grant(5, "same")) for _ in range(1000)))
    assert {outcome.entry_id for outcome in outcomes if isinstance(outcome, Posted)} == {
        await db.fetch_value("SELECT id FROM ledger_entry")
    }
    assert await usable(JAN_10) == 5


async def one(operation: ledger.Operation) -> ledger.Outcome:
    async def work() -> ledger.Outcome:
        async with db.unit_of_work():
            return (await ledger.post([operation], now=JAN_10))[0]

    return await db.retried(work)


async def test_transfers_in_opposite_directions_keep_the_sum_and_never_deadlock() -> None:
    await members(range(1, 11))
    await posted(*(grant(100, "k", member_id=n) for n in range(1, 11)))

    async def swap(n: int) -> None:
        pair: list[ledger.Operation] = [
            spend(1, f"t{n}", member_id=n % 10 + 1),
            grant(1, f"g{n}", member_id=(n * 7) % 10 + 1),
        ]
        async with db.unit_of_work():
            outcomes = await ledger.post(pair if n % 2 else pair[::-1], now=JAN_10)
        assert all(isinstance(outcome, Posted) for outcome in outcomes)

    await asyncio.gather(*(swap(n) for n in range(200)))
    assert await db.fetch_value("SELECT sum(available)::bigint FROM ledger_balance") == 1000
    assert await broken() == []


async def test_every_movement_explains_which_lots_it_touched() -> None:
    await abc()
    page = await queries.statement(1, Asset.POINTS, limit=1)
    explanation = await queries.explain(1, page.movements[0].id)
    assert [(share.amount, share.expires_at) for share in explanation.shares] == [(100, FEB_1), (20, MAR_1)]
    assert page.next_before == page.movements[0].id
