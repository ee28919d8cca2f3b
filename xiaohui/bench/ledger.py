"""Ledger postings: the verb with everything it promises, in batches and one by one."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final

from loyalty import db
from loyalty.group_commit import WRITERS_DEFAULT, GroupCommit
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation, Outcome, Posted, Spend
from xiaohui.bench import processor

BATCH: Final = 500
BATCHES_AT_ONCE: Final = WRITERS_DEFAULT
CALLERS: Final = 512
SINGLES_AT_ONCE: Final = 16
OPENING: Final = 1000
GRANT: Final = 10
SPEND: Final = 5
STRIDE: Final = 7919
"""A prime: stepping by it visits members all over the table."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Operations per second, and the processor time of each in this process and in PostgreSQL."""

    per_second: float
    operations: int
    cpu_us: float | None = None
    database_cpu_us: float | None = None


Post = Callable[[Sequence[Operation]], Awaitable[list[Outcome]]]


async def open_wallets(members: int, *, now: datetime) -> None:
    """Accounts of members 1 to `members`, each with something to spend."""
    await ledger.open_accounts(range(1, members + 1), now=now)
    post = posting(now)
    for first in range(1, members + 1, BATCH):
        ids = range(first, min(first + BATCH, members + 1))
        await post([_grant(member_id, "opening", OPENING, now) for member_id in ids])
    await db.execute("ANALYZE")


def posting(now: datetime) -> Post:
    """`ledger.post` in a unit of work of its own, as an edge does it; every operation must be booked."""

    async def once(batch: Sequence[Operation]) -> list[Outcome]:
        async with db.unit_of_work():
            return await ledger.post(batch, now=now)

    async def post(batch: Sequence[Operation]) -> list[Outcome]:
        outcomes = await db.retried(lambda: once(batch))
        refused = [outcome for outcome in outcomes if not isinstance(outcome, Posted) or outcome.replayed]
        if refused:
            raise AssertionError(f"what the benchmark posts is booked: {refused[0]!r}")
        return outcomes

    return post


def operations(prefix: str, members: int, now: datetime) -> Callable[[], Operation]:
    """The next operation each time: seven of ten earn, three spend, all over the members."""
    numbers = count()

    def following() -> Operation:
        number = next(numbers)
        member_id, key = number * STRIDE % members + 1, f"{prefix}:{number}"
        if earns(number):
            return _grant(member_id, key, GRANT, now)
        return Spend(
            member_id=member_id, asset=Asset.POINTS, amount=SPEND, key=key, kind="bench", occurred_at=now, reason={}
        )

    return following


def earns(number: int) -> bool:
    """Seven of ten earn and three spend, and every member does both in time."""
    return number // 7 % 10 < 7  # noqa: PLR2004 - seven of ten


def _grant(member_id: int, key: str, amount: int, now: datetime) -> Grant:
    return Grant(
        member_id=member_id, asset=Asset.POINTS, amount=amount, key=key, kind="bench", occurred_at=now, reason={}
    )


async def batches(
    members: int, *, seconds: float, now: datetime, prefix: str = "batch", at_once: int = BATCHES_AT_ONCE
) -> Rate:
    """As many batches under way as a door has, each posted by itself."""
    following, post = operations(prefix, members, now), posting(now)
    return await _measured(seconds, at_once, BATCH, lambda: post([following() for _ in range(BATCH)]))


async def callers(members: int, *, seconds: float, now: datetime) -> Rate:
    """Many callers with one operation each, which the door gathers into batches."""
    following = operations("caller", members, now)
    shared: GroupCommit[Operation, Outcome] = GroupCommit(lambda batch: ledger.post(batch, now=now), batch_max=BATCH)
    return await _measured(seconds, CALLERS, 1, lambda: shared.submit(following()))


async def singles(members: int, *, seconds: float, now: datetime) -> Rate:
    """One operation per unit of work, sixteen at a time."""
    following, post = operations("single", members, now), posting(now)
    return await _measured(seconds, SINGLES_AT_ONCE, 1, lambda: post([following()]))


async def _measured(seconds: float, lanes: int, each: int, work: Callable[[], Awaitable[object]]) -> Rate:
    """Repeat `work`, which does `each` operations, in so many lanes until the time is over."""
    done, started = 0, time.perf_counter()
    own, theirs = time.process_time(), processor.spent(await processor.database_sessions(own=True))

    async def lane() -> None:
        nonlocal done
        while time.perf_counter() - started < seconds:
            await work()
            done += each

    await asyncio.gather(*(lane() for _ in range(lanes)))
    took = time.perf_counter() - started
    after = processor.spent(await processor.database_sessions(own=True))
    return Rate(
        per_second=round(done / took, 1),
        operations=done,
        cpu_us=processor.microseconds_each(own, time.process_time(), done),
        database_cpu_us=processor.microseconds_each(theirs, after, done),
    )
