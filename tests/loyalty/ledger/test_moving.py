"""Two members become one, and two again: every unit keeps its end, its hold, its promise and its debt."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.moving import forfeit, move_everything, return_everything
from loyalty.ledger.service import (
    Asset,
    Capture,
    Claw,
    Forgive,
    Hold,
    HoldUnknown,
    NothingToDo,
    Pending,
    Posted,
    Spend,
    Void,
)
from tests.loyalty.ledger.purse import POINTS, day, grant, hold, members, posted, seen, take_back

pytestmark = pytest.mark.usefixtures("database")

NOW = day(1, 10)
THEIRS: dict[str, Any] = {**POINTS, "member_id": 2}
NOTHING = (0, 0, 0, 0)


async def merged(now: datetime = NOW) -> None:
    """Member 2 becomes member 1, twice: the second time changes nothing."""
    for _ in range(2):
        async with db.unit_of_work():
            await move_everything(2, 1, key="merge:9:", now=now)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []


async def parted(now: datetime = NOW) -> int:
    async with db.unit_of_work():
        back = await return_everything(1, 2, moved_by="merge:9:", key="unmerge:9", now=now)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
    return back.get(Asset.POINTS, 0)


async def ends(member_id: int) -> list[tuple[datetime, int]]:
    return await queries.expiring(member_id, Asset.POINTS, after=NOW, until=day(12, 31))


async def case_67() -> None:
    """A has 100 until 31 March; B has 50 until 28 February, 20 of them held."""
    await members(1, 2)
    await posted(
        grant(100, "a", NOW, expires_at=day(4, 1)),
        grant(50, "b", NOW, expires_at=day(3, 1), member_id=2),
        Hold(**THEIRS, amount=20, key="h", kind="test", occurred_at=NOW, expires_at=day(1, 11)),
        now=NOW,
    )


async def test_case_67_lots_keep_their_end_and_the_hold_moves() -> None:
    await case_67()
    await merged()
    assert (await seen(NOW), await seen(NOW, 2)) == ((130, 0, 20, 0), NOTHING)
    assert await ends(1) == [(day(3, 1), 30), (day(4, 1), 100)]
    taken = Capture(**POINTS, hold_key="h", key="c", kind="spend", occurred_at=NOW)
    (outcome,) = await posted(taken, now=NOW)
    assert isinstance(outcome, Posted)
    assert outcome.amount == 20


async def test_case_67_unmerged_what_is_unspent_goes_back_and_what_was_spent_was_spent_soonest_first() -> None:
    await case_67()
    await merged()
    spent = Spend(**POINTS, amount=25, key="s", kind="spend", occurred_at=NOW)
    await posted(spent, now=NOW)
    assert await parted() == 5
    assert (await seen(NOW), await seen(NOW, 2)) == ((100, 0, 0, 0), (5, 0, 20, 0))
    assert await ends(2) == [(day(3, 1), 5)]
    given_up = Void(**THEIRS, hold_key="h", key="v", occurred_at=NOW)
    (outcome,) = await posted(given_up, now=NOW)
    assert isinstance(outcome, Posted)
    assert await ends(2) == [(day(3, 1), 25)]


async def test_case_67_unmerged_without_spending_everybody_has_what_they_had() -> None:
    await case_67()
    await merged()
    assert await parted() == 30
    assert (await seen(NOW), await seen(NOW, 2)) == ((100, 0, 0, 0), (30, 0, 20, 0))


async def test_a_hold_moves_with_the_very_units_that_it_pins() -> None:
    await members(1, 2)
    dies = NOW + timedelta(minutes=5)
    await posted(
        grant(100, "a", NOW, expires_at=NOW + timedelta(minutes=2)),
        grant(20, "b", NOW, expires_at=dies, member_id=2),
        Hold(**THEIRS, amount=20, key="h", kind="test", occurred_at=NOW, expires_at=day(1, 11)),
        now=NOW,
    )
    # Its units are past their end: only the hold keeps them, and neither sweep nor merge takes them from it.
    async with db.unit_of_work():
        await ledger.expire_due(now=dies, batch_max=10)
    await merged(dies)
    assert (await seen(dies), await seen(dies, 2)) == ((0, 0, 20, 0), NOTHING)
    (taken,) = await posted(
        Capture(**POINTS, hold_key="h", key="c", kind="spend", occurred_at=dies, amount=15), now=dies
    )
    assert isinstance(taken, Posted)
    assert await seen(dies) == NOTHING
    assert await db.fetch_value("SELECT sum(amount) FROM ledger_posting WHERE destination = 'expired'") == 105


async def test_two_holds_of_one_name_stay_two() -> None:
    await case_67()
    await posted(hold(30, "h", NOW), now=NOW)
    await merged()
    assert await seen(NOW) == (100, 0, 50, 0)
    own, unknown = await posted(
        Void(**POINTS, hold_key="h", key="v", occurred_at=NOW),
        Void(**THEIRS, hold_key="never", key="w", occurred_at=NOW),
        now=NOW,
    )
    assert isinstance(own, Posted)
    assert own.amount == 30
    assert isinstance(unknown, HoldUnknown)


async def test_promises_go_on_and_come_back() -> None:
    await members(1, 2)
    await posted(
        grant(7, "p", NOW, member_id=2, pending=Pending(activates_at=day(1, 20)), expires_at=day(6, 1)),
        grant(8, "q", NOW, member_id=2, pending=Pending(event="order.received", cancels_at=day(1, 25))),
        now=NOW,
    )
    await merged()
    assert (await seen(NOW), await seen(NOW, 2)) == ((0, 15, 0, 0), NOTHING)
    assert await seen(day(1, 20)) == (7, 8, 0, 0)
    await parted(day(1, 20))
    assert (await seen(day(1, 20)), await seen(day(1, 20), 2)) == (NOTHING, (7, 8, 0, 0))
    assert await ends(2) == [(day(6, 1), 7)]
    assert await seen(day(1, 25), 2) == (7, 0, 0, 0)


async def owing() -> None:
    """Member 2 owes 30."""
    await members(1, 2)
    await posted(
        grant(30, "b", NOW, member_id=2),
        Spend(**THEIRS, amount=30, key="s", kind="spend", occurred_at=NOW),
        now=NOW,
    )
    (outcome,) = await posted(take_back(30, "b", at=NOW, mode=Claw.ALLOW, cap=100, member_id=2), now=NOW)
    assert isinstance(outcome, Posted)
    assert outcome.balance == -30


async def test_a_debt_is_paid_by_whom_the_member_became_and_the_rest_goes_back() -> None:
    await owing()
    await posted(grant(20, "a", NOW), now=NOW)
    await merged()
    assert (await seen(NOW), await seen(NOW, 2)) == ((-10, 0, 0, 10), NOTHING)
    await parted()
    assert (await seen(NOW), await seen(NOW, 2)) == (NOTHING, (-10, 0, 0, 10))


async def test_a_debt_can_be_written_off_once() -> None:
    await owing()
    part = Forgive(**THEIRS, amount=10, key="f", occurred_at=NOW)
    first, again = await posted(part, part, now=NOW)
    assert isinstance(first, Posted)
    assert (first.delta, first.balance) == (10, -20)
    assert isinstance(again, Posted)
    assert again.replayed
    rest, nothing = await posted(
        Forgive(**THEIRS, key="g", occurred_at=NOW), Forgive(**THEIRS, key="h", occurred_at=NOW), now=NOW
    )
    assert isinstance(rest, Posted)
    assert rest.balance == 0
    assert isinstance(nothing, NothingToDo)


async def test_a_closed_account_has_and_owes_nothing() -> None:
    await owing()
    await posted(
        grant(50, "a", NOW),
        grant(9, "p", NOW, pending=Pending(activates_at=day(2, 1))),
        hold(20, "h", NOW),
        now=NOW,
    )
    async with db.unit_of_work():
        await forfeit([1, 2], kind="account_closed", now=NOW)
    assert (await seen(day(3, 1)), await seen(day(3, 1), 2)) == (NOTHING, NOTHING)
    assert [finding.broken async for finding in fsck.check_all() if finding.broken] == []
