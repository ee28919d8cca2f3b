"""`xiaohui run` as a newcomer meets it: started twice, stopped early, with a server that dies."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.xiaohui.launcher import CHECKOUT, eventually
from xiaohui.bench.stage import free_port

READY_S = 60.0


class Run:
    """One `xiaohui run`."""

    def __init__(self, process: "subprocess.Popen[str]", log: Path, port: int) -> None:
        self.process, self.log, self.port = process, log, port

    def said(self) -> str:
        return self.log.read_text("utf-8")

    def says(self, words: str, within_s: float = READY_S) -> None:
        """Wait for `words`; an end without them is a failure."""
        assert eventually(lambda: words in self.said() or self.process.poll() is not None, within_s), self.said()
        assert words in self.said(), self.said()

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


def environment(home: Path, port: int, **changes: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("XIAOHUI_")}
    return {**clean, "XIAOHUI_HOME": str(home), "PORT": str(port), "XIAOHUI_CONFIG": "xiaohui.toml", **changes}


@contextmanager
def running(home: Path, tmp_path: Path, *, port: int | None = None, **changes: str) -> Iterator[Run]:
    chosen = port or free_port()
    log = tmp_path / f"run-{time.monotonic_ns()}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "xiaohui", "run"],
            env=environment(home, chosen, **changes),
            cwd=CHECKOUT,
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        yield Run(process, log, chosen)
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(40)


def command(home: Path, *arguments: str, **changes: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "xiaohui", *arguments],
        env=environment(home, 0, **changes),
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_start_doctor_and_a_dying_server(home: Path, tmp_path: Path) -> None:
    with running(home, tmp_path) as first:
        first.says("Xiaohui is ready")
        assert "demo data: 120 members" in first.said()

        with running(home, tmp_path, port=first.port) as second:
            assert second.process.wait(30) == 3
            assert f"already running: process {first.process.pid}" in second.said()
            assert "is taken" not in second.said()

        processes = set(_servers(home))
        examined = command(home, "doctor")
        assert examined.returncode == 0, examined.stdout
        assert "answers" in examined.stdout
        assert set(_servers(home)) == processes

        os.kill(next(pid for pid, name in _servers(home).items() if "postgres" in name), signal.SIGKILL)
        assert first.process.wait(40) == 1
        assert "PostgreSQL has ended unexpectedly" in first.said()
        assert first.said().endswith("make run starts it again.\n")
    assert eventually(lambda: not _servers(home))

    # What was killed recovers, and what nobody runs can be examined too.
    examined = command(home, "doctor")
    assert examined.returncode == 0, examined.stdout
    assert "Xiaohui is not running" in examined.stdout
    assert not _servers(home)


def _servers(home: Path) -> dict[int, str]:
    """The servers of a home by process id: those whose command line or folder names it."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            parent = (process / "stat").read_text().rsplit(")", 1)[1].split()[1]
            folder = str((process / "cwd").readlink())
        except OSError:
            continue
        if str(home) in folder and re.search(r"postgres|valkey|redis-server", line.split(" ")[0]):
            above = Path(f"/proc/{parent}/cmdline")
            if not (above.exists() and b"postgres" in above.read_bytes().split(b"\0")[0]):
                found[int(process.name)] = line.split(" ")[0]
    return found


def test_ctrl_c_while_seeding_resumes_at_the_next_start(home: Path, tmp_path: Path) -> None:
    with running(home, tmp_path) as first:
        first.says("schema 0002")
        assert first.end() == 0
        assert "stopping, your data stays" in first.said()
        assert "Traceback" not in first.said()
        assert "Xiaohui is ready" not in first.said()
    assert not (home / "demo.json").exists()
    with running(home, tmp_path) as second:
        second.says("Xiaohui is ready")
        assert "demo data: 120 members" in second.said()
        assert second.end(signal.SIGTERM) == 0
    with running(home, tmp_path, XIAOHUI_SECRET="another root secret of 32 bytes or more") as third:
        assert third.process.wait(READY_S) == 2
        assert "was sealed with another secret" in third.said()
    assert command(home, "fsck").returncode == 0
    assert command(home, "doctor", XIAOHUI_SECRET="another root secret of 32 bytes or more").returncode == 1


def test_a_taken_port_is_said_and_the_servers_end(home: Path, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with running(home, tmp_path, port=other.getsockname()[1]) as run:
            assert run.process.wait(30) == 3
            assert "is taken. Choose another one" in run.said()
    assert not _servers(home)


def test_doctor_in_a_folder_where_nothing_was_started(tmp_path: Path) -> None:
    examined = command(tmp_path / "nowhere", "doctor")
    assert examined.returncode == 1
    assert "make run" in examined.stdout
    assert not (tmp_path / "nowhere").exists()
