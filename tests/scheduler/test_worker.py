"""The worker and its bells, with a Redis that goes away, stalls, is emptied and is written to by strangers."""

import asyncio
import os
import pickle
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from bot.http import PlatformHttp
from loyalty import bell, clock, config, db
from scheduler import worker as worker_module
from scheduler.duties import DUTIES
from scheduler.duty import Duty, Hands
from scheduler.worker import QUEUE, RemoteBell, Worker
from tests.scheduler.running import NO_REDIS, own_valkey, until, worker
from tests.scheduler.stage import Platform, outcome, person, queued

HOUR = timedelta(hours=1)


class Looked:
    """A duty that counts its looks."""

    def __init__(self, name: str = "outbox", every: timedelta = HOUR) -> None:
        self.times = 0
        self.fails = False
        self.duty = Duty(name, every, self._look)

    async def _look(self, _hands: Hands) -> bool:
        self.times += 1
        if self.fails:
            raise RuntimeError("fails")
        return False

    async def again(self, after: int, within_s: float = 3) -> bool:
        async def more() -> bool:
            return self.times > after

        return await until(more, within_s)


@asynccontextmanager
async def working(*duties: Duty, redis_url: str = NO_REDIS) -> AsyncIterator[Worker]:
    settings = config.load({"XIAOHUI_REDIS_URL": redis_url})
    http = PlatformHttp()
    ours = Worker(settings, {("telegram", "main"): Platform("telegram")}, sms=None, http=http, duties=duties)
    task = asyncio.create_task(ours.run())
    try:
        yield ours
    finally:
        await ours.stop()
        await asyncio.wait_for(task, timeout=10)
        await http.close()


async def _queue_up() -> bool:
    return REGISTRY.get_sample_value("queue_up") == 1


@asynccontextmanager
async def remote(redis_url: str) -> AsyncIterator[RemoteBell]:
    """The bell of another process: this process's own listeners are left out."""
    carrier = RemoteBell(redis_url)
    carrier.start()
    bell.unlisten(carrier._hear)
    try:
        yield carrier
    finally:
        bell.listen(carrier._hear)
        await carrier.close()


async def test_a_bell_of_this_process_wakes_its_duty_at_once() -> None:
    look = Looked()
    async with working(look.duty):
        assert await look.again(0)
        bell.sound({"outbox"})
        assert await look.again(1)
        bell.sound({"nobody"})


async def test_a_bell_inside_a_unit_of_work_sounds_with_its_commit_only(database: None) -> None:
    heard: list[frozenset[str]] = []
    bell.listen(heard.append)
    try:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the ring and what undoes it belong together
            async with db.unit_of_work():
                bell.ring("relay")
                1 / 0  # noqa: B018 - anything that rolls back
        assert heard == []
        async with db.unit_of_work():
            bell.ring("relay")
            assert heard == []
        assert heard == [frozenset({"relay"})]
    finally:
        bell.unlisten(heard.append)


async def test_a_bell_of_another_process_comes_through_redis() -> None:
    look = Looked()
    with own_valkey() as valkey:
        async with working(look.duty, redis_url=valkey.url), remote(valkey.url) as other:
            assert await until(_queue_up)
            assert await look.again(0)
            seen = look.times
            other._hear(frozenset({"outbox"}))
            started = time.monotonic()
            assert await look.again(seen)
            assert time.monotonic() - started < 1


async def test_bells_work_again_after_redis_was_emptied_killed_and_stalled() -> None:
    look = Looked()
    with own_valkey() as valkey:
        client = Redis.from_url(valkey.url)
        async with working(look.duty, redis_url=valkey.url), remote(valkey.url) as other:
            assert await until(_queue_up)

            async def rings() -> bool:
                seen = look.times
                other._hear(frozenset({"outbox"}))
                return await look.again(seen, 1)

            assert await until(rings, 5)
            await client.flushall()
            assert await until(rings, 5)
            os.kill(valkey.process.pid, signal.SIGSTOP)
            await asyncio.sleep(0.3)
            os.kill(valkey.process.pid, signal.SIGCONT)
            assert await until(rings, 15)
            valkey.stop()
            await asyncio.sleep(0.3)
            valkey.launch()
            await asyncio.to_thread(valkey.wait)
            assert await until(rings, 20)
        await client.aclose()


