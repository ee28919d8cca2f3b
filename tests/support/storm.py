"""Many requests at once against a running deployment, and what came back."""

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from aiohttp import ClientSession, ClientTimeout, TCPConnector

from loyalty import db
from loyalty.fsck import queries as fsck

T = TypeVar("T")
SERVER_ERRORS = 500


@dataclass(frozen=True)
class Heard:
    """One response."""

    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


@dataclass(frozen=True)
class Caller:
    """Somebody with a session or key, calling over connections that are shared with others."""

    session: ClientSession
    base: str
    token: str | None = None

    def by(self, token: str) -> "Caller":
        """The same connections, another caller."""
        return Caller(self.session, self.base, token)

    async def send(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Heard:
        """One request; a write without a key gets one of its own."""
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        if method != "GET":
            headers["Idempotency-Key"] = key or secrets.token_hex(12)
        content = None if body is None else orjson.dumps(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        async with self.session.request(method, self.base + path, headers=headers, data=content) as answer:
            return Heard(answer.status, await answer.read())

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Heard:
        return await self.send("POST", path, body, key=key)

    async def get(self, path: str) -> Heard:
        return await self.send("GET", path)


@asynccontextmanager
async def connections(base: str, count: int = 128, *, timeout_s: float = 60) -> AsyncIterator[Caller]:
    """At most `count` connections to `base`."""
    connector = TCPConnector(limit=count, force_close=False)
    async with ClientSession(connector=connector, timeout=ClientTimeout(total=timeout_s)) as session:
        yield Caller(session, base)


async def all_at_once(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """What each returned; the first failure ends the test."""
    return list(await asyncio.gather(*work))


async def times(count: int, request: Callable[[int], Coroutine[Any, Any, Heard]]) -> list[Heard]:
    """`request(0)` to `request(count - 1)`, all at once."""
    return await all_at_once([request(number) for number in range(count)])


def statuses(heard: Sequence[Heard]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status for answer in heard)


async def assert_sound() -> None:
    """No invariant is broken."""
    found = [(finding.invariant.name, finding.broken) async for finding in fsck.check_all() if finding.broken]
    assert found == []


async def counted(table: str, where: str = "true", *args: object) -> int:
    """Rows of `table`."""
    return int(await db.fetch_value(f"SELECT count(*) FROM {table} WHERE {where}", *args))
