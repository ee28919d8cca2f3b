"""The product as its users run it: real web and worker processes, beside platforms played by the sandbox."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from bot.accounts import ChannelAccounts, NoticeTemplate
from tests.conftest import TEST_SECRET
from xiaohui import sandboxed
from xiaohui.bench.stage import free_port
from xiaohui.first_run import development_secrets

CHECKOUT = Path(__file__).resolve().parents[2]
START_S = 60.0
STOP_S = 40.0


@dataclass
class Product:
    """Processes of one deployment. `base` is their address, `platforms` that of the sandbox; logs are in `folder`."""

    base: str
    platforms: str
    folder: Path
    accounts: ChannelAccounts
    environment: dict[str, str]
    running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start(self, *arguments: str, **changes: str) -> "subprocess.Popen[bytes]":
        """`xiaohui <arguments>`, its log in a file named after them."""
        log = self.folder / f"{'-'.join(arguments)}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "xiaohui", *arguments],
                env={**self.environment, **changes},
                cwd=CHECKOUT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.running.append(process)
        return process

    async def serve(self, workers: int) -> "subprocess.Popen[bytes]":
        """`xiaohui web` with so many processes, answering."""
        supervisor = self.start("web", "--workers", str(workers))
        await self.ready(lambda: len(children(supervisor.pid)) >= (workers if workers > 1 else 0))
        return supervisor

    async def ready(self, also: Callable[[], bool] = lambda: True) -> None:
        """Wait for `/readyz`."""
        deadline = time.monotonic() + START_S
        async with ClientSession(timeout=ClientTimeout(total=5)) as client:
            while time.monotonic() < deadline:
                try:
                    async with client.get(f"{self.base}/readyz") as answer:
                        if answer.status == web.HTTPOk.status_code and also():
                            return
                except (ClientError, OSError, TimeoutError):
                    pass
                assert self.running, "nothing was started"
                assert self.running[-1].poll() is None, self.logs()[-3000:]
                await asyncio.sleep(0.1)
        raise AssertionError(f"not ready in {START_S} s: {self.logs()[-3000:]}")

    async def stop(self) -> None:
        """End everything politely; a process that does not end is a failure."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            await asyncio.to_thread(process.wait, STOP_S)
        self.running.clear()

    def kill(self) -> None:
        """End everything that is left, without asking."""
        for process in self.running:
            for pid in (*children(process.pid), process.pid):
                kill(pid)
            process.wait()
        self.running.clear()

    def logs(self) -> str:
        """What all processes have written."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self.folder.glob("*.log")))


def children(pid: int) -> list[int]:
    """Child processes that are alive."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [int(child) for child in listed if is_alive(int(child))]


def is_alive(pid: int) -> bool:
    """Whether the process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has come so far that it handles the signal."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def kill(pid: int) -> None:
    """Signal 9; a process that is gone already stays gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def rss_bytes(pid: int) -> int:
    """Resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def deployed(
    folder: Path, database_url: str, redis_url: str, *, config: str | None = None
) -> AsyncIterator[Product]:
    """A deployment whose platforms are a sandbox on a port of its own; `config` replaces the channel accounts."""
    port, platforms = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    accounts = sandboxed.accounts(development_secrets(folder), f"http://127.0.0.1:{platforms}")
    (folder / "xiaohui.toml").write_text(config if config is not None else to_toml(accounts), "utf-8")
    product = Product(
        base, f"http://127.0.0.1:{platforms}", folder, accounts, _environment(folder, port, database_url, redis_url)
    )
    town = web.Application()
    town.add_subapp("/sandbox", sandboxed.sandbox(accounts, base, folder / "sandbox"))
    runner = web.AppRunner(town, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", platforms).start()
    try:
        yield product
        await product.stop()
    finally:
        product.kill()
        await runner.cleanup()


def _environment(folder: Path, port: int, database_url: str, redis_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("XIAOHUI_")},
        "XIAOHUI_CONFIG": str(folder / "xiaohui.toml"),
        "XIAOHUI_DATABASE_URL": database_url,
        "XIAOHUI_REDIS_URL": redis_url,
        "XIAOHUI_SECRET": TEST_SECRET.decode(),
        "XIAOHUI_HOME": str(folder),
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "XIAOHUI_DRAIN_S": "0",
        "XIAOHUI_POOL_SIZE": "4",  # four web processes and a worker keep within the twenty of tests/conftest.py
    }


def to_toml(accounts: ChannelAccounts) -> str:
    """The accounts as the tables of a configuration file."""
    lines: list[str] = []
    for section in ("wechat_oa", "wechat_mini", "wecom", "telegram"):
        for account in getattr(accounts, section):
            lines += [f"[[channel.{section}]]", *_settings(account)]
    if accounts.sms is not None:
        lines += ["[sms]", *_settings(accounts.sms)]
    return "\n".join(lines) + "\n"


def _settings(account: Any) -> list[str]:
    return [f"{each.name} = {_toml(getattr(account, each.name))}" for each in fields(account)]


def _toml(value: object) -> str:
    match value:
        case NoticeTemplate():
            return _toml({"id": value.template_id, "fields": value.fields, "page": value.page})
        case Mapping():
            return "{" + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + "}"
        case _:
            # JSON's strings, numbers and booleans are TOML's as well.
            return json.dumps(value, ensure_ascii=False)
