"""Starting, killing and watching worker processes, and a Valkey of the test's own."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from xiaohui.embedded.account import account_for
from xiaohui.embedded.valkey import EmbeddedValkey

CHECKOUT = Path(__file__).resolve().parents[2]
NO_REDIS = "redis://127.0.0.1:1/0"


class Running:
    """A worker process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    async def ended(self, within_s: float = 30) -> int:
        """Wait for its end; the exit status."""
        return await asyncio.to_thread(self.process.wait, within_s)

    async def stop(self) -> int:
        """Ask it to end, as an orchestrator does."""
        self.process.send_signal(signal.SIGTERM)
        return await self.ended()


@asynccontextmanager
async def worker(
    database_url: str, sent: Path, *, redis_url: str = NO_REDIS, failpoints: str = "", ahead_s: float = 0
) -> AsyncIterator[Running]:
    """A worker on this database; killed at the end if it still lives."""
    environment = {
        **os.environ,
        "XIAOHUI_DATABASE_URL": database_url,
        "XIAOHUI_REDIS_URL": redis_url,
        "XIAOHUI_FAILPOINTS": failpoints,
        "PYTHONPATH": str(CHECKOUT),
    }
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - our own interpreter; it starts in a moment
        [sys.executable, "-m", "tests.scheduler.worker_process", str(sent), str(ahead_s)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        await asyncio.to_thread(_until_working, process)
        yield Running(process)
    finally:
        process.kill()
        await asyncio.to_thread(process.communicate)


def _until_working(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == "working":
            return


@contextmanager
def own_valkey() -> Iterator[EmbeddedValkey]:
    """A Valkey that a test may stop, stall and empty; started."""
    home = Path(tempfile.mkdtemp(prefix="xh-bells-"))
    home.chmod(0o711)
    account = account_for(home)
    sockets = home / "s"
    sockets.mkdir()
    account.give(sockets)
    (home / "log").mkdir()
    account.give(home / "log")
    server = EmbeddedValkey(home / "valkey", sockets, home / "log" / "valkey.log", account, lambda _line: None)
    server.launch()
    server.wait()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def reached(sent: Path) -> list[str]:
    """The client message ids that reached the platform."""
    return [line.split()[0] for line in sent.read_text("utf-8").splitlines()] if sent.exists() else []


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 20) -> bool:
    """Whether `holds` becomes true in time."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await holds():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True
