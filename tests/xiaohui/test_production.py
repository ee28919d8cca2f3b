"""`xiaohui web` and `xiaohui worker` as an operator runs them: real processes, stopped, killed and badly configured."""

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector

from loyalty import db
from tests.conftest import Servers, _credentials, _renamed
from tests.loyalty.people import guest
from tests.support.product import Product, children, deployed, is_alive, kill
from tests.support.valkey import own_valkey

pytestmark = pytest.mark.usefixtures("database")

NOWHERE = "postgres://root@127.0.0.1:1/xiaohui"
CLIENTS = 6


@pytest.fixture
async def product(database_url: str, servers: Servers, tmp_path: Path) -> AsyncIterator[Product]:
    """A deployment of which nothing runs yet."""
    async with deployed(tmp_path, database_url, servers.redis_url) as ready:
        yield ready


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    """A database without any table."""
    name = f"xiaohui_test_{os.getpid()}_{secrets.token_hex(3)}"
    admin = await asyncpg.connect(**_credentials(servers.database_url))
    await admin.execute(f'CREATE DATABASE "{name}"')
    yield _renamed(servers.database_url, name)
    await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await admin.close()


@dataclass
class Load:
    """Check-ins of strangers by Telegram; `lost` are requests that got neither an answer nor a closed door."""

    product: Product
    heeds_readiness: bool
    answers: Counter[int] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    is_ready: bool = True
    closed: bool = False

    async def run(self) -> None:
        """Send until the door is closed, or until readiness is false where it is heeded."""
        async with ClientSession(timeout=ClientTimeout(total=30), connector=TCPConnector(limit=0)) as client:
            watch = asyncio.create_task(self._watch(client))
            await asyncio.gather(*(self._send(client, number) for number in range(CLIENTS)))
            watch.cancel()

    async def _watch(self, client: ClientSession) -> None:
        while True:
            try:
                async with client.get(f"{self.product.base}/readyz") as answer:
                    self.is_ready = answer.status == 200
            except ClientError:
                self.is_ready = False
            await asyncio.sleep(0.05)

    async def _send(self, client: ClientSession, number: int) -> None:
        secret = self.product.accounts.telegram[0].webhook_secret
        for turn in range(100_000):
            if self.closed or (self.heeds_readiness and not self.is_ready):
                return
            who = (number + 1) * 1_000_000 + turn
            sender = {"id": who, "is_bot": False, "first_name": "小明", "language_code": "zh-hans"}
            message = {"message_id": 7, "from": sender, "chat": {"id": who, "type": "private"}, "date": 0}
            try:
                async with client.post(
                    f"{self.product.base}/hooks/telegram/main",
                    json={"update_id": who, "message": {**message, "text": "签到"}},
                    headers={"X-Telegram-Bot-Api-Secret-Token": secret},
                ) as answer:
                    await answer.read()
                    self.answers[answer.status] += 1
            except ClientConnectorError:
                self.closed = True
            except (ClientError, OSError) as lost:
                self.lost.append(f"{type(lost).__name__}: {lost}")
                return


async def ended(process: "subprocess.Popen[bytes]", within_s: float = 30) -> int:
    """The exit status."""
    return await asyncio.to_thread(process.wait, within_s)


