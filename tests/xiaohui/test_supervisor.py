"""Processes that cannot start are tried with growing pauses and then given up; see test_production.py for the rest."""

import subprocess
import sys
import time

from tests.xiaohui.launcher import CHECKOUT

HOPELESS = """
import sys
from xiaohui import supervisor
supervisor.PAUSE_S = 0.1
def work():
    print("tried", flush=True)
    return 1
sys.exit(supervisor.supervise(work, 3, let_go=lambda: None))
"""
CRASHES_ONCE = """
import os, signal, sys, time, pathlib
from xiaohui import supervisor
def work():
    try:
        pathlib.Path(sys.argv[1]).touch(exist_ok=False)
        os._exit(1)
    except FileExistsError:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        os.kill(os.getppid(), signal.SIGTERM)
        time.sleep(60)
sys.exit(supervisor.supervise(work, 1, let_go=lambda: print("let go", flush=True)))
"""


def run(script: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """What a supervisor did that could only be stopped by itself."""
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60)


def test_processes_that_cannot_start_are_not_forked_for_ever() -> None:
    began = time.monotonic()
    ended = run(HOPELESS)
    assert ended.returncode == 1
    # Three at once, and then one by one with pauses of 0.2, 0.4 … until five have failed.
    assert 5 <= ended.stdout.count("tried") <= 8
    assert time.monotonic() - began > 0.2
    assert "no web process can start" in ended.stderr


def test_a_crash_at_the_first_start_is_tried_again(tmp_path: object) -> None:
    ended = run(CRASHES_ONCE, f"{tmp_path}/crashed")
    assert ended.returncode == 0
    assert "ended (1)" in ended.stderr
    assert ended.stdout == "let go\n"
