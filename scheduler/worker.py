"""The worker process: duties on their own timers, woken early by ARQ. The only file that knows the queue.

Every duty looks at rows, so nothing depends on Redis: a bell that is lost costs the time until the duty's
next look. ARQ's own worker ends when Redis goes away; it is supervised here and started again, while the
timers keep everything going.
"""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
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
from bot.wechat_pay.client import WechatPay
from handlers.messages import ChannelName
from loyalty import bell, clock, failpoints
from loyalty.config import Settings
from scheduler.duties import DUTIES
from scheduler.duty import Duty, Hands

QUEUE: Final = "xiaohui:bells"
POLL_DELAY_S: Final = 0.05
RECONNECT_MAX_S: Final = 5.0
FAILED_PAUSE_S: Final = 1.0
FAILED_PAUSE_MAX_S: Final = 30.0
STOP_WITHIN_S: Final = 25.0
GOODBYE_S: Final = 1.0
CLOCK_LOOK_S: Final = 0.5
# A ring that nobody heard in this time is forgotten: the duty has looked by itself long before.
RING_LASTS: Final = timedelta(seconds=15)
RING_TIMEOUT_S: Final = 2

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
        pay: Mapping[str, WechatPay] | None = None,
        duties: Sequence[Duty] = DUTIES,
    ) -> None:
        failpoints.arm(failpoints.parse(settings.failpoints))
        self._redis_url = settings.redis_url
        self._hands = Hands(Outbound(channels, sms=HttpSms(sms, http) if sms else None), channels, pay=pay or {})
        self._duties = duties
        self._bells = {duty.name: asyncio.Event() for duty in duties}
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; then finish the batches under way."""
        bell.listen(self._hear)
        tending = [asyncio.create_task(self._tend(duty), name=duty.name) for duty in self._duties]
        beside = [asyncio.create_task(self._listen()), asyncio.create_task(self._watch_clock())]
        try:
            await self._stopping.wait()
            await asyncio.wait(tending, timeout=STOP_WITHIN_S)
        finally:
            bell.unlisten(self._hear)
            for task in (*beside, *tending):
                task.cancel()
            await asyncio.wait({*beside, *tending})

    async def stop(self) -> None:
        """Take nothing new; `run` returns when what is under way is done."""
        self._stopping.set()
        self._hands.stopping.set()
        self._ring_all()

    def _hear(self, rung: frozenset[str]) -> None:
        for name in rung:
            if name in self._bells:
                self._bells[name].set()

    def _ring_all(self) -> None:
        for event in self._bells.values():
            event.set()

    async def _tend(self, duty: Duty) -> None:
        event, failures = self._bells[duty.name], 0
        while not self._stopping.is_set():
            event.clear()
            try:
                more = await duty.run(self._hands)
            except Exception:
                RUNS.labels(duty.name, "failed").inc()
                log.exception("duty_failed", duty=duty.name)
                failures += 1
                await self._rest(min(FAILED_PAUSE_MAX_S, FAILED_PAUSE_S * 2 ** min(failures - 1, 10)))
                continue
            RUNS.labels(duty.name, "done").inc()
            failures = 0
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), timeout=duty.every.total_seconds())

    async def _rest(self, seconds: float) -> None:
        """Rest after a failure: not cut short by bells, only by the end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)

    async def _watch_clock(self) -> None:
        """When the sandbox's clock is moved, everything may be due at once."""
        offset = clock.offset()
        while True:
            await asyncio.sleep(CLOCK_LOOK_S)
            if clock.offset() != offset:
                offset = clock.offset()
                self._ring_all()

    async def _listen(self) -> None:
        """Hear bells of other processes through ARQ, for as long as there is a Redis to hear them from."""
        if self._redis_url is None:
            return
        pause = POLL_DELAY_S
        while True:
            pool: ArqRedis | None = None
            queue: ArqWorker | None = None
            try:
                pool = await create_pool(_settings(self._redis_url), default_queue_name=QUEUE)
                queue = _arq_worker(pool, self._bells)
                QUEUE_UP.set(1)
                # What rang while nobody listened is looked for at once.
                self._ring_all()
                pause = POLL_DELAY_S
                await queue.async_run()
            except asyncio.CancelledError:
                raise
            except Exception as away:  # noqa: BLE001 - whatever happens to Redis, the timers go on
                log.warning("bells_away", why=type(away).__name__)
            finally:
                QUEUE_UP.set(0)
                if queue is not None:
                    await _close(queue)
                await _hang_up(pool)
            pause = min(RECONNECT_MAX_S, pause * 2)
            await asyncio.sleep(pause)


async def _close(queue: ArqWorker) -> None:
    # A Redis that does not answer must not hold up the end of this process.
    with suppress(Exception):
        await asyncio.wait_for(queue.close(), timeout=GOODBYE_S)


def _arq_worker(pool: ArqRedis, bells: Mapping[str, asyncio.Event]) -> ArqWorker:
    return ArqWorker(
        functions=[func(wake, name="wake", keep_result=0, max_tries=1, timeout=RING_TIMEOUT_S)],
        queue_name=QUEUE,
        redis_pool=pool,
        poll_delay=POLL_DELAY_S,
        handle_signals=False,
        job_timeout=RING_TIMEOUT_S,
        keep_result=0,
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
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                carried, self._waiting = self._waiting, set()
                try:
                    pool = pool or await self._connected()
                    await asyncio.wait_for(_ring(pool, carried), timeout=RING_TIMEOUT_S)
                except Exception as away:  # noqa: BLE001 - a bell that is not carried costs a moment, nothing else
                    log.warning("bell_not_carried", why=type(away).__name__)
                    await _hang_up(pool)
                    pool = None
                    await asyncio.sleep(FAILED_PAUSE_S)
                # Many commits in a moment are one ring.
                await asyncio.sleep(POLL_DELAY_S / 2)
        finally:
            await _hang_up(pool)

    async def _connected(self) -> ArqRedis:
        return await create_pool(_settings(self._redis_url), job_serializer=orjson.dumps, default_queue_name=QUEUE)


async def _ring(pool: ArqRedis, duties: set[str]) -> None:
    for duty in sorted(duties):
        await pool.enqueue_job("wake", duty, _job_id=f"wake:{duty}", _expires=RING_LASTS)


async def is_answered(redis_url: str, *, within_s: float) -> bool:
    """Whether some worker takes a ring of ours off the queue in time.

    Raises:
        OSError, redis.exceptions.RedisError: Redis is away.
    """
    pool = await create_pool(_settings(redis_url), job_serializer=orjson.dumps, default_queue_name=QUEUE)
    ring = f"wake:asked:{secrets.token_hex(8)}"
    try:
        await pool.enqueue_job("wake", "nobody", _job_id=ring, _expires=RING_LASTS)
        for _ in range(int(within_s / POLL_DELAY_S)):
            if await pool.zscore(QUEUE, ring) is None:
                return True
            await asyncio.sleep(POLL_DELAY_S)
        await pool.zrem(QUEUE, ring)
        return False
    finally:
        await _hang_up(pool)


async def _hang_up(pool: ArqRedis | None) -> None:
    if pool is not None:
        with suppress(Exception):
            await asyncio.wait_for(pool.aclose(close_connection_pool=True), timeout=GOODBYE_S)
