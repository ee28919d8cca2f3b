"""Reviews by the worker: each date once, however many workers look, and dying in the middle costs nothing."""

from datetime import timedelta

import pytest

from loyalty import clock, db, failpoints
from loyalty.ladders.rules import Calendar, CalendarEnd, Measure
from scheduler.sweeps import tiers
from tests.loyalty import processes
from tests.loyalty.shop import publish_ladder
from tests.loyalty.tiers.scene import grow, ladder, member, on
from tests.scheduler.stage import hands

REVIEW = on("2026-01-01")


@pytest.fixture(autouse=True)
async def _year_end(database: None) -> None:
    rules = ladder(("silver", 500), measure=Measure(window=Calendar()), validity=CalendarEnd(further=1))
    await publish_ladder(rules, now=on("2023-01-01"))
    clock.shift(REVIEW + timedelta(minutes=5) - await db.now() + clock.offset())


async def lowered() -> int:
    count: int = await db.fetch_value("SELECT count(*) FROM event WHERE name = 'tier.lowered'")
    return count


async def test_the_sweep_reviews_whoever_is_due_and_then_nobody() -> None:
    for _ in range(3):
        await grow(await member(on("2024-01-01")), 500, on("2024-05-01"))
    assert await tiers.run(hands()) is False
    assert await tiers.run(hands()) is False
    assert await lowered() == 3
    assert await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'tier_lowered'") == 3


async def _sweep_often(offset_s: float) -> int:
    clock.shift(timedelta(seconds=offset_s))
    return sum([await tiers.run(hands()) for _ in range(5)])


async def test_several_workers_review_each_member_once(database_url: str) -> None:
    for _ in range(20):
        await grow(await member(on("2024-01-01")), 500, on("2024-05-01"))
    await processes.at_once(database_url, _sweep_often, [(clock.offset().total_seconds(),)] * 3)
    assert await lowered() == 20
    assert await db.fetch_value("SELECT count(*) FROM tier_interval WHERE ends_at IS NULL AND tier = 'basic'") == 20


async def test_a_batch_that_dies_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    await grow(await member(on("2024-01-01")), 500, on("2024-05-01"))

    async def die(_point: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(failpoints, "reach", die)
        with pytest.raises(RuntimeError):
            await tiers.run(hands())
    assert await lowered() == 0
    await tiers.run(hands())
    assert await lowered() == 1
