"""kill -9 of a real worker at every step: nothing lost, nothing doubled, nothing sent again silently."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from loyalty import clock, db
from loyalty.events import MembersMerged
from loyalty.ledger import queries as ledger
from loyalty.members import service as members
from loyalty.program import queries as program
from loyalty.spine import service as spine
from tests.loyalty.people import give_points
from tests.scheduler.running import reached, until, worker
from tests.scheduler.stage import outcome, person, queued

KILLED = -9
LEASES_OVER_S = 60


async def _is(key: str, status: str) -> bool:
    return (await outcome(key))[0] == status


@pytest.mark.parametrize(
    ("point", "first_reached", "status", "finally_reached"),
    [
        pytest.param("outbound.claimed", 0, "accepted", 1, marks=pytest.mark.deep),
        ("outbound.begun", 0, "unknown", 0),
        ("outbound.sent", 1, "unknown", 1),
    ],
)
async def test_a_sender_killed_at(
    database: None, database_url: str, tmp_path: Path, point: str, first_reached: int, status: str, finally_reached: int
) -> None:
    sent = tmp_path / "sent"
    key = await queued((await person("telegram")).member_id)
    async with worker(database_url, sent, failpoints=f"{point}=kill") as dying:
        assert await dying.ended() == KILLED
    assert len(reached(sent)) == first_reached
    async with worker(database_url, sent, ahead_s=LEASES_OVER_S) as heir:
        assert await until(lambda: _is(key, status))
        assert await heir.stop() == 0
    assert len(reached(sent)) == finally_reached
    assert await outcome(key) == (status, None if status == "accepted" else "lease_lost")


@pytest.mark.parametrize("point", ["relay.handled", pytest.param("relay.committed", marks=pytest.mark.deep)])
async def test_a_relay_killed_at(database: None, database_url: str, tmp_path: Path, point: str) -> None:
    sent = tmp_path / "sent"
    who, now = await person("telegram"), await db.now()
    async with db.unit_of_work():
        await spine.record(MembersMerged(member_id=who.member_id, at=now, source_id=1, reason="unionid"), now=now)
    async with worker(database_url, sent, failpoints=f"{point}=kill") as dying:
        assert await dying.ended() == KILLED
    async with worker(database_url, sent, ahead_s=LEASES_OVER_S):
        assert await until(lambda: _all_accepted(1))
    assert len(reached(sent)) == 1
    assert await db.fetch_value("SELECT count(*) FROM event_pending") == 0


async def _all_accepted(number: int) -> bool:
    rows = await db.fetch("SELECT status FROM outbox")
    return [row["status"] for row in rows] == ["accepted"] * number


@pytest.mark.parametrize("point", ["journeys.moved", pytest.param("journeys.committed", marks=pytest.mark.deep)])
async def test_a_birthday_killed_at(database: None, database_url: str, tmp_path: Path, point: str) -> None:
    sent, today = tmp_path / "sent", await _at_eleven()
    who = await person("telegram")
    async with db.unit_of_work():
        await members.register(
            who.member_id, phone=None, birthday=today.replace(year=1990), channel="telegram", now=await db.now()
        )
    ahead_s = clock.offset().total_seconds()
    async with worker(database_url, sent, failpoints=f"{point}=kill", ahead_s=ahead_s) as dying:
        assert await dying.ended() == KILLED
    async with worker(database_url, sent, ahead_s=ahead_s + LEASES_OVER_S):
        assert await until(lambda: _all_accepted(1))
    balances = await ledger.balances([who.member_id], at=await db.now())
    assert balances[who.member_id].points == 88
    assert len(reached(sent)) == 1


async def test_a_sweep_killed_in_the_middle(database: None, database_url: str, tmp_path: Path) -> None:
    today = await _at_eleven()
    zone = (await program.in_force(await db.now())).terms.calendar
    ends = clock.start_of(today + timedelta(days=8), zone)
    people = [await person("telegram") for _ in range(5)]
    for who in people:
        await give_points(who.member_id, 10, expires_at=ends, now=await db.now())
    sent, ahead_s = tmp_path / "sent", clock.offset().total_seconds()
    async with worker(database_url, sent, failpoints="sweep.batch=kill", ahead_s=ahead_s) as dying:
        assert await dying.ended() == KILLED
    async with worker(database_url, sent, ahead_s=ahead_s + LEASES_OVER_S):
        assert await until(lambda: _all_accepted(5))
    assert len(set(reached(sent))) == len(reached(sent)) == 5


async def test_two_workers_share_the_work(database: None, database_url: str, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    keys = [await queued((await person("telegram")).member_id) for _ in range(60)]
    async with worker(database_url, sent), worker(database_url, sent):
        assert await until(lambda: _all_accepted(60))
    assert len(reached(sent)) == len(set(reached(sent))) == len(keys)


async def _at_eleven() -> date:
    """Move the clock to eleven in the morning of the programme's day: greetings are due, nothing is quiet."""
    now = await db.now()
    zone = (await program.in_force(now)).terms.calendar
    today = clock.business_day(now, zone)
    clock.shift(clock.offset() + clock.start_of(today, zone) + timedelta(hours=11) - now)
    return today