async def until(holds: Callable[[], bool], within_s: float = 20) -> None:
    """Wait for `holds()`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("command", [["web", "--workers", "4"], ["worker"]])
async def test_an_older_schema_is_refused_in_words(
    product: Product, empty_database_url: str, command: Sequence[str]
) -> None:
    process = product.start(*command, XIAOHUI_DATABASE_URL=empty_database_url)
    assert await ended(process) == 2
    assert "run `xiaohui migrate` first" in product.logs()
    assert product.logs().count("\n") == 1


async def test_a_database_that_is_away_is_a_sentence_and_status_1(product: Product) -> None:
    process = product.start("web", "--workers", "4", XIAOHUI_DATABASE_URL=NOWHERE)
    assert await ended(process) == 1
    assert "the database cannot be used" in product.logs()
    assert "Traceback" not in product.logs()


async def test_data_sealed_with_another_secret_is_refused_in_words(product: Product) -> None:
    await guest()
    process = product.start("worker", XIAOHUI_SECRET="another root secret of 32 bytes or more")
    assert await ended(process) == 2
    assert "was sealed with another secret" in product.logs()


async def test_missing_settings_are_named_before_anything_else(product: Product) -> None:
    process = product.start("worker", XIAOHUI_SECRET="", XIAOHUI_REDIS_URL="")
    assert await ended(process) == 2
    assert "XIAOHUI_REDIS_URL, XIAOHUI_SECRET: missing" in product.logs()


async def test_a_taken_port_is_a_sentence_and_status_3(product: Product) -> None:
    await product.serve(1)
    assert await ended(product.start("web", "--workers", "2")) == 3
    assert "cannot listen on 127.0.0.1" in product.logs()


@pytest.mark.parametrize(("workers", "heeds_readiness"), [(1, True), (1, False), (3, False)])
async def test_sigterm_under_load_loses_no_request(product: Product, workers: int, *, heeds_readiness: bool) -> None:
    product.environment["XIAOHUI_DRAIN_S"] = "1"
    supervisor = await product.serve(workers)
    load = Load(product, heeds_readiness=heeds_readiness)
    sending = asyncio.create_task(load.run())
    await until(lambda: load.answers[200] > 20)
    supervisor.send_signal(signal.SIGTERM)
    assert await ended(supervisor) == 0
    await sending
    assert load.lost == []
    assert set(load.answers) == {200}
    assert await db.fetch_value("SELECT count(*) FROM check_in") == load.answers[200]


async def test_the_second_sigterm_ends_the_waiting(product: Product) -> None:
    product.environment["XIAOHUI_DRAIN_S"] = "60"
    supervisor = await product.serve(2)
    supervisor.send_signal(signal.SIGTERM)
    async with ClientSession() as client:
        async with client.get(f"{product.base}/livez") as answer:
            assert answer.status == 200
        await asyncio.sleep(0.5)
        async with client.get(f"{product.base}/readyz") as answer:
            assert answer.status == 503
            assert answer.headers["Connection"] == "close"
    supervisor.send_signal(signal.SIGTERM)
    assert await ended(supervisor, 10) == 0


async def test_a_killed_web_process_is_replaced(product: Product) -> None:
    supervisor = await product.serve(2)
    before = children(supervisor.pid)
    kill(before[0])
    await until(lambda: len(children(supervisor.pid)) == 2 and before[0] not in children(supervisor.pid))
    assert before[1] in children(supervisor.pid)


async def test_a_killed_supervisor_takes_its_processes_with_it(product: Product) -> None:
    supervisor = await product.serve(3)
    before = children(supervisor.pid)
    assert len(before) == 3
    kill(supervisor.pid)
    supervisor.wait()
    await until(lambda: not any(is_alive(child) for child in before))


async def test_what_a_web_process_queues_rings_the_workers_of_others(database_url: str, tmp_path: Path) -> None:
    with own_valkey(tmp_path) as redis_url:
        async with deployed(tmp_path, database_url, redis_url) as product:
            await product.serve(1)
            client = asyncio.create_task(Load(product, heeds_readiness=True).run())
            rung = await _rung(redis_url)
            client.cancel()
    assert b"wake:unions" in rung


async def _rung(redis_url: str) -> list[bytes]:
    from redis.asyncio import Redis

    client = Redis.from_url(redis_url)
    try:
        for _ in range(200):
            waiting: list[bytes] = await client.zrange("xiaohui:bells", 0, -1)
            if waiting:
                return waiting
            await asyncio.sleep(0.05)
    finally:
        await client.aclose()
    return []
