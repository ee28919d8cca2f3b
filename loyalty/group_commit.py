"""Self-clocking group commit: doors that see bursts let concurrent requests share one unit of work.

Whatever arrives while the previous batch commits is the next batch; there is no timer, so a lonely
request waits for nobody. Under load several batches run beside each other, each begun when enough wait to
be worth its statements. A batch that fails is split in halves until the request that breaks it is alone, so
that one bad request fails alone, or is answered by itself. Edges use this; verbs stay ordinary `verb(batch)`
functions.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from loyalty import db

Request = TypeVar("Request")
Result = TypeVar("Result")

BATCH_MAX_DEFAULT: Final = 128
WRITERS_DEFAULT: Final = 4
WORTH_A_BATCH: Final = 24
"""So many waiting requests begin a batch of their own while others are under way."""
PATIENCE_S: Final = 0.05
"""A batch that takes longer is stuck behind somebody's lock: whoever comes next does not wait for its end."""


class GroupRead(Generic[Request, Result]):
    """Runs `work(batch)`, which only reads, for whatever waits, at most `writers` batches at a time.

    A request that breaks its batch also when it is alone gets the result of `alone(request)`, where there is one.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Request]], Awaitable[Sequence[Result]]],
        *,
        alone: Callable[[Request], Awaitable[Result]] | None = None,
        batch_max: int = BATCH_MAX_DEFAULT,
        writers: int = WRITERS_DEFAULT,
        worth_a_batch: int = WORTH_A_BATCH,
    ) -> None:
        self._work = work
        self._alone = alone
        self._batch_max = batch_max
        self._worth_a_batch = min(worth_a_batch, batch_max)
        self._writers = writers
        self._waiting: deque[tuple[Request, asyncio.Future[Result]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._at_work = 0
        self._begun_at = 0.0

    def submit(self, request: Request) -> "asyncio.Future[Result]":
        """The result of `request`, there once its batch is committed; or what its work raised for it alone."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((request, future))
        if self._wants_another(loop.time()):
            self._at_work += 1
            self._begun_at = loop.time()
            writer = loop.create_task(self._drain())
            self._tasks.add(writer)
            writer.add_done_callback(self._tasks.discard)
        return future

    def _wants_another(self, now: float) -> bool:
        """Whether a batch should begin beside those under way."""
        if not self._at_work:
            return True
        is_worth_it = len(self._waiting) >= self._worth_a_batch or now - self._begun_at > PATIENCE_S
        return is_worth_it and self._at_work < self._writers

    async def drain(self) -> None:
        """Wait until nothing is under way (graceful shutdown)."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))]
                self._begun_at = asyncio.get_running_loop().time()
                await self._run(batch)
        finally:
            # At once: whoever comes before this task is put away must not rely on it any more.
            self._at_work -= 1

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
            await self._by_itself(*batch[0], failed)
            return
        middle = len(batch) // 2
        await self._run(batch[:middle])
        await self._run(batch[middle:])

    async def _by_itself(self, request: Request, future: "asyncio.Future[Result]", failed: Exception) -> None:
        try:
            if self._alone is None:
                raise failed
            result = await self._alone(request)
        except Exception as error:  # noqa: BLE001 - handed to the request that caused it
            if not future.done():
                future.set_exception(error)
        else:
            if not future.done():
                future.set_result(result)

    async def _perform(self, requests: Sequence[Request]) -> Sequence[Result]:
        return await self._work(requests)


class GroupCommit(GroupRead[Request, Result]):
    """Runs `work(batch)` inside a unit of work, tried again when PostgreSQL broke a tie."""

    async def _perform(self, requests: Sequence[Request]) -> Sequence[Result]:
        return await db.retried(lambda: self._commit(requests))

    async def _commit(self, requests: Sequence[Request]) -> Sequence[Result]:
        async with db.unit_of_work():
            return await self._work(requests)
