"""Checking in: once per business day whatever happens at once, paid in the same commit, told by an event."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.check_ins import queries
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import AlreadyCheckedIn, CheckedInView, CheckInOutcome
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import CheckInTerms, GrowthTerms, StreakBonus, Terms
from tests.loyalty.people import NOW, guest, registered
from tests.loyalty.processes import at_once, side_by_side

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)


async def check_in(*member_ids: int, now: datetime = NOW) -> list[CheckInOutcome]:
    async with db.unit_of_work():
        return await check_ins.check_in_many(member_ids, now=now)


async def came(member_id: int, *, now: datetime = NOW) -> CheckedInView:
    (outcome,) = await check_in(member_id, now=now)
    assert isinstance(outcome, CheckedInView)
    return outcome


async def points(member_id: int, *, now: datetime = NOW) -> int:
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    return (await ledger.balances([member_id], at=now))[member_id].points


async def publish(**terms: Any) -> None:
    async with db.unit_of_work():
        await publishing.publish(Terms(**terms), by="test", effective_from=NOW - 400 * DAY, now=NOW)
    program.forget()


async def test_a_check_in_counts_pays_and_is_told() -> None:
    member_id = await registered()
    view = await came(member_id)
    assert (view.streak, view.points, view.bonus, view.balance) == (1, 5, 0, 5)
    assert (view.next_bonus_days, view.next_bonus_points) == (6, 20)
    assert await points(member_id) == 5
    events = await db.fetch("SELECT data FROM event WHERE name = 'member.checked_in' AND member_id = $1", member_id)
    assert len(events) == 1
    assert '"streak": 1' in events[0]["data"]


async def test_the_second_time_today_is_refused_with_the_day_to_come_back() -> None:
    member_id = await registered()
    await came(member_id, now=NOW - DAY)
    await came(member_id)
    async with db.unit_of_work():
        with pytest.raises(AlreadyCheckedIn) as refused:
            await check_ins.check_in(member_id, now=NOW + timedelta(hours=1))
    assert refused.value.params["day"] == date(2026, 11, 21)
    assert refused.value.params["next_day"] == date(2026, 11, 22)
    assert refused.value.params["streak"] == 2
    assert await points(member_id) == 10


async def test_a_week_without_a_gap_brings_the_bonus_and_a_gap_starts_again() -> None:
    member_id = await registered()
    views = [await came(member_id, now=NOW + number * DAY) for number in range(7)]
    assert [view.streak for view in views] == [1, 2, 3, 4, 5, 6, 7]
    assert views[-1].points == 25
    assert views[-1].bonus == 20
    assert views[-1].balance == 6 * 5 + 25
    again = await came(member_id, now=NOW + 8 * DAY)
    assert (again.streak, again.points) == (1, 5)


async def test_the_day_is_the_programmes_not_the_clocks() -> None:
    member_id = await registered()
    # 15:59 UTC is 23:59 in Shanghai, one minute later it is the next day there.
    late = datetime(2026, 11, 21, 15, 59, tzinfo=UTC)
    first, second = await came(member_id, now=late), await came(member_id, now=late + timedelta(minutes=1))
    assert second.day - first.day == DAY
    assert second.streak == 2


async def test_a_batch_answers_in_order_and_a_member_twice_in_it_counts_once() -> None:
    one, two = await registered(), await guest()
    await came(two, now=NOW - DAY)
    outcomes = await check_in(two, one, two, one)
    assert [type(outcome) for outcome in outcomes] == [CheckedInView, CheckedInView, AlreadyCheckedIn, AlreadyCheckedIn]
    assert isinstance(outcomes[0], CheckedInView)
    assert outcomes[0].streak == 2
    assert await points(one) == 5
    assert await points(two) == 10


async def test_an_empty_batch_costs_nothing() -> None:
    assert await check_in() == []


async def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    await came(await guest())  # reads the terms, which the process then knows for a second
    for size in (2, 20):
        members = [await guest() for _ in range(size)]
        asked = 0
        genuine_fetch, genuine_execute = db.fetch, db.execute

        async def fetch(sql: str, *args: object, call: Any = genuine_fetch) -> Any:
            nonlocal asked
            asked += 1
            return await call(sql, *args)

        async def execute(sql: str, *args: object, call: Any = genuine_execute) -> Any:
            nonlocal asked
            asked += 1
            return await call(sql, *args)

        with monkeypatch.context() as patch:
            patch.setattr(db, "fetch", fetch)
            patch.setattr(db, "execute", execute)
            await check_in(*members)
        counts.append(asked)
    assert counts[0] == counts[1]


async def test_fifty_taps_at_once_count_once() -> None:
    member_id = await registered()
    outcomes = await side_by_side([check_in(member_id) for _ in range(50)])
    assert sum(isinstance(outcome, CheckedInView) for (outcome,) in outcomes) == 1
    assert await points(member_id) == 5


async def _taps(member_ids: list[int]) -> int:
    outcomes = await asyncio.gather(*(check_in(*member_ids[::step]) for step in (1, -1)))
    return sum(isinstance(outcome, CheckedInView) for batch in outcomes for outcome in batch)


async def test_batches_of_several_processes_in_opposite_order_neither_double_nor_deadlock(database_url: str) -> None:
    members = [await guest() for _ in range(12)]
    won = await at_once(database_url, _taps, [(members,), (members[::-1],), (members,)])
    assert sum(won) == 12
    assert await db.fetch_value("SELECT count(*) FROM check_in") == 12
    assert await points(members[0]) == 5


async def test_a_rollback_takes_back_the_day_and_the_points() -> None:
    member_id = await registered()
    with pytest.raises(ZeroDivisionError):
        await _fail_after(member_id)
    assert await points(member_id) == 0
    assert (await came(member_id)).streak == 1


async def _fail_after(member_id: int) -> None:
    async with db.unit_of_work():
        await check_ins.check_in(member_id, now=NOW)
        raise ZeroDivisionError


async def test_a_programme_without_points_still_counts_days() -> None:
    terms = CheckInTerms(points=0, bonuses=(StreakBonus(days=2, points=7),))
    await publish(check_in=terms, growth=GrowthTerms(per_check_in=0))
    member_id = await registered()
    assert (await came(member_id)).balance == 0
    assert (await came(member_id, now=NOW + DAY)).balance == 7


async def test_growth_by_check_in_raises_the_tier_at_once() -> None:
    await publish(growth=GrowthTerms(per_check_in=500))
    member_id = await registered()
    await came(member_id)
    assert await db.fetch_value(
        "SELECT tier FROM tier_interval WHERE member_id = $1 AND ends_at IS NULL", member_id
    ) == ("silver")


async def test_the_calendar_shows_a_streak_until_a_day_is_missed() -> None:
    member_id = await registered()
    for number in (0, 1, 2):
        await came(member_id, now=NOW + number * DAY)
    today = await queries.calendar(member_id, at=NOW + 2 * DAY)
    assert (today.streak, today.done_today, [day.streak for day in today.days]) == (3, True, [3, 2, 1])
    tomorrow = await queries.calendar(member_id, at=NOW + 3 * DAY)
    assert (tomorrow.streak, tomorrow.done_today) == (3, False)
    missed = await queries.calendar(member_id, at=NOW + 4 * DAY)
    assert (missed.streak, len(missed.days)) == (0, 3)
    assert (await queries.calendar(member_id, at=NOW + 3 * DAY, days=2)).days == tomorrow.days[:1]
    assert (await queries.calendar(await guest(), at=NOW)).streak == 0
