from collections.abc import Sequence
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest

from loyalty import db, events
from loyalty.events import MembersMerged
from loyalty.spine import relaying
from loyalty.spine import service as spine
from loyalty.spine.relaying import Recorded
from scheduler import relay as relay_module
from scheduler.relay import relay, waves
from scheduler.subscribers import SUBSCRIBERS
from tests.loyalty import people, processes
from tests.scheduler.stage import hands


def test_what_is_subscribed_is_queued_and_nothing_else() -> None:
    assert set(SUBSCRIBERS) == events.SUBSCRIBED
    assert events.EVENTS.keys() >= events.SUBSCRIBED


def _event(number: int, member_id: int | None) -> Recorded:
    return Recorded(number, member_id, "member.merged", 1, {}, datetime.fromisoformat("2026-11-21T00:00Z"), 0)


def test_waves_keep_the_order_of_each_member() -> None:
    given = [_event(1, 7), _event(2, 8), _event(3, 7), _event(4, None), _event(5, None), _event(6, 7)]
    assert [[event.id for event in wave] for wave in waves(given)] == [[1, 2, 4, 5], [3], [6]]


async def merged(member_id: int, source_id: int = 1, reason: str = "unionid") -> None:
    now = await db.now()
    async with db.unit_of_work():
        await spine.record(MembersMerged(member_id=member_id, at=now, source_id=source_id, reason=reason), now=now)


async def notices() -> int:
    return int(await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'member_merged'"))


async def pending() -> int:
    return int(await db.fetch_value("SELECT count(*) FROM event_pending"))


async def test_an_event_has_its_effect_once(database: None) -> None:
    member_id = await people.guest()
    await merged(member_id)
    for _ in range(3):
        await relay(hands())
    assert (await notices(), await pending()) == (1, 0)


async def _relay_all() -> int:
    rounds = 0
    while await relaying_left():
        await relay(hands())
        rounds += 1
    return rounds


async def relaying_left() -> bool:
    return bool(await pending())


async def test_several_processes_relay_everything_once(database: None, database_url: str) -> None:
    members = [await people.guest() for _ in range(40)]
    for member_id in members * 3:
        await merged(member_id)
    await processes.at_once(database_url, _relay_all, [()] * 3)
    assert (await notices(), await pending()) == (120, 0)


class Poisoned(Exception):
    pass


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Members whose merges break the subscriber."""
    victims: set[int] = set()

    async def subscriber(given: Sequence[Recorded], now: datetime) -> None:
        if any(event.member_id in victims for event in given):
            raise Poisoned("cannot")

    table = MappingProxyType({**SUBSCRIBERS, "member.merged": (*SUBSCRIBERS["member.merged"], subscriber)})
    monkeypatch.setattr(relay_module, "SUBSCRIBERS", table)
    return victims


async def test_a_poison_event_waits_alone_and_ends_dead_with_its_reason(database: None, poison: set[int]) -> None:
    bad, good = await people.guest(), await people.guest()
    poison.add(bad)
    await merged(bad)
    await merged(good)
    await merged(bad)
    await relay(hands())
    assert (await notices(), await pending()) == (1, 2)
    for _ in range(relaying.TRIES_MAX):
        await db.execute("UPDATE event_pending SET due_at = due_at - interval '1 day'")
        await relay(hands())
    rows = await db.fetch("SELECT dead_reason, attempts FROM event_pending ORDER BY event_id")
    assert "Poisoned: cannot" in rows[0]["dead_reason"]


async def test_what_follows_a_failed_event_of_a_member_waits_behind_it(database: None, poison: set[int]) -> None:
    bad = await people.guest()
    poison.add(bad)
    await merged(bad, 1)
    await merged(bad, 2)
    await relay(hands())
    attempts = [row["attempts"] for row in await db.fetch("SELECT attempts FROM event_pending ORDER BY event_id")]
    assert attempts == [1, 0]
    poison.clear()
    await relay(hands())
    assert await pending() == 2
    await db.execute("UPDATE event_pending SET due_at = due_at - interval '1 hour'")
    await relay(hands())
    assert (await notices(), await pending()) == (2, 0)


async def test_a_dead_event_can_be_revived(database: None, poison: set[int]) -> None:
    bad = await people.guest()
    poison.add(bad)
    await merged(bad)
    for _ in range(relaying.TRIES_MAX):
        await db.execute("UPDATE event_pending SET due_at = due_at - interval '1 day'")
        await relay(hands())
    poison.clear()
    ids = [row["event_id"] for row in await db.fetch("SELECT event_id FROM event_pending")]
    async with db.unit_of_work():
        assert await relaying.revive(ids, now=await db.now() - timedelta(seconds=1)) == 1
    await relay(hands())
    assert (await notices(), await pending()) == (1, 0)
