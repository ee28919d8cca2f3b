"""Sweeps of the ledger: they book what is decided already, and look whether the books are right."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from loyalty import clock, db
from loyalty.ledger import queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Hold, Pending
from scheduler.sweeps import ledger_check, points_settling
from tests.scheduler.stage import hands, person

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def _noon(database: None) -> None:
    clock.shift(NOON - await db.now() + clock.offset())


async def waiting() -> int:
    """A member with points that become usable in an hour, others that wait for an event as long, and a hold."""
    member_id = (await person("telegram")).member_id
    points: dict[str, Any] = {"member_id": member_id, "asset": Asset.POINTS, "kind": "test", "occurred_at": NOON}
    async with db.unit_of_work():
        await ledger.post(
            [
                Grant(**points, amount=30, key="soon", pending=Pending(activates_at=NOON + HOUR)),
                Grant(**points, amount=7, key="event", pending=Pending(event="received", cancels_at=NOON + HOUR)),
                Grant(**points, amount=10, key="now"),
                Hold(**points, amount=4, key="hold", expires_at=NOON + HOUR),
            ],
            now=NOON,
        )
    return member_id


async def told() -> list[tuple[str, int]]:
    rows = await db.fetch(
        "SELECT name, (data->>'points')::int AS points FROM event WHERE name LIKE 'points.%' ORDER BY id"
    )
    return [(row["name"], row["points"]) for row in rows]


async def test_what_time_decides_is_booked_once_each_with_its_event() -> None:
    member_id = await waiting()
    assert await points_settling.run(hands()) is False
    assert await told() == []
    clock.shift(clock.offset() + 2 * HOUR)
    for _ in range(2):
        assert await points_settling.run(hands()) is False
    assert await told() == [("points.activated", 30), ("points.hold_expired", 4), ("points.lapsed", 7)]
    balance = (await queries.balances([member_id], at=await db.now()))[member_id].of(Asset.POINTS)
    assert (balance.available, balance.pending, balance.held) == (40, 0, 0)
    stored = await db.fetch_one("SELECT available, pending, held FROM ledger_balance WHERE asset = 'points'")
    assert stored is not None
    assert tuple(stored.values()) == (40, 0, 0)


async def test_whoever_comes_first_tells_of_it() -> None:
    member_id = await waiting()
    clock.shift(clock.offset() + 2 * HOUR)
    now = await db.now()
    async with db.unit_of_work():
        spent = ledger.Spend(member_id=member_id, asset=Asset.POINTS, amount=40, key="s", kind="test", occurred_at=now)
        await ledger.post_one(spent, now=now)
    assert len(await told()) == 3
    await points_settling.run(hands())
    assert len(await told()) == 3


async def test_a_broken_book_is_counted_and_named_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    await waiting()
    await ledger_check.run(hands())
    name = "ledger_invariant_failures_total"
    before = REGISTRY.get_sample_value(name, {"invariant": "balance_equals_postings"}) or 0
    await db.execute("UPDATE ledger_balance SET available = available + 1 WHERE asset = 'points'")
    await ledger_check.run(hands())
    assert REGISTRY.get_sample_value(name, {"invariant": "balance_equals_postings"}) == before + 1
    assert "balance_equals_postings" in capsys.readouterr().out
