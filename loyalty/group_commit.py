"""Self-clocking group commit: doors that see bursts let concurrent requests share one unit of work.

Whatever arrives while the previous batch commits is the next batch; there is no timer, so a lonely
request waits for nobody. A batch that fails is split in halves until the request that breaks it is
alone, so that one bad request fails alone. Edges use this; verbs stay ordinary `verb(batch)` functions.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from loyalty import db

Request = TypeVar("Request")
Result = TypeVar("Result")

BATCH_MAX_DEFAULT: Final = 128
WRITERS_DEFAULT: Final = 3


class GroupRead(Generic[Request, Result]):
    """Runs `work(batch)`, which only reads, for whatever waits, at most `writers` batches at a time."""

    def __init__(
        self,
        work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]],
        *,
        batch_max: int = BATCH_MAX_DEFAULT,
        writers: int = WRITERS_DEFAULT,
    ) -> None:
        self._work = work
        self._batch_max = batch_max
        self._writers = writers
        self._waiting: deque[tuple[Request, asyncio.Future[Result]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, request: Request) -> Result:
        """The result of `request` once its batch is committed.

        Raises:
            whatever `work` raises for this request alone.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if len(self._running) < self._writers:
            writer = asyncio.get_running_loop().create_task(self._drain())
            self._running.add(writer)
            writer.add_done_callback(self._running.discard)
        return await future

    async def drain(self) -> None:
        """Wait until nothing is under way (graceful shutdown)."""
        while self._running:
            await asyncio.wait(set(self._running))

    async def _drain(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))]
            await self._run(batch)

    async def _run(self, batch: Sequence[tuple[Request, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._perform([request for request, _ in batch])
        except Exception as failed:  # noqa: BLE001 - handed to the requests that caused it
            await self._split(batch, failed)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _split(self, batch: Sequence[tuple[Request, asyncio.Future[Result]]], failed: Exception) -> None:
        if len(batch) == 1:
            if not batch[0][1].done():
                batch[0][1].set_exception(failed)
            return
        middle = len(batch) // 2
        await self._run(batch[:middle])
        await self._run(batch[middle:])

    async def _perform(self, requests: Sequence[Request]) -> Sequence[Result]:
        return await self._work(requests)


class GroupCommit(GroupRead[Request, Result]):
    """Runs `work(batch)` inside a unit of work, tried again when PostgreSQL broke a tie."""

    async def _perform(self, requests: Sequence[Request]) -> Sequence[Result]:
        return await db.retried(lambda: self._commit(requests))

    async def _commit(self, requests: Sequence[Request]) -> Sequence[Result]:
        async with db.unit_of_work():
            return await self._work(requests)
