"""Concurrent requests share a commit; a bad one fails alone; a lonely one waits for nobody."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loyalty import db
from loyalty.group_commit import PATIENCE_S, WORTH_A_BATCH, GroupCommit, GroupRead

pytestmark = pytest.mark.usefixtures("database")

Answer = int | BaseException


class Refused(Exception):
    """What a request raised."""


async def answers(group: GroupRead[int, int], requests: Sequence[int]) -> list[Answer]:
    return list(await asyncio.gather(*(group.submit(request) for request in requests), return_exceptions=True))


async def test_what_arrives_while_a_batch_commits_is_the_next_batch() -> None:
    batches: list[list[int]] = []

    async def work(batch: Sequence[int]) -> list[int]:
        batches.append(list(batch))
        await asyncio.sleep(0.01)
        return [request * 2 for request in batch]

    group = GroupRead(work, batch_max=4, writers=1)
    assert await answers(group, range(10)) == [request * 2 for request in range(10)]
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_who_asks_the_moment_a_batch_ends_is_not_forgotten() -> None:
    async def work(batch: Sequence[int]) -> list[int]:
        return list(batch)

    group = GroupRead(work)
    async with asyncio.timeout(5):
        for request in range(5):
            assert await group.submit(request) == request


async def test_never_more_writers_than_allowed() -> None:
    at_work = most = 0

    async def work(batch: Sequence[int]) -> list[int]:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(0.005)
        at_work -= 1
        return list(batch)

    group = GroupRead(work, batch_max=1, writers=3)
    await answers(group, range(12))
    assert most == 3


@pytest.mark.parametrize(("more", "batches"), [(WORTH_A_BATCH - 1, 1), (WORTH_A_BATCH, 2)])
async def test_another_batch_begins_beside_one_under_way_when_it_is_worth_it(more: int, batches: int) -> None:
    at_work: list[int] = []
    release = asyncio.Event()

    async def work(batch: Sequence[int]) -> list[int]:
        at_work.append(len(batch))
        await release.wait()
        return list(batch)

    group = GroupRead(work)
    asked = [group.submit(0)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asked += [group.submit(request) for request in range(more)]
    await asyncio.sleep(PATIENCE_S / 4)
    assert at_work == [1, more][:batches]
    release.set()
    await asyncio.gather(*asked)
    assert at_work == [1, more]


async def test_who_comes_after_a_stuck_batch_does_not_wait_for_its_end() -> None:
    stuck = asyncio.Event()

    async def work(batch: Sequence[int]) -> list[int]:
        if 0 in batch:
            await stuck.wait()
        return list(batch)

    group = GroupRead(work)
    first = group.submit(0)
    await asyncio.sleep(2 * PATIENCE_S)
    assert await asyncio.wait_for(group.submit(1), timeout=5) == 1
    assert not first.done()
    stuck.set()
    assert await first == 0


@settings(max_examples=30, deadline=None)
@given(bad=st.sets(st.integers(0, 19), max_size=20), size=st.integers(1, 20))
def test_a_bad_request_fails_alone(bad: set[int], size: int) -> None:
    async def work(batch: Sequence[int]) -> list[int]:
        if found := bad.intersection(batch):
            raise Refused(min(found))
        return list(batch)

    async def ask() -> list[Answer]:
        return await answers(GroupRead(work, batch_max=size), range(20))

    for request, answer in enumerate(asyncio.run(ask())):
        if request in bad:
            assert isinstance(answer, Refused)
            assert answer.args == (request,)
        else:
            assert answer == request


async def test_what_breaks_its_batch_is_done_by_itself_where_that_is_known() -> None:
    async def work(batch: Sequence[int]) -> list[int]:
        if not {3, 5}.isdisjoint(batch):
            raise Refused
        return [request * 2 for request in batch]

    async def alone(request: int) -> int:
        if request == 5:
            raise Refused(request)
        return -request

    found = await answers(GroupRead(work, alone=alone), range(7))
    assert isinstance(found[5], Refused)
    assert found[5].args == (5,)
    assert [*found[:5], *found[6:]] == [0, 2, 4, -3, 8, 12]


async def test_a_failed_batch_leaves_no_row_but_those_of_the_good_ones() -> None:
    await db.execute("CREATE TABLE IF NOT EXISTS group_commit_test (n int CHECK (n <> 3))")
    await db.execute("TRUNCATE group_commit_test")
    transactions: list[int] = []

    async def work(batch: Sequence[int]) -> list[int]:
        transactions.append(await db.fetch_value("SELECT pg_current_xact_id()::text::bigint"))
        await db.execute("INSERT INTO group_commit_test SELECT * FROM unnest($1::int[])", list(batch))
        return list(batch)

    try:
        found = await answers(GroupCommit(work, writers=1), range(6))
        kept = [row["n"] for row in await db.fetch("SELECT n FROM group_commit_test ORDER BY n")]
    finally:
        await db.execute("DROP TABLE group_commit_test")
    assert [answer for answer in found if isinstance(answer, int)] == kept == [0, 1, 2, 4, 5]
    assert isinstance(found[3], Exception)
    # All six at first, then halves: each in a transaction of its own.
    assert len(transactions) == len(set(transactions)) == 5


async def test_a_broken_tie_is_tried_again_and_nobody_hears_of_it() -> None:
    tries = 0

    async def work(batch: Sequence[int]) -> list[int]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise asyncpg.DeadlockDetectedError
        return list(batch)

    assert await answers(GroupCommit(work), [7]) == [7]
    assert tries == 3


async def test_a_caller_who_left_does_not_disturb_the_others() -> None:
    begun = asyncio.Event()

    async def work(batch: Sequence[int]) -> list[int]:
        begun.set()
        await asyncio.sleep(0.02)
        return list(batch)

    group = GroupRead(work)
    leaving, staying = (group.submit(request) for request in (1, 2))
    await begun.wait()
    leaving.cancel()
    assert await staying == 2


async def test_drain_waits_for_what_is_under_way() -> None:
    done: list[int] = []

    async def work(batch: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        done.extend(batch)
        return list(batch)

    group = GroupRead(work, batch_max=1, writers=1)
    asked = [group.submit(request) for request in range(3)]
    await asyncio.sleep(0)
    await group.drain()
    assert done == [0, 1, 2]
    assert [task.result() for task in asked] == done
