"""Units that end when nothing has happened for so many months."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from loyalty import db
from loyalty.expiry import Inactivity, ends_at
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Expire, Grant, Idle, NothingToDo, Reverse, Spend, Transfer
from tests.loyalty.ledger.purse import POINTS, SHANGHAI, capture, day, grant, hold, members, posted, seen

pytestmark = pytest.mark.usefixtures("database")

INSTANT = timedelta(microseconds=1)


def idle(amount: int, key: str, at: datetime, *on: str, months: int = 12, **more: object) -> Grant:
    """Units that end after so many months without one of these activities."""
    rule = Inactivity(months=months, activities=on)
    expires_at = ends_at(rule, at, SHANGHAI)
    return grant(amount, key, at, expires_at=expires_at, idle=Idle(months=months, activities=frozenset(on)), **more)


def spend(amount: int, key: str, at: datetime, kind: str = "spend") -> Spend:
    return Spend(**POINTS, amount=amount, key=key, kind=kind, occurred_at=at)


async def ends(member_id: int = 1) -> Sequence[tuple[datetime, int]]:
    return await queries.expiring(member_id, Asset.POINTS, after=day(1, 1), until=day(12, 31, year=2029))


@pytest.mark.parametrize(
    ("counting", "over"),
    [(("earn",), day(3, 1, year=2027)), (("earn", "spend"), day(8, 1, year=2027))],
)
async def test_case_21_inactivity_counts_from_the_last_activity_that_counts(
    counting: tuple[str, ...], over: datetime
) -> None:
    await members()
    await posted(idle(100, "e", day(3, 1), *counting), now=day(3, 1))
    await posted(spend(10, "s", day(8, 1)), now=day(8, 1))
    assert await seen(over - INSTANT) == (90, 0, 0, 0)
    assert await seen(over) == (0, 0, 0, 0)


async def test_inactivity_never_wakes_what_is_over() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "earn", months=1), now=day(1, 1))
    await posted(idle(5, "b", day(2, 1), "earn", months=1), now=day(2, 1))
    assert await seen(day(2, 1)) == (5, 0, 0, 0)


async def test_earning_under_another_rule_is_an_activity_too() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "earn"), now=day(1, 1))
    await posted(grant(7, "forever", day(6, 1)), now=day(6, 1))
    assert await ends() == [(day(6, 1, year=2027), 100)]


async def test_a_rule_may_count_one_kind_of_movement_alone() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "purchase"), now=day(1, 1))
    await posted(grant(5, "checked in", day(5, 1), kind="check_in"), spend(1, "s", day(5, 1)), now=day(5, 1))
    assert await ends() == [(day(1, 1, year=2027), 99)]
    await posted(grant(5, "bought", day(6, 1), kind="purchase"), now=day(6, 1))
    assert await ends() == [(day(6, 1, year=2027), 99)]


async def test_points_that_come_back_live_as_long_as_if_they_had_been_there() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "earn", "spend"), now=day(1, 1))
    await posted(spend(100, "s", day(6, 1)), now=day(6, 1))
    await posted(idle(1, "b", day(8, 1), "earn", "spend"), now=day(8, 1))
    # The lot was empty when the end of the others moved; its units return after its old end.
    back = Reverse(**POINTS, key="r", reverses_key="s", kind="refund", occurred_at=day(2, 1, year=2027))
    await posted(back, now=day(2, 1, year=2027))
    assert await ends() == [(day(8, 1, year=2027), 101)]


async def test_points_whose_owner_rested_too_long_come_back_dead() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "spend"), now=day(1, 1))
    await posted(spend(100, "s", day(6, 1)), now=day(6, 1))
    await posted(grant(1, "n", day(6, 1, year=2027)), now=day(6, 1, year=2027))
    await posted(spend(1, "t", day(6, 2, year=2027)), now=day(6, 2, year=2027))
    back = Reverse(**POINTS, key="r", reverses_key="s", kind="refund", occurred_at=day(6, 3, year=2027))
    await posted(back, now=day(6, 3, year=2027))
    assert await seen(day(6, 3, year=2027)) == (0, 0, 0, 0)


async def test_what_a_hold_gives_back_was_kept_alive_meanwhile() -> None:
    await members()
    now = day(12, 31, hour=12)
    await posted(idle(100, "a", day(1, 1), "earn"), now=day(1, 1))
    await posted(hold(100, "h", now, minutes=24 * 60), now=now)
    await posted(grant(1, "n", now), now=now)
    await posted(capture("h", day(1, 1, hour=1, year=2027), 60), now=day(1, 1, hour=1, year=2027))
    assert await ends() == [(day(12, 31, year=2027), 40)]


async def test_what_is_handed_over_lives_no_longer_for_it() -> None:
    await members(1, 2)
    await posted(idle(100, "a", day(1, 1), "earn", "spend"), now=day(1, 1))
    await posted(Transfer(**POINTS, to_member_id=2, amount=60, key="t", occurred_at=day(6, 1)), now=day(6, 1))
    assert await ends() == [(day(1, 1, year=2027), 40)]
    assert await ends(2) == [(day(1, 1, year=2027), 60)]
    # It goes on under its rule: what the new owner does counts.
    await posted(grant(1, "n", day(7, 1), member_id=2), now=day(7, 1))
    assert await ends(2) == [(day(7, 1, year=2027), 60)]


async def test_a_sweep_that_an_activity_overtook_leaves_the_lot_alone() -> None:
    await members()
    await posted(idle(100, "a", day(1, 1), "earn"), now=day(1, 1))
    lot_id = await db.fetch_value("SELECT id FROM ledger_lot")
    over = day(1, 1, year=2027)
    # Seen by the sweep just as its time was over, moved by an activity of the instant before.
    await posted(grant(1, "n", over - INSTANT), now=over - INSTANT)
    async with db.unit_of_work():
        late = Expire(**POINTS, lot_id=lot_id, occurred_at=over)
        (outcome,) = await ledger.post([late], now=over)
    assert isinstance(outcome, NothingToDo)
    assert await seen(over) == (101, 0, 0, 0)
