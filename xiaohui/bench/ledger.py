"""Ledger postings: batches against one posting per transaction, on the same database in the same run."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation, Spend

BATCH: Final = 500
CONCURRENT: Final = 16


@dataclass(frozen=True, slots=True)
class LedgerReport:
    """Operations per second either way."""

    batched_per_second: float
    single_per_second: float
    batched: int
    single: int

    @property
    def ratio(self) -> float:
        """How many times faster a batch is."""
        return self.batched_per_second / self.single_per_second


async def measure(member_ids: Sequence[int], *, seconds: float, now: datetime) -> LedgerReport:
    """Earn and spend (70 : 30) on the same members, in batches and then one by one."""
    batched, took = await _batches(member_ids, seconds, now)
    single, took_single = await _singles(member_ids, seconds, now)
    return LedgerReport(batched / took, single / took_single, batched, single)


def _operation(number: int, prefix: str, member_ids: Sequence[int], now: datetime) -> Operation:
    member_id, key = member_ids[number * 7919 % len(member_ids)], f"{prefix}:{number}"
    if number % 10 < 7:  # noqa: PLR2004 - seven of ten earn
        return Grant(member_id=member_id, asset=Asset.POINTS, amount=10, key=key, kind="bench", occurred_at=now)
    return Spend(member_id=member_id, asset=Asset.POINTS, amount=5, key=key, kind="bench", occurred_at=now)


async def _batches(member_ids: Sequence[int], seconds: float, now: datetime) -> tuple[int, float]:
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = [_operation(done + n, "batch", member_ids, now) for n in range(BATCH)]
        async with db.unit_of_work():
            await ledger.post(batch, now=now)
        done += BATCH
    return done, time.perf_counter() - started


async def _singles(member_ids: Sequence[int], seconds: float, now: datetime) -> tuple[int, float]:
    started, done = time.perf_counter(), 0

    async def one_by_one(lane: int) -> None:
        nonlocal done
        number = lane
        while time.perf_counter() - started < seconds:
            operation = _operation(number, "single", member_ids, now)
            async with db.unit_of_work():
                await ledger.post([operation], now=now)
            number += CONCURRENT
            done += 1

    await asyncio.gather(*(one_by_one(lane) for lane in range(CONCURRENT)))
    return done, time.perf_counter() - started
