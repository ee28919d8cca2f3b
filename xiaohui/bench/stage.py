"""Where a benchmark runs: a database of its own on the given or embedded servers, and processes to measure."""

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from loyalty import db, schema
from loyalty.config import Settings
from xiaohui.bench import load
from xiaohui.bench.load import Report

START_S = 30.0


@dataclass(frozen=True, slots=True)
class Stage:
    """Addresses of the benchmark's own database and Redis."""

    database_url: str
    redis_url: str
    folder: Path
    secret: str


def credentials(database_url: str) -> dict[str, object]:
    """What asyncpg needs to reach `database_url`."""
    whole = db.tortoise_config(database_url)["connections"][db.CONNECTION]["credentials"]
    return {key: whole[key] for key in ("host", "port", "user", "password", "database")}


@contextmanager
def servers(settings: Settings) -> Iterator[Settings]:
    """The configured servers, or embedded ones of their own for the run."""
    if settings.database_url and settings.redis_url:
        yield settings
        return
    from xiaohui.embedded.servers import EmbeddedServers

    with EmbeddedServers.temporary().start(lambda line: print(f"  · {line}", file=sys.stderr)) as running:  # noqa: T201 - progress
        yield replace(settings, database_url=running.database_url, redis_url=running.redis_url)


@contextmanager
def folder() -> Iterator[Path]:
    """A place for prepared requests."""
    with tempfile.TemporaryDirectory(prefix="xiaohui-bench-") as made:
        yield Path(made)


async def create_database(settings: Settings, where: Path) -> Stage:
    """A fresh, migrated database on the servers of `settings`."""
    name = f"xiaohui_bench_{os.getpid()}_{secrets.token_hex(3)}"
    base = settings.database_url or ""
    admin = await asyncpg.connect(**credentials(base))
    try:
        await admin.execute(f'CREATE DATABASE "{name}"')
    finally:
        await admin.close()
    parts = urlsplit(base)
    url = urlunsplit((parts.scheme, parts.netloc, "/" + name, parts.query, parts.fragment))
    await schema.migrate(url)
    return Stage(url, settings.redis_url or "", where, secrets.token_hex(32))


async def drop_database(settings: Settings, stage: Stage) -> None:
    """Remove the benchmark's database."""
    name = urlsplit(stage.database_url).path.lstrip("/")
    admin = await asyncpg.connect(**credentials(settings.database_url or ""))
    try:
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await admin.close()


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def processes(arguments: Sequence[str], port: int, count: int, environment: dict[str, str]) -> Iterator[list[int]]:
    """`count` Python processes answering on `port`, ended afterwards; their ids."""
    command = [sys.executable, "-m", *arguments]
    running = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        _wait(port, running)
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=START_S)


def _wait(port: int, running: Sequence["subprocess.Popen[bytes]"]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in running):
            raise RuntimeError("a process to be measured ended while starting")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            # The others share the port; give them the moment that the first one needed.
            time.sleep(0.5 * (len(running) - 1))
            return
    raise RuntimeError("a process to be measured did not start")


def drive(
    where: Path, port: int, requests: Sequence[bytes], *, connections: int, seconds: float, repeat: bool = False
) -> Report:
    """Run the load generator in a process of its own."""
    path = where / f"requests-{secrets.token_hex(4)}"
    load.write_requests(path, requests)
    command = [
        sys.executable, "-m", "xiaohui.bench.load", "--port", str(port), "--requests", str(path),
        "--connections", str(connections), "--seconds", str(seconds), *(["--repeat"] if repeat else []),
    ]  # fmt: skip
    done = subprocess.run(command, check=True, capture_output=True)
    path.unlink()
    return Report(**json.loads(done.stdout))
