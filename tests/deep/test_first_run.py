"""What a newcomer does: a fresh clone in a folder with a space and Chinese characters, `make run`, a check-in.

As root and as an ordinary user, twice at once, after signal 9, and how long the second start takes.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.support.product import CHECKOUT, is_alive, kill
from xiaohui.bench.stage import free_port

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

SETUP_S = 600.0
START_S = 120.0
SECOND_START_S = 5.0
ANOTHER_RUNS = 3
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass
class House:
    """A clone of the project that belongs to one user."""

    folder: Path
    user: str
    started: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def make(self, *arguments: str, **more: str) -> "subprocess.Popen[bytes]":
        """`make <arguments>` as that user, with nothing of this process's environment."""
        who = pwd.getpwnam(self.user)
        environment = {"PATH": PATH, "HOME": str(self.folder.parent), "LC_ALL": "C.UTF-8", **more}
        with (self.folder.parent / "run.log").open("ab") as log:
            process = subprocess.Popen(  # noqa: S603
                ["/usr/bin/make", *arguments],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=who.pw_uid,
                group=who.pw_gid,
                extra_groups=[],
            )
        self.started.append(process)
        return process

    def said(self) -> str:
        """Everything printed so far."""
        return (self.folder.parent / "run.log").read_text("utf-8", "replace")


@pytest.fixture(params=["root", "daemon"])
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    """A fresh clone in `小惠 house/新 克隆`."""
    user = str(request.param)
    if os.geteuid() != 0:
        pytest.skip("changing users takes root")
    top = Path(tempfile.mkdtemp(prefix="xiaohui-first-run-"))
    folder = top / "小惠 house" / "新 克隆"
    folder.parent.mkdir()
    subprocess.run(["git", "clone", "-q", str(CHECKOUT), str(folder)], check=True)  # noqa: S603, S607
    who = pwd.getpwnam(user)
    for path in (top, *top.rglob("*")):
        os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)
    top.chmod(0o755)
    made = House(folder, user)
    yield made
    for process in made.started:
        end_session(process)
    shutil.rmtree(top, ignore_errors=True)


def end_session(process: "subprocess.Popen[bytes]") -> None:
    """Kill what was started in the process's own session."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def product_of(process: "subprocess.Popen[bytes]") -> int:
    """The Python process behind `make run`."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            session = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3])
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            continue
        if session == process.pid and b"xiaohui" in command and b"run" in command:
            return int(entry.name)
    raise AssertionError("the product is not running")


async def ready(house: House, process: "subprocess.Popen[bytes]", port: int, *, within_s: float) -> float:
    """Seconds until the product answers."""
    started = time.monotonic()
    async with ClientSession(timeout=ClientTimeout(total=3)) as session:
        while time.monotonic() - started < within_s:
            assert process.poll() is None, house.said()[-3000:]
            try:
                async with session.get(f"http://127.0.0.1:{port}/readyz") as answer:
                    if answer.status == 200:
                        return time.monotonic() - started
            except (ClientError, OSError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
    raise AssertionError(f"not ready in {within_s} s: {house.said()[-3000:]}")


async def says(port: int, text: str) -> str:
    """The sandbox's first person says `text` in the official account; the answer."""
    async with ClientSession() as session:
        base = f"http://127.0.0.1:{port}/sandbox/control/people/lin/act/wechat_oa"
        await (await session.post(f"{base}/follow", json={})).read()
        async with session.post(f"{base}/say", json={"text": text}) as answer:
            lines = (await answer.json())["lines"]
    return "\n".join(line["text"] for line in lines if line["from"] == "account")


async def test_the_first_run_of_a_newcomer(house: House) -> None:
    setup = house.make("setup")
    assert setup.wait(SETUP_S) == 0, house.said()[-3000:]

    port = free_port()
    running = house.make("run", PORT=str(port))
    first = await ready(house, running, port, within_s=START_S)
    assert "签到成功" in await says(port, "签到")

    other = house.make("run", PORT=str(free_port()))
    assert other.wait(60) != 0
    assert f"Error {ANOTHER_RUNS}" in house.said(), house.said()[-2000:]

    victim = product_of(running)
    kill(victim)
    running.wait(30)
    assert not is_alive(victim)
    port = free_port()
    again = house.make("run", PORT=str(port))
    second = await ready(house, again, port, within_s=START_S)
    print(f"\n{house.user}: first start {first:.1f} s, start after signal 9 {second:.1f} s")  # noqa: T201 - asked for
    assert "当前有 5 积分" in await says(port, "积分")

    os.kill(product_of(again), signal.SIGINT)
    again.wait(60)
    port = free_port()
    third = house.make("run", PORT=str(port))
    took = await ready(house, third, port, within_s=START_S)
    print(f"{house.user}: second start {took:.1f} s")  # noqa: T201 - asked for
    assert took < SECOND_START_S
    assert "签到成功" not in await says(port, "签到")
