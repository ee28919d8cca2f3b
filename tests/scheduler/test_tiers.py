"""Reviews by the worker: each date once, however many workers look, and dying in the middle costs nothing."""

from datetime import timedelta

import pytest

from loyalty import clock, db, failpoints
from loyalty.ladder_moves import service as moves
from loyalty.ladders import service as ladders
from loyalty.ladders.rules import Calendar, CalendarEnd, Measure
from scheduler.sweeps import ladder_moves, tiers
from tests.loyalty import processes
from tests.loyalty.shop import ADMIN, publish_ladder
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


async def test_a_publication_goes_on_in_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "AT_ONCE", 1)
    who = [await member(on("2024-01-01")) for _ in range(3)]
    for one in who:
        await grow(one, 300, on("2025-05-01"))
    steps: tuple[tuple[str, int], ...] = (("bronze", 200), ("silver", 500))
    rules = ladder(*steps, measure=Measure(window=Calendar()), validity=CalendarEnd(further=1))
    named = {"names": {"zh-CN": "级", "en": "step"}}
    whole = rules.model_copy(update={**named, "steps": tuple(step.model_copy(update=named) for step in rules.steps)})
    now = on("2025-06-01")
    async with db.unit_of_work():
        draft = await ladders.draft(whole, principal=ADMIN, now=now)
        await moves.publish("main", draft.version, "at_review", principal=ADMIN, now=now)
    clock.shift(now + timedelta(minutes=1) - await db.now() + clock.offset())
    assert await ladder_moves.run(hands()) is False
    assert await db.fetch_value("SELECT count(*) FROM tier_interval WHERE tier = 'bronze'") == 3
    assert await db.fetch_value("SELECT status FROM ladder_move") == "done"
