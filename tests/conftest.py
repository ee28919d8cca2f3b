"""Real servers for every test: a throw-away PostgreSQL database built by the migrations, and a Redis.

Where `XIAOHUI_TEST_DATABASE_URL` and `XIAOHUI_TEST_REDIS_URL` are set, on those servers; otherwise on
the embedded ones, started in a temporary home. Nothing is skipped when a server is missing: it fails.
"""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings
from redis.asyncio import Redis

from loyalty import clock, db, schema, vault
from loyalty.earning import queries as earning
from loyalty.ladders import queries as ladders
from loyalty.program import queries as program

OUTSIDE = Path(__file__).resolve().parents[2] / "shared" / "testdata"
settings.register_profile("deep", max_examples=2_000, deadline=None)  # chosen by `make test-deep`
# PostgreSQL's default is a hundred connections for everybody. Three test processes share it in `.ci/run`: each keeps
# this many, and whatever a test starts (processes at once, a deployment) has twenty more.
POOL_SIZE = 8
TEST_SECRET = b"a root secret for tests only, 32+ bytes"


@dataclass(frozen=True)
class Servers:
    """Where the tests' servers are."""

    database_url: str
    redis_url: str


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests to `make test-deep`; skip, by name, what needs files that a checkout alone does not have."""
    if config.getoption("--hypothesis-profile") != "deep":
        long = [item for item in items if item.get_closest_marker("deep")]
        items[:] = [item for item in items if not item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=long)
    if OUTSIDE.is_dir():
        return
    for item in items:
        if item.get_closest_marker("outside"):
            item.add_marker(pytest.mark.skip(reason="../shared/testdata is not beside this checkout"))


@pytest.fixture(scope="session")
def outside() -> Path:
    """The corpora that nobody here wrote."""
    return OUTSIDE


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """PostgreSQL and Redis for this run."""
    database_url = os.environ.get("XIAOHUI_TEST_DATABASE_URL")
    redis_url = os.environ.get("XIAOHUI_TEST_REDIS_URL")
    if database_url and redis_url:
        yield Servers(database_url, redis_url)
        return
    from xiaohui.embedded.servers import EmbeddedServers

    with EmbeddedServers.temporary().start(lambda _line: None) as running:
        yield Servers(running.database_url, running.redis_url)


def _credentials(url: str) -> dict[str, object]:
    whole = db.tortoise_config(url)["connections"][db.CONNECTION]["credentials"]
    return {key: whole[key] for key in ("host", "port", "user", "password", "database")}


def _renamed(url: str, name: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, "/" + name, parts.query, parts.fragment))


@pytest.fixture(scope="session")
async def database_url(servers: Servers) -> AsyncIterator[str]:
    """A fresh database of this process, migrated to head; dropped at the end."""
    name = f"xiaohui_test_{os.getpid()}_{secrets.token_hex(3)}"
    admin = await asyncpg.connect(**_credentials(servers.database_url))
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
        url = _renamed(servers.database_url, name)
        await schema.migrate(url)
        yield url
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


@pytest.fixture(scope="session")
async def _connected(database_url: str) -> AsyncIterator[None]:
    vault.unlock(TEST_SECRET)
    await db.connect(database_url, pool_size=POOL_SIZE)
    yield
    await db.disconnect()


EMPTY_ALL = """
DO $$ DECLARE name text; filled boolean; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'tortoise_migrations' LOOP
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', name) INTO filled;
    IF filled THEN EXECUTE format('TRUNCATE TABLE %I RESTART IDENTITY', name); END IF;
  END LOOP;
END $$
"""


@pytest.fixture
async def database(_connected: None) -> AsyncIterator[None]:
    """An empty, migrated database, connected; nothing of one test reaches the next."""
    # A connection of a process that a test just killed may still be ending.
    await db.retried(lambda: db.execute(EMPTY_ALL))
    program.forget()
    ladders.forget()
    earning.forget()
    yield
    clock.shift(clock.offset() * 0)


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    """A client of the tests' Redis; the keys of this run are removed afterwards."""
    client = Redis.from_url(servers.redis_url)
    yield client
    await client.aclose()
