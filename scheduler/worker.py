"""The worker process: duties on their own timers, woken early by ARQ. The only file that knows the queue.

Every duty looks at rows, so nothing depends on Redis: a bell that is lost costs the time until the duty's
next look. ARQ's own worker ends when Redis goes away; it is supervised here and started again, while the
timers keep everything going.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import orjson
import structlog
from arq import create_pool, func
from arq.connections import ArqRedis, RedisSettings
from arq.worker import Worker as ArqWorker
from prometheus_client import Counter, Gauge

from bot.accounts import SmsAccount
from bot.channel import Channel
from bot.http import PlatformHttp
from bot.outbound import Outbound
from bot.sms.provider import HttpSms
from handlers.messages import ChannelName
from loyalty import bell, failpoints
from loyalty.config import Settings
from scheduler.duties import DUTIES
from scheduler.duty import Duty, Hands

QUEUE: Final = "xiaohui:bells"
POLL_DELAY_S: Final = 0.05
RECONNECT_MAX_S: Final = 5.0
FAILED_PAUSE_S: Final = 1.0
STOP_WITHIN_S: Final = 25.0

log = structlog.get_logger("worker")
RUNS: Final = Counter("job_attempts_total", "Runs of duties by outcome", ["job", "outcome"])
QUEUE_UP: Final = Gauge("queue_up", "1 while the bell queue is connected")


def _settings(redis_url: str) -> RedisSettings:
    settings = RedisSettings.from_dsn(redis_url)
    settings.conn_retries = 0
    settings.conn_timeout = 2
    return settings


async def wake(ctx: dict[str, Any], duty: str, **_later: object) -> None:
    """The only job: ring `duty` in this process."""
    event = ctx["bells"].get(duty)
    if event is not None:
        event.set()


class Worker:
    """Runs every duty until stopped."""

    def __init__(
        self,
        settings: Settings,
        channels: Mapping[tuple[ChannelName, str], Channel],
        *,
        sms: SmsAccount | None,
        http: PlatformHttp,
        duties: Sequence[Duty] = DUTIES,
    ) -> None:
        failpoints.arm(failpoints.parse(settings.failpoints))
        self._redis_url = settings.redis_url
        self._hands = Hands(Outbound(channels, sms=HttpSms(sms, http) if sms else None), channels)
        self._duties = duties
        self._bells = {duty.name: asyncio.Event() for duty in duties}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; then finish the batches under way."""
        bell.listen(self._hear)
        tending = [asyncio.create_task(self._tend(duty), name=duty.name) for duty in self._duties]
        listening = asyncio.create_task(self._listen())
        try:
            await self._stopping.wait()
            await asyncio.wait(tending, timeout=STOP_WITHIN_S)
        finally:
            bell.unlisten(self._hear)
            for task in (listening, *tending):
                task.cancel()
            await asyncio.wait({listening, *tending})

    async def stop(self) -> None:
        """Take nothing new; `run` returns when what is under way is done."""
        self._stopping.set()
        for event in self._bells.values():
            event.set()

    def _hear(self, rung: frozenset[str]) -> None:
        for name in rung:
            if name in self._bells:
                self._bells[name].set()

    async def _tend(self, duty: Duty) -> None:
        event = self._bells[duty.name]
        while not self._stopping.is_set():
            event.clear()
            more = await self._once(duty)
            if more or self._stopping.is_set():
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), timeout=duty.every.total_seconds())

    async def _once(self, duty: Duty) -> bool:
        try:
            more = await duty.run(self._hands)
        except Exception:
            RUNS.labels(duty.name, "failed").inc()
            log.exception("duty_failed", duty=duty.name)
            await asyncio.sleep(FAILED_PAUSE_S)
            return False
        RUNS.labels(duty.name, "done").inc()
        return more

    async def _listen(self) -> None:
        """Hear bells of other processes through ARQ, for as long as there is a Redis to hear them from."""
        if self._redis_url is None:
            return
        pause = POLL_DELAY_S
        while True:
            queue: ArqWorker | None = None
            try:
                pool = await create_pool(_settings(self._redis_url), default_queue_name=QUEUE)
                queue = _arq_worker(pool, self._bells)
                QUEUE_UP.set(1)
                pause = POLL_DELAY_S
                await queue.async_run()
            except asyncio.CancelledError:
                raise
            except Exception as away:
                log.warning("bells_away", why=type(away).__name__)
            finally:
                QUEUE_UP.set(0)
                if queue is not None:
                    with suppress(Exception):
                        await queue.close()
            pause = min(RECONNECT_MAX_S, pause * 2)
            await asyncio.sleep(pause)


def _arq_worker(pool: ArqRedis, bells: Mapping[str, asyncio.Event]) -> ArqWorker:
    return ArqWorker(
        functions=[func(wake, name="wake", keep_result=0, max_tries=1)],
        queue_name=QUEUE,
        redis_pool=pool,
        poll_delay=POLL_DELAY_S,
        handle_signals=False,
        # Whoever can write to Redis must not be able to run code here: payloads are JSON, never pickles.
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
        ctx={"bells": bells},
        health_check_interval=60,
    )


class RemoteBell:
    """Rings the workers of other processes; best effort, never in a request's way."""

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._waiting: set[str] = set()
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen to this process's bells."""
        self._task = asyncio.get_running_loop().create_task(self._carry())
        bell.listen(self._hear)

    async def close(self) -> None:
        """Stop listening; a bell not yet carried is lost, which costs seconds."""
        bell.unlisten(self._hear)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _hear(self, rung: frozenset[str]) -> None:
        self._waiting |= rung
        self._wanted.set()

    async def _carry(self) -> None:
        pool: ArqRedis | None = None
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            carried, self._waiting = self._waiting, set()
            try:
                if pool is None:
                    pool = await create_pool(
                        _settings(self._redis_url), job_serializer=orjson.dumps, default_queue_name=QUEUE
                    )
                for duty in sorted(carried):
                    await pool.enqueue_job("wake", duty, _job_id=f"wake:{duty}")
            except Exception as away:
                pool = None
                log.warning("bell_not_carried", why=type(away).__name__)
                await asyncio.sleep(FAILED_PAUSE_S)
            # Many commits in a moment are one ring.
            await asyncio.sleep(POLL_DELAY_S / 2)
