"""Launchers of embedded servers that can be killed without killing the test."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LAUNCHER = """
import pathlib, sys, threading, time
from xiaohui.embedded.refusals import CannotStart
from xiaohui.embedded.servers import EmbeddedServers
def start():
    try:
        running = EmbeddedServers(pathlib.Path(sys.argv[1])).start(lambda line: print("progress", line, flush=True))
    except CannotStart as refusal:
        print("refused", refusal.exit_status, str(refusal).replace("\\n", " "), flush=True)
        sys.exit(refusal.exit_status)
    print("running", running.postgres.process.pid, running.valkey.process.pid, flush=True)
    sys.stdin.read()
    running.stop()
if sys.argv[2] == "thread":
    worker = threading.Thread(target=start)
    worker.start()
    worker.join()
else:
    start()
"""


@dataclass
class Launched:
    """A process that holds running servers; `postgres` and `valkey` are the started processes."""

    process: "subprocess.Popen[str]"
    postgres: int
    valkey: int
    said: list[str]

    def kill(self) -> None:
        """End it with signal 9, as the kernel's memory killer would."""
        self.process.kill()
        self.process.wait()

    def ended(self) -> bool:
        """Whether both servers are gone."""
        return gone(self.postgres) and gone(self.valkey)

    def finish(self) -> None:
        """Let it stop its servers and end."""
        self.process.communicate("", timeout=30)


@contextmanager
def launched(home: Path, how: str = "main", prefix: tuple[str, ...] = (sys.executable,)) -> Iterator[Launched]:
    """Servers of `home` in a process of their own; `how` is "main" or "thread", `prefix` how Python is called."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), *sys.path[1:]])}
    process = subprocess.Popen(
        [*prefix, "-c", LAUNCHER, str(home), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd="/",
    )
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith(("running", "refused")):
            break
    numbers = [int(number) for number in said[-1].split()[1:]] if said and said[-1].startswith("running") else [0, 0]
    run = Launched(process, numbers[0], numbers[1], said)
    try:
        yield run
    finally:
        process.kill()
        process.communicate()
        assert eventually(run.ended), "servers outlived their launcher"


def eventually(holds: Callable[[], bool], within_s: float = 20.0) -> bool:
    """Whether `holds` becomes true within the time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether no process has this number (a zombie of somebody else's counts as gone)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def quiet(_line: str) -> None:
    """Progress nobody listens to."""
