"""Units that wait: pending until a day or an event, reserved by holds; and what a claw-back may reach."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.expiry import Rolling, ends_at
from loyalty.ledger import service as ledger
from loyalty.ledger.service import (
    Activate,
    AlreadyPosted,
    CancelPending,
    CaptureTooLarge,
    HoldOver,
    HoldUnknown,
    NotEnough,
    NothingPending,
    Pending,
    Posted,
    Reverse,
    Spend,
    TakeBack,
)
from tests.loyalty.ledger.purse import (
    POINTS,
    SHANGHAI,
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


@pytest.mark.parametrize("is_swept", [True, False])
async def test_case_24_without_its_event_it_is_cancelled_and_was_never_active(*, is_swept: bool) -> None:
    await members()
    waits = Pending(event="order.received", cancels_at=day(12, 1))
    await posted(grant(100, "order", day(11, 1), pending=waits), now=day(11, 1))
    assert await seen(day(11, 30)) == (0, 100, 0, 0)
    assert await seen(day(12, 1)) == (0, 0, 0, 0)
    if is_swept:
        async with db.unit_of_work():
            assert await ledger.settle_due(now=day(12, 1), batch_max=10) == 1
    activate = Activate(**POINTS, grant_key="order", key="a", occurred_at=day(11, 30))
    (late,) = await posted(activate, now=day(12, 2))
    assert isinstance(late, NothingPending)
    assert await db.fetch_value("SELECT count(*) FROM ledger_entry WHERE delta <> 0") == 0
    assert await db.fetch_value("SELECT state FROM ledger_lot") == "cancelled"
    (told,) = await db.fetch("SELECT name, data, at FROM event")
    assert (told["name"], told["at"]) == ("points.lapsed", day(12, 1))


@pytest.mark.parametrize("is_swept", [True, False])
async def test_what_never_became_usable_is_not_taken_back_from_other_points(*, is_swept: bool) -> None:
    await members()
    waits = Pending(event="order.received", cancels_at=day(12, 1))
    await posted(grant(100, "order", day(11, 1), pending=waits), grant(50, "other", day(11, 1)), now=day(11, 1))
    if is_swept:
        async with db.unit_of_work():
            await ledger.settle_due(now=day(12, 1), batch_max=10)
    for key, amount in (("r1", 60), ("r2", 40)):
        back = TakeBack(**POINTS, amount=amount, key=key, kind="refund", occurred_at=day(12, 5), reverses=("order",))
        (outcome,) = await posted(back, now=day(12, 5))
        assert isinstance(outcome, Posted)
        assert (outcome.amount, outcome.delta, outcome.forgiven) == (0, 0, 0)
    assert await seen(day(12, 5)) == (50, 0, 0, 0)


@pytest.mark.parametrize("is_swept", [True, False])
async def test_what_expired_unused_is_not_taken_back_a_second_time(*, is_swept: bool) -> None:
    await members()
    await posted(
        grant(100, "order", day(1, 1), expires_at=day(2, 1)),
        Spend(**POINTS, amount=60, key="s", kind="spend", occurred_at=day(1, 2)),
        grant(80, "other", day(1, 3)),
        now=day(1, 3),
    )
    if is_swept:
        async with db.unit_of_work():
            await ledger.expire_due(now=day(2, 1), batch_max=10)
    (outcome,) = await posted(take_back(100, "order", at=day(2, 10)), now=day(2, 10))
    assert isinstance(outcome, Posted)
    # 40 died in the member's hands; the 60 that they used are taken from what else they have.
    assert (outcome.amount, outcome.delta, outcome.forgiven) == (60, -60, 0)
    assert await seen(day(2, 10)) == (20, 0, 0, 0)


async def test_an_event_may_begin_a_return_window() -> None:
    await members()
    # Paid 1 Nov, received 5 Nov, T+7: the receipt is the event, and it names the day.
    rule = Rolling(months=12).model_dump(mode="json")
    waits = Pending(event="order.received", cancels_at=day(12, 1), expiry=rule)
    await posted(grant(100, "order", day(11, 1), pending=waits), now=day(11, 1))
    received = Activate(**POINTS, grant_key="order", key="r", occurred_at=day(11, 5), activates_at=day(11, 12))
    first, again = await posted(received, received, now=day(11, 5))
    assert isinstance(first, Posted)
    assert (first.amount, first.delta, first.pending_delta) == (100, 0, 0)
    assert isinstance(again, Posted)
    assert again.replayed
    assert await seen(day(11, 12) - timedelta(microseconds=1)) == (0, 100, 0, 0)
    assert await seen(day(11, 12)) == (100, 0, 0, 0)
    # The event came, so its deadline counts no more; twelve months run from 12 November.
    assert await seen(day(11, 30, year=2027)) == (100, 0, 0, 0)
    assert await seen(day(12, 1, year=2027)) == (0, 0, 0, 0)


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
