"""Units that wait: pending until a day or an event, reserved by holds; and what a claw-back may reach."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from loyalty import db
from loyalty.expiry import Activity, Inactivity, Rolling, ends_at
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.moving import move_everything
from loyalty.ledger.service import (
    Activate,
    AlreadyPosted,
    Asset,
    CancelPending,
    Capture,
    CaptureTooLarge,
    Claw,
    ClawBack,
    Grace,
    Grant,
    Hold,
    HoldOver,
    HoldUnknown,
    Idle,
    NotEnough,
    NothingPending,
    Operation,
    Outcome,
    Pending,
    Posted,
    Reverse,
    Spend,
    TakeBack,
    Transfer,
    Void,
)

pytestmark = pytest.mark.usefixtures("database")

SHANGHAI = ZoneInfo("Asia/Shanghai")
POINTS: dict[str, Any] = {"member_id": 1, "asset": Asset.POINTS}


def day(month: int, number: int, hour: int = 0, *, year: int = 2026) -> datetime:
    return datetime(year, month, number, hour, tzinfo=SHANGHAI)


async def members(*ids: int) -> None:
    async with db.unit_of_work():
        await ledger.open_accounts(ids or [1], now=day(1, 1))


async def posted(*batch: Operation, now: datetime) -> list[Outcome]:
    async with db.unit_of_work():
        outcomes = await ledger.post(batch, now=now)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
    return outcomes


async def seen(now: datetime, member_id: int = 1) -> tuple[int, int, int, int]:
    """Available, pending, held, arrears; the replay of the postings says the same."""
    balance = (await queries.balances([member_id], at=now))[member_id].of(Asset.POINTS)
    assert await queries.balance_as_of(member_id, Asset.POINTS, now) == balance
    return balance.available, balance.pending, balance.held, balance.arrears


def grant(amount: int, key: str, at: datetime, **more: Any) -> Grant:
    return Grant(**{**POINTS, "amount": amount, "key": key, "kind": "test", "occurred_at": at, **more})


def hold(amount: int, key: str, at: datetime, minutes: int = 30) -> Hold:
    ends = at + timedelta(minutes=minutes)
    return Hold(**POINTS, amount=amount, key=key, kind="test", occurred_at=at, expires_at=ends)


def capture(of: str, at: datetime, amount: int | None = None, key: str = "capture") -> Capture:
    return Capture(**POINTS, hold_key=of, key=key, kind="spend", occurred_at=at, amount=amount)


def void(of: str, at: datetime, key: str = "void") -> Void:
    return Void(**POINTS, hold_key=of, key=key, occurred_at=at)


def take_back(amount: int, *of: str, at: datetime, mode: Claw = Claw.WITHIN_BALANCE, cap: int = 0) -> TakeBack:
    return TakeBack(
        **POINTS, amount=amount, key="refund", kind="refund", occurred_at=at, reverses=of, policy=ClawBack(mode, cap)
    )


async def test_case_23_paid_received_and_active_seven_days_later() -> None:
    await members()
    # Paid 1 Nov, received 5 Nov, T+7: usable from 12 Nov 00:00; twelve months count from then.
    begins = day(11, 12)
    ends = ends_at(Rolling(months=12), begins, SHANGHAI)
    await posted(grant(100, "order", day(11, 5), expires_at=ends, pending=Pending(activates_at=begins)), now=day(11, 5))
    assert await seen(begins - timedelta(microseconds=1)) == (0, 100, 0, 0)
    # Nothing ran meanwhile: the instant alone makes them usable.
    assert await seen(begins) == (100, 0, 0, 0)
    (outcome,) = await posted(Spend(**POINTS, amount=100, key="s", kind="spend", occurred_at=begins), now=begins)
    assert isinstance(outcome, Posted)
    assert await db.fetch_value("SELECT expires_at FROM ledger_lot") == day(12, 1, year=2027)


async def test_case_23_a_refund_cancels_what_is_pending_and_leaves_the_rest() -> None:
    await members()
    await posted(
        grant(50, "old", day(10, 1)),
        grant(100, "order", day(11, 5), pending=Pending(activates_at=day(11, 12))),
        now=day(11, 5),
    )
    (outcome,) = await posted(take_back(100, "order", at=day(11, 8)), now=day(11, 8))
    assert isinstance(outcome, Posted)
    assert (outcome.delta, outcome.pending_delta, outcome.forgiven) == (0, -100, 0)
    assert await seen(day(11, 20)) == (50, 0, 0, 0)


async def test_case_24_without_its_event_it_is_cancelled_and_was_never_active() -> None:
    await members()
    waits = Pending(event="order.received", cancels_at=day(12, 1))
    await posted(grant(100, "order", day(11, 1), pending=waits), now=day(11, 1))
    assert await seen(day(11, 30)) == (0, 100, 0, 0)
    assert await seen(day(12, 1)) == (0, 0, 0, 0)
    activate = Activate(**POINTS, grant_key="order", key="a", occurred_at=day(12, 2))
    (late,) = await posted(activate, now=day(12, 2))
    assert isinstance(late, NothingPending)
    async with db.unit_of_work():
        (settled,) = await ledger.settle_due(now=day(12, 2), batch_max=10)
    assert (settled.kind, settled.amount) == ("pending_cancelled", 100)
    assert await db.fetch_value("SELECT count(*) FROM ledger_entry WHERE delta <> 0") == 0


async def test_an_event_starts_the_validity_clock() -> None:
    await members()
    rule = Rolling(months=1).model_dump(mode="json")
    waits = Pending(event="order.received", cancels_at=day(12, 31), expiry=rule)
    await posted(grant(100, "order", day(11, 1), pending=waits), now=day(11, 1))
    activate = Activate(**POINTS, grant_key="order", key="a", occurred_at=day(11, 20))
    first, again = await posted(activate, activate, now=day(11, 20))
    assert isinstance(first, Posted)
    assert isinstance(again, Posted)
    assert again.replayed
    assert await seen(day(12, 31)) == (100, 0, 0, 0)
    assert await seen(day(1, 1, year=2027)) == (0, 0, 0, 0)


async def test_what_is_promised_can_be_taken_back_in_part() -> None:
    await members()
    await posted(grant(100, "o", day(11, 1), pending=Pending(activates_at=day(11, 9))), now=day(11, 1))
    part = CancelPending(**POINTS, grant_key="o", key="c", occurred_at=day(11, 2), amount=30)
    await posted(part, now=day(11, 2))
    assert await seen(day(11, 2)) == (0, 70, 0, 0)
    assert await seen(day(11, 9)) == (70, 0, 0, 0)


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


async def test_case_40_a_hold_is_taken_once_and_the_rest_comes_back() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(100, "g", now), now=now)
    await posted(hold(60, "h", now), now=now)
    assert await seen(now) == (40, 0, 60, 0)
    (refused,) = await posted(hold(50, "other", now), now=now)
    assert isinstance(refused, NotEnough)
    (too_much,) = await posted(capture("h", now, 61), now=now)
    assert isinstance(too_much, CaptureTooLarge)
    (taken,) = await posted(capture("h", now, 45), now=now)
    assert isinstance(taken, Posted)
    assert (taken.amount, taken.delta, taken.held_delta) == (45, 15, -60)
    assert await seen(now) == (55, 0, 0, 0)
    second, repeated, late = await posted(
        capture("h", now, key="again"), capture("h", now, 45), void("h", now), now=now
    )
    assert isinstance(second, AlreadyPosted)
    assert isinstance(repeated, Posted)
    assert repeated.replayed
    assert isinstance(late, HoldOver)
    assert late.params == {"state": "captured"}
    (unknown,) = await posted(void("never", now), now=now)
    assert isinstance(unknown, HoldUnknown)


async def test_case_41_a_hold_ends_by_itself() -> None:
    await members()
    now = day(1, 10)
    await posted(grant(100, "g", now), hold(60, "h", now), now=now)
    ends = now + timedelta(minutes=30)
    assert await seen(ends - timedelta(microseconds=1)) == (40, 0, 60, 0)
    assert await seen(ends) == (100, 0, 0, 0)
    (late,) = await posted(capture("h", ends), now=ends)
    assert isinstance(late, HoldOver)
    (spent,) = await posted(Spend(**POINTS, amount=100, key="s", kind="spend", occurred_at=ends), now=ends)
    assert isinstance(spent, Posted)


async def test_a_hold_pins_its_units_beyond_their_own_end() -> None:
    await members()
    now, dies = day(1, 10), day(1, 10) + timedelta(minutes=10)
    await posted(grant(100, "g", now, expires_at=dies), hold(60, "h", now), now=now)
    async with db.unit_of_work():
        await ledger.expire_due(now=dies, batch_max=10)
    assert await seen(dies) == (0, 0, 60, 0)
    (taken,) = await posted(capture("h", dies, 50), now=dies)
    assert isinstance(taken, Posted)
    # What was not taken is over at once: the lot had died.
    assert await seen(dies) == (0, 0, 0, 0)
    assert await db.fetch_value("SELECT sum(amount) FROM ledger_posting WHERE destination = 'expired'") == 50


async def test_a_taken_hold_is_reversed_like_a_spend() -> None:
    await members()
    now = day(1, 10)
    await posted(
        grant(50, "a", now, expires_at=day(2, 1)),
        grant(50, "b", now),
        hold(80, "h", now),
        capture("h", now, 70),
        now=now,
    )
    back = Reverse(**POINTS, key="r", reverses_key="capture", kind="refund", occurred_at=now, amount=30)
    await posted(back, now=now)
    left = {row["grant_key"]: row["remaining"] for row in await db.fetch("SELECT grant_key, remaining FROM ledger_lot")}
    assert left == {"a": 10, "b": 50}


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


async def test_case_21_inactivity_counts_from_the_last_activity_that_counts() -> None:
    first, second = day(3, 1), day(8, 1)
    for counting, ends in (
        (frozenset({"earn"}), day(3, 1, year=2027)),
        (frozenset({"earn", "spend"}), day(8, 1, year=2027)),
    ):
        await db.execute(
            "TRUNCATE ledger_balance, ledger_lot, ledger_hold, ledger_entry, ledger_posting RESTART IDENTITY"
        )
        await members()
        rule = Inactivity(months=12, activities=tuple(Activity(name) for name in sorted(counting)))
        idle = Idle(months=12, activities=counting)
        await posted(
            grant(100, "e", first, expires_at=ends_at(rule, first, SHANGHAI), idle=idle),
            now=first,
        )
        await posted(Spend(**POINTS, amount=10, key="s", kind="spend", occurred_at=second), now=second)
        assert await seen(ends - timedelta(microseconds=1)) == (90, 0, 0, 0)
        assert await seen(ends) == (0, 0, 0, 0)


async def test_inactivity_never_wakes_what_is_over() -> None:
    await members()
    idle = Idle(months=1, activities=frozenset({"earn"}))
    await posted(grant(100, "a", day(1, 1), expires_at=day(2, 1), idle=idle), now=day(1, 1))
    await posted(grant(5, "b", day(2, 1), expires_at=day(3, 1), idle=idle), now=day(2, 1))
    assert await seen(day(2, 1)) == (5, 0, 0, 0)


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


async def test_case_67_a_merge_moves_lots_holds_promises_and_debts() -> None:
    await members(1, 2)
    now = day(1, 10)
    other: dict[str, Any] = {**POINTS, "member_id": 2}
    await posted(
        grant(100, "a", now, expires_at=day(4, 1)),
        grant(50, "b", now, expires_at=day(3, 1), member_id=2),
        grant(7, "p", now, member_id=2, pending=Pending(activates_at=day(1, 20))),
        Hold(**other, amount=20, key="h", kind="test", occurred_at=now, expires_at=day(1, 11)),
        now=now,
    )
    for _ in range(2):
        async with db.unit_of_work():
            await move_everything(2, 1, key="merge:9", now=now)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
    assert (await seen(now), await seen(now, 2)) == ((130, 7, 20, 0), (0, 0, 0, 0))
    (taken,) = await posted(capture("h", now, 20), now=now)
    assert isinstance(taken, Posted)
    assert await queries.expiring(1, Asset.POINTS, after=now, until=day(12, 1)) == [(day(3, 1), 30), (day(4, 1), 100)]
    assert await seen(day(1, 20)) == (137, 0, 0, 0)


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
