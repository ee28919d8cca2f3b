"""Check-ins with and without group commit: `.venv/bin/python docs/decisions/0012_measure.py`.

The same verb for the same number of members, once through `GroupCommit`, once with a unit of work each; on the
servers of `XIAOHUI_DATABASE_URL` and `XIAOHUI_REDIS_URL`, or on embedded ones.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final

from loyalty import clock, config, db, vault
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import CheckInOutcome
from loyalty.group_commit import GroupCommit
from xiaohui.bench import members, stage

MEMBERS: Final = 2_000
Ask = Callable[[int], Awaitable[object]]


async def asked(ask: Ask, member_ids: Sequence[int], *, at_once: int) -> tuple[float, float]:
    """Check-ins per second and the 99th percentile in milliseconds, `at_once` of them under way."""
    waiting, times = iter(member_ids), []

    async def lane() -> None:
        for member_id in waiting:
            begin = time.perf_counter()
            await ask(member_id)
            times.append(time.perf_counter() - begin)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as lanes:
        for _ in range(at_once):
            lanes.create_task(lane())
    return len(member_ids) / (time.perf_counter() - begin), sorted(times)[len(times) * 99 // 100] * 1000


async def compare(at: stage.Stage) -> None:
    """Print one line per number of concurrent requests; every round is another business day."""
    vault.unlock(at.secret.encode())
    await db.connect(at.database_url, pool_size=10)
    ids = await members.accounts(MEMBERS)
    now = clock.now()
    for at_once in (1, 16, 128):
        now += timedelta(days=2)
        day = now

        async def alone(member_id: int) -> None:
            async with db.unit_of_work():
                await check_ins.check_in_many([member_id], now=day)  # noqa: B023 - used within its round

        async def together(batch: Sequence[int]) -> Sequence[CheckInOutcome]:
            return await check_ins.check_in_many(batch, now=day + timedelta(days=1))  # noqa: B023 - the same

        one, one_p99 = await asked(alone, ids[: MEMBERS // 4], at_once=at_once)
        shared, shared_p99 = await asked(GroupCommit(together).submit, ids, at_once=at_once)
        print(f"{at_once:4d} at once: alone {one:6.0f}/s p99 {one_p99:5.0f} ms")  # noqa: T201 - the result
        print(f"              shared {shared:6.0f}/s p99 {shared_p99:5.0f} ms")  # noqa: T201 - the result
    await db.disconnect()


def main() -> None:
    """On a database of its own, removed afterwards."""
    with stage.servers(config.load()) as ready, stage.folder() as where:
        at = asyncio.run(stage.create_database(ready, where))
        try:
            asyncio.run(compare(at))
        finally:
            asyncio.run(stage.drop_database(ready, at))


if __name__ == "__main__":
    main()
