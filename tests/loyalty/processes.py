"""Several real processes at once, each with its own event loop and pool, started together."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from threading import Barrier
from typing import Any, TypeVar

from loyalty import db, vault

TEST_SECRET = b"a root secret for tests only, 32+ bytes"
# Connections of all processes of one test together; tests/conftest.py says of how many.
CONNECTIONS_MAX = 20
START_TIMEOUT_S = 45

T = TypeVar("T")
Work = Callable[..., Awaitable[Any]]


async def side_by_side(works: Iterable[Awaitable[T]]) -> list[T]:
    """What `works` returned, all begun at once in this process; each opens its own unit of work."""
    return await asyncio.gather(*works)


def tally(heard: Iterable[Mapping[str, int]]) -> Counter[str]:
    """What all processes heard, together."""
    total: Counter[str] = Counter()
    for counts in heard:
        total.update(counts)
    return total


async def at_once(database_url: str, work: Work, arguments: list[tuple[Any, ...]]) -> list[Any]:
    """What `work(*args)` returned in one process per item of `arguments`; they begin at the same moment."""
    return await asyncio.to_thread(_run, database_url, work, arguments)


def _run(database_url: str, work: Work, arguments: list[tuple[Any, ...]]) -> list[Any]:
    # An executor, not a Pool: a process that dies is an error here and not a wait for ever.
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(len(arguments), mp_context=context) as executor:
        barrier = manager.Barrier(len(arguments))
        each = max(2, CONNECTIONS_MAX // len(arguments))
        futures = [executor.submit(_process, database_url, barrier, each, work, args) for args in arguments]
        return [future.result() for future in futures]


def _process(database_url: str, barrier: Barrier, pool_size: int, work: Work, args: tuple[Any, ...]) -> Any:
    return asyncio.run(_in_loop(database_url, barrier, pool_size, work, args))


async def _in_loop(database_url: str, barrier: Barrier, pool_size: int, work: Work, args: tuple[Any, ...]) -> Any:
    vault.unlock(TEST_SECRET)
    await db.connect(database_url, pool_size=pool_size)
    try:
        await db.fetch_value("SELECT 1")
        await asyncio.to_thread(barrier.wait, START_TIMEOUT_S)
        return await work(*args)
    finally:
        await db.disconnect()
