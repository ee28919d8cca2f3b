"""How long a bell takes from one process's commit to another's duty, with and without Redis.

.venv/bin/python docs/decisions/0006_measure.py
"""

import asyncio
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from bot.http import PlatformHttp
from loyalty import config
from scheduler.duty import Duty, Hands
from scheduler.worker import RemoteBell, Worker
from xiaohui.embedded.account import account_for
from xiaohui.embedded.valkey import EmbeddedValkey

RINGS = 200


def _valkey(home: Path) -> EmbeddedValkey:
    home.chmod(0o711)
    account = account_for(home)
    for name in ("s", "log"):
        (home / name).mkdir()
        account.give(home / name)
    server = EmbeddedValkey(home / "valkey", home / "s", home / "log" / "valkey.log", account, lambda _line: None)
    server.launch()
    server.wait()
    return server


async def _measure(redis_url: str) -> list[float]:
    looked = asyncio.Event()

    async def look(_hands: Hands) -> bool:
        looked.set()
        return False

    settings = config.load({"XIAOHUI_REDIS_URL": redis_url})
    duty = Duty("outbox", timedelta(hours=1), look)
    worker = Worker(settings, {}, sms=None, http=PlatformHttp(), duties=[duty])
    working = asyncio.create_task(worker.run())
    bell = RemoteBell(redis_url)
    bell.start()
    await asyncio.sleep(1)
    waits = []
    for _ in range(RINGS):
        looked.clear()
        started = time.perf_counter()
        # As if another process had committed: only the way through Redis counts.
        bell._hear(frozenset({"outbox"}))  # noqa: SLF001
        await looked.wait()
        waits.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(0.03)
    await bell.close()
    await worker.stop()
    await working
    return waits


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="xh-measure-") as folder:
        server = _valkey(Path(folder))
        waits = sorted(asyncio.run(_measure(server.url)))
        server.stop()
    p95 = waits[int(len(waits) * 0.95)]
    print(f"{RINGS} rings: p50 {statistics.median(waits):.0f} ms, p95 {p95:.0f} ms, most {waits[-1]:.0f} ms")  # noqa: T201


if __name__ == "__main__":
    main()
