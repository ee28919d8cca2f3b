"""Becomes one server process: gives up root, ties its life to the launcher's, then executes the server.

A program of its own rather than a `preexec_fn`, which is unsafe (and warned about) once the launcher has threads.
Run by path with `python -I -S`, so it must not import anything beyond the standard library.

Two ways of dying with the launcher: the kernel's parent-death signal (Linux), or, where `--watch` names the read end
of a pipe, staying behind as a small supervisor that stops the server when the launcher's end of the pipe closes.
"""

import argparse
import ctypes
import os
import signal
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1
CANNOT_DROP_PRIVILEGES = 71
LAUNCHER_IS_GONE = 75
CANNOT_EXECUTE = 126


def main() -> None:
    """Parse the command line and become the server (or its supervisor)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int, default=-1)
    parser.add_argument("--gid", type=int, default=-1)
    parser.add_argument("--launcher", type=int, required=True)
    parser.add_argument("--death-signal", type=int, required=True)
    parser.add_argument("--watch", type=int, default=-1)
    parser.add_argument("--folder", required=True)
    parser.add_argument("command", nargs="+")
    wish = parser.parse_args()
    os.umask(0o077)
    if wish.uid >= 0:
        _drop_privileges(wish.uid, wish.gid)
    os.chdir(wish.folder)
    if wish.watch >= 0:
        _supervise(wish.command, wish.watch, wish.death_signal)
    _die_with(wish.launcher, wish.death_signal)
    _execute(wish.command)


def _drop_privileges(uid: int, gid: int) -> None:
    try:
        os.setgroups([])
        os.setresgid(gid, gid, gid) if hasattr(os, "setresgid") else os.setgid(gid)
        os.setresuid(uid, uid, uid) if hasattr(os, "setresuid") else os.setuid(uid)
    except OSError as refusal:
        sys.stderr.write(f"cannot become user id {uid}: {refusal}\n")
        sys.exit(CANNOT_DROP_PRIVILEGES)


def _die_with(launcher: int, death_signal: int) -> None:
    # After the change of user, which clears the setting; and before the check, which closes the gap in between.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != launcher:
        sys.exit(LAUNCHER_IS_GONE)


def _execute(command: list[str]) -> None:
    try:
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as refusal:
        sys.stderr.write(f"cannot execute {command[0]}: {refusal}\n")
        sys.stderr.flush()
        os._exit(CANNOT_EXECUTE)


def _supervise(command: list[str], watch: int, death_signal: int) -> None:
    server = os.fork()
    if server == 0:
        _execute(command)

    def forward(number: int, _frame: FrameType | None) -> None:
        os.kill(server, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, forward)

    def stop_when_launcher_is_gone() -> None:
        while os.read(watch, 1):
            pass
        os.kill(server, death_signal)

    threading.Thread(target=stop_when_launcher_is_gone, daemon=True).start()
    _, status = os.waitpid(server, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
