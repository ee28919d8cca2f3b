"""A worker in a process of its own, with a platform that writes down what reached it before it answers.

python -m tests.scheduler.worker_process SENT_FILE SECONDS_AHEAD
"""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

from bot.channel import Outgoing
from bot.http import PlatformHttp
from loyalty import clock, config, db, vault
from scheduler.worker import Worker
from tests.scheduler.stage import Platform

TEST_SECRET = b"a root secret for tests only, 32+ bytes"


def _written(path: Path) -> Platform:
    async def write(message: Outgoing) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{message.client_message_id} {message.external_id}\n")
            file.flush()
            os.fsync(file.fileno())

    return Platform("telegram", before=write)


async def _main(sent: Path, ahead_s: float) -> None:
    settings = config.load()
    assert settings.database_url is not None
    vault.unlock(TEST_SECRET)
    await db.connect(settings.database_url, pool_size=6)
    clock.shift(timedelta(seconds=ahead_s))
    http = PlatformHttp()
    worker = Worker(settings, {("telegram", "main"): _written(sent)}, sms=None, http=http)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    working = asyncio.create_task(worker.run())
    print("working", flush=True)  # noqa: T201 - the test waits for it
    await stop.wait()
    await worker.stop()
    await working
    await http.close()
    await db.disconnect()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), float(sys.argv[2])))
