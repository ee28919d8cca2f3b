"""Several processes that do the same on one port: a process that dies is replaced, with growing pauses when
none comes up, and none outlives the supervisor.

Signals arrive as bytes on a socket, so that nothing is lost between a fork and the note of it.
"""

import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import typer

PR_SET_PDEATHSIG: Final = 1
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
# Who lived this long had started; who did not could not start.
STARTED_AFTER_S: Final = 5.0
PAUSE_S: Final = 0.5
PAUSE_MAX_S: Final = 15.0
TRIES_MAX: Final = 5
GAVE_UP: Final = 1


@dataclass(slots=True)
class _Crew:
    """The living processes by id with the moment of their start, and how starting goes."""

    work: Callable[[], int]
    count: int
    born: dict[int, float] = field(default_factory=dict)
    failures: int = 0
    not_before: float = 0.0
    stopping: bool = False

    def fill(self) -> None:
        while not self.stopping and len(self.born) < self.count and time.monotonic() >= self.not_before:
            self.born[_forked(self.work)] = time.monotonic()

    def tell(self, number: int) -> None:
        for child in self.born:
            with suppress(ProcessLookupError):
                os.kill(child, number)

    def reap(self) -> None:
        for child, status in _ended():
            lived_s = time.monotonic() - self.born.pop(child, 0.0)
            if not self.stopping:
                self._note(child, status, lived_s)

    def _note(self, child: int, status: int, lived_s: float) -> None:
        typer.echo(f"web process {child} ended ({status}) after {lived_s:.1f} s, starting another", err=True)
        # Whoever was killed from outside says nothing about whether the next one can start.
        could_start = lived_s >= STARTED_AFTER_S or status == -signal.SIGKILL
        self.failures = 0 if could_start else self.failures + 1
        if self.failures > 1:
            self.not_before = time.monotonic() + min(PAUSE_MAX_S, PAUSE_S * 2 ** (self.failures - 2))

    def hopeless(self) -> bool:
        return not self.born and self.failures >= TRIES_MAX


def supervise(work: Callable[[], int], count: int, *, let_go: Callable[[], object]) -> int:
    """Keep `count` processes at `work` until SIGTERM or SIGINT, which are passed on, each time they come.

    `let_go` gives up what this process shares with them at the first of those, so that the last of them closes
    it and not this process, later. `work` runs in each process and returns its exit status; it must take
    SIGTERM as a request to finish.
    1 when no process lives and the last `TRIES_MAX` could not start, else 0 once all have finished.
    """
    crew = _Crew(work, count)
    with _signals() as arriving:
        while True:
            crew.fill()
            if crew.stopping and not crew.born:
                return 0
            if crew.hopeless():
                typer.secho("no web process can start, see above; giving up", err=True, fg="red")
                return GAVE_UP
            for number in _received(arriving, crew.not_before):
                if number != signal.SIGCHLD:
                    crew.stopping = True
                    let_go()
                    crew.tell(signal.SIGTERM)
            crew.reap()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        before = {number: signal.signal(number, lambda _number, _frame: None) for number in SIGNALS}
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield ours
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)


def _received(arriving: socket.socket, not_before: float) -> bytes:
    """The numbers of signals that came, empty when a pause is over before one does."""
    pause = not_before - time.monotonic()
    readable, _, _ = select.select([arriving], [], [], pause if pause > 0 else None)
    return arriving.recv(1024) if readable else b""


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        yield child, os.waitstatus_to_exitcode(status)


def _forked(work: Callable[[], int]) -> int:
    """A new process at `work`. Signals wait until the child has its own dispositions and the parent its number."""
    parent = os.getpid()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        child = os.fork()
        if child:
            return child
        signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        _die_with(parent)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sys.exit(work())


def _die_with(parent: int) -> None:
    """Ask the kernel for a SIGTERM when `parent` is gone, however it went (Linux; elsewhere nothing is promised)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)
