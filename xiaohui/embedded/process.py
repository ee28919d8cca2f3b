"""One server process under the guard: start it, watch it, stop it, and deal with what a killed run left behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xiaohui.embedded.account import Account
from xiaohui.embedded.refusals import ServerDied

LOG_LIMIT_BYTES = 5_000_000
POLL_S = 0.01
_GUARD = Path(__file__).with_name("guard.py")


@dataclass(frozen=True)
class Launch:
    """What to execute and how it is to end. `stop_signal` is the clean stop, also sent when the launcher dies."""

    name: str
    command: Sequence[str]
    folder: Path
    log: Path
    stop_signal: signal.Signals
    environment: dict[str, str] = field(default_factory=dict)


class ServerProcess:
    """A running server that cannot outlive this process, even when this process is killed with signal 9."""

    def __init__(self, launch: Launch, account: Account) -> None:
        self.launch = launch
        self._lifeline: int | None = None
        self._log_start = trim_log(launch.log, account)
        watch: list[str] = []
        inherited: tuple[int, ...] = ()
        if not _kernel_ends_children():
            # We keep the write end; the supervisor learns from its closing that we are gone.
            theirs, self._lifeline = os.pipe()
            inherited, watch = (theirs,), ["--watch", str(theirs)]
        with launch.log.open("ab") as log:
            self._popen = subprocess.Popen(
                guarded(launch, account, watch),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=launch.environment,
                pass_fds=inherited,
                # Ctrl-C in a terminal goes to the whole process group; the servers must outlive the app's draining.
                start_new_session=True,
            )
        for descriptor in inherited:
            os.close(descriptor)

    @property
    def pid(self) -> int:
        """The process that was started (the supervisor where the kernel cannot tie lives together)."""
        return self._popen.pid

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._popen.poll() is None

    def log_tail(self, lines: int = 12) -> str:
        """The last lines this very process wrote to its log."""
        with self.launch.log.open("rb") as log:
            log.seek(self._log_start)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def died(self) -> ServerDied:
        """The refusal that tells why it is not running."""
        return ServerDied(self.launch.name, self.launch.log, self.log_tail())

    def stop(self, patience_s: float = 20.0) -> None:
        """Stop cleanly; after `patience_s` seconds less politely. Safe to call twice."""
        for insistence in (self.launch.stop_signal, signal.SIGQUIT, signal.SIGKILL):
            if self.alive():
                self._popen.send_signal(insistence)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(patience_s)
                break
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def guarded(launch: Launch, account: Account, extra: Sequence[str] = ()) -> list[str]:
    """The command line that runs `launch` under the guard as `account`."""
    demotion = ["--uid", str(account.uid), "--gid", str(account.gid)] if account.demoted else []
    return [
        *(sys.executable, "-I", "-S", str(_GUARD), "--launcher", str(os.getpid())),
        *(
            "--death-signal",
            str(int(launch.stop_signal)),
            "--folder",
            str(launch.folder),
        ),
        *demotion,
        *extra,
        "--",
        *launch.command,
    ]


def _kernel_ends_children() -> bool:
    # The parent-death signal follows the thread that started the child, so it is only right for the main thread.
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def trim_log(log: Path, account: Account) -> int:
    """Make the log exist, empty it when it has grown beyond the limit, and return where new lines will begin."""
    log.touch(mode=0o600)
    account.give(log)
    if log.stat().st_size > LOG_LIMIT_BYTES:
        os.truncate(log, 0)
    return log.stat().st_size


def is_server(pid: int, mark: str) -> bool:
    """Whether process `pid` runs now and is a server of ours, told by `mark` in its command line."""
    if pid <= 0:
        return False
    if sys.platform == "linux":
        try:
            return mark.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
    shown = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        check=False,
    )
    return mark.encode() in shown.stdout


def end_leftover(pid: int, mark: str, stop_signal: signal.Signals, patience_s: float = 15.0) -> None:
    """End a server whose launcher was killed and wait until it is gone; every `patience_s` seconds insist more.

    The caller holds the home's lock, so nobody else wants that server.
    """
    for insistence in (stop_signal, signal.SIGQUIT, signal.SIGKILL):
        deadline = time.monotonic() + patience_s
        if is_server(pid, mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, insistence)
        while is_server(pid, mark) and time.monotonic() < deadline:
            time.sleep(POLL_S)
