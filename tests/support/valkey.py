"""A Valkey of a test's own, which may be emptied and killed without hurting anybody."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from xiaohui.bench.stage import free_port
from xiaohui.embedded.engines import find_valkey

START_S = 20.0


@contextmanager
def own_valkey(folder: Path) -> Iterator[str]:
    """Its address."""
    port = free_port()
    command = [str(find_valkey()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours
    url = f"redis://127.0.0.1:{port}/0"
    try:
        _wait(url)
        yield url
    finally:
        process.kill()
        process.wait()


def empty(url: str) -> None:
    """FLUSHALL."""
    with Redis.from_url(url) as client:
        client.flushall()


def _wait(url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with Redis.from_url(url) as client:
                client.ping()
        except RedisError:
            assert time.monotonic() < deadline, "Valkey did not start"
            time.sleep(0.05)
        else:
            return
