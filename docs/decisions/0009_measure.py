"""What the embedded servers cost: first start, later starts, and a start after everything was killed.

Run from the checkout: `.venv/bin/python docs/decisions/0009_measure.py`.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from xiaohui.embedded.servers import EmbeddedServers


def started(home: Path) -> float:
    """Seconds from nothing to both servers answering; they are stopped again."""
    begin = time.perf_counter()
    running = EmbeddedServers(home).start(lambda _line: None)
    took = time.perf_counter() - begin
    running.stop()
    return took


def killed(home: Path) -> None:
    """Start them in another process and kill that one without warning."""
    code = (
        "import sys, time; from pathlib import Path; from xiaohui.embedded.servers import EmbeddedServers\n"
        "EmbeddedServers(Path(sys.argv[1])).start(lambda line: None); print('up', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE)  # noqa: S603 - ourselves
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    time.sleep(1)


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # so that the servers' own account passes when this runs as root
        home = Path(folder) / "home"
        first = started(home)
        later = sorted(started(home) for _ in range(5))
        killed(home)
        print(f"first start         {first:.2f} s")  # noqa: T201 - the result
        print(f"later, median of 5  {later[2]:.2f} s")  # noqa: T201 - the result
        print(f"after kill -9       {started(home):.2f} s")  # noqa: T201 - the result


if __name__ == "__main__":
    main()