async def test_the_worker_ends_in_time_while_redis_does_not_answer() -> None:
    look = Looked()
    with own_valkey() as valkey:
        async with working(look.duty, redis_url=valkey.url):
            assert await until(_queue_up)
            os.kill(valkey.process.pid, signal.SIGSTOP)
            started = time.monotonic()
        assert time.monotonic() - started < 5
        os.kill(valkey.process.pid, signal.SIGCONT)


async def test_ringing_never_waits_for_redis() -> None:
    carrier = RemoteBell(NO_REDIS)
    carrier.start()
    started = time.monotonic()
    for _ in range(1000):
        bell.sound({"outbox", "relay"})
    assert time.monotonic() - started < 0.1
    await carrier.close()


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


async def test_a_pickle_in_the_queue_is_never_executed_and_harms_nothing(tmp_path: Path) -> None:
    look, trap = Looked(), tmp_path / "trap"
    pickled = pickle.dumps({"t": None, "f": "wake", "a": (Trap(trap),), "k": {}, "et": 0})
    with own_valkey() as valkey:
        client = Redis.from_url(valkey.url)
        async with working(look.duty, redis_url=valkey.url), remote(valkey.url) as other:
            assert await until(_queue_up)
            await client.set("arq:job:evil", pickled)
            await client.zadd(QUEUE, {"evil": 1})

            async def read() -> bool:
                return not await client.zcard(QUEUE)

            assert await until(read)
            seen = look.times
            other._hear(frozenset({"outbox"}))
            assert await look.again(seen)
        await client.aclose()
    assert not trap.exists()


async def test_jobs_of_strangers_harm_nothing() -> None:
    look = Looked()
    with own_valkey() as valkey:
        client = Redis.from_url(valkey.url)
        async with working(look.duty, redis_url=valkey.url), remote(valkey.url) as other:
            assert await until(_queue_up)
            for number, payload in enumerate([b"", b"null", b"[]", b'{"f": "nope"}', b"\xff"]):
                await client.set(f"arq:job:s{number}", payload)
                await client.zadd(QUEUE, {f"s{number}": 1})

            async def rings() -> bool:
                seen = look.times
                other._hear(frozenset({"outbox", "no such duty"}))
                return await look.again(seen, 1)

            assert await until(rings, 15)
        await client.aclose()


async def test_a_duty_that_fails_is_tried_again_soon_and_holds_up_nobody() -> None:
    broken, fine = Looked("relay"), Looked("outbox")
    broken.fails = True
    async with working(broken.duty, fine.duty):
        assert await broken.again(1, 5)
        broken.fails = False
        assert await broken.again(2, 5)
        assert fine.times == 1


async def test_moving_the_clock_wakes_everything() -> None:
    look = Looked()
    async with working(look.duty):
        assert await look.again(0)
        clock.shift(timedelta(days=1))
        try:
            assert await look.again(1)
        finally:
            clock.shift(timedelta())


async def test_without_redis_a_message_leaves_within_seconds(database: None, database_url: str, tmp_path: Path) -> None:
    key = await queued((await person("telegram")).member_id)

    async def gone() -> bool:
        return await outcome(key) == ("accepted", None)

    async with worker(database_url, tmp_path / "sent") as process:
        assert await until(gone, 10)
        assert await process.stop() == 0


def test_every_duty_has_its_own_name_and_the_bells_have_duties() -> None:
    names = [duty.name for duty in DUTIES]
    assert len(names) == len(set(names))
    assert set(bell.Duty.__args__) <= set(names)  # type: ignore[attr-defined]


def test_ringing_is_polled_often_enough() -> None:
    assert worker_module.POLL_DELAY_S <= 0.05
