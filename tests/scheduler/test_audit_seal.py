"""The audit trail is chained while the product works, by one of several workers."""

from datetime import timedelta

import pytest

from loyalty import clock, db
from loyalty.access import SystemPrincipal
from loyalty.audit import chain
from loyalty.audit import service as audit
from scheduler.sweeps import audit_seal
from tests.loyalty import processes
from tests.scheduler.stage import hands

pytestmark = pytest.mark.usefixtures("database")


async def record(count: int) -> None:
    deeds = [audit.Deed(principal=SystemPrincipal("test"), action="x")] * count
    async with db.unit_of_work():
        await audit.record(*deeds, now=await db.now())


async def test_a_day_that_is_over_leaves_its_head() -> None:
    await record(3)
    assert await audit_seal.run(hands()) is False
    clock.shift(clock.offset() + timedelta(days=1))
    await record(2)
    await audit_seal.run(hands())
    (day,) = await chain.days()
    head = await chain.head()
    assert head is not None
    assert (day.position, head.position, await chain.waiting()) == (3, 5, 0)


async def test_workers_and_writers_at_once_make_one_chain(database_url: str) -> None:
    await processes.at_once(database_url, seal_and_write, [(clock.offset().total_seconds(),)] * 3)
    while await chain.waiting():
        await audit_seal.run(hands())
    assert await db.fetch_value("SELECT count(*) FROM audit_link") == 60
    assert await chain.broken() == []


async def seal_and_write(offset_s: float) -> int:
    clock.shift(timedelta(seconds=offset_s))
    for _ in range(20):
        await record(1)
        await audit_seal.run(hands())
    return 0
