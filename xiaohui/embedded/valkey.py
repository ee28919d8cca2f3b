"""The embedded Valkey: the bell and the bulk queue, on a private unix socket, written to disk once a second.

Rows in PostgreSQL are the truth, so a queue file that is broken beyond its last record is set aside, not a reason to
refuse the start.
"""

import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from xiaohui.embedded.account import Account
from xiaohui.embedded.engines import find_valkey, reachable_valkey
from xiaohui.embedded.folders import owned_folder
from xiaohui.embedded.process import POLL_S, Launch, ServerProcess, end_leftover

NAME = "Valkey"
START_PATIENCE_S = 30.0
_PID_FILE = "server.pid"


@dataclass
class EmbeddedValkey:
    """One Valkey under `folder`. `launch()` returns at once, `wait()` when it answers, `stop()` cleanly."""

    folder: Path
    sockets: Path
    log: Path
    account: Account
    progress: Callable[[str], None]

    _process: ServerProcess | None = field(default=None, init=False)

    @property
    def socket(self) -> Path:
        """The path of the unix socket."""
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """The address for `redis.asyncio` and ARQ."""
        return f"unix://{quote(str(self.socket), safe='/')}"

    @property
    def process(self) -> ServerProcess:
        """The running server; only after `launch()`."""
        if self._process is None:
            raise RuntimeError("Valkey was not launched")
        return self._process

    def launch(self) -> None:
        """Outlive what a killed run left behind, and start the server."""
        program = reachable_valkey(find_valkey(), self.account, self.progress)
        owned_folder(self.folder, self.account)
        end_leftover(self._noted_pid(), self.sockets.name, signal.SIGTERM)
        launch = Launch(NAME, self._command(program), self.folder, self.log, signal.SIGTERM, {"LC_ALL": "C"})
        self._process = ServerProcess(launch, self.account)

    def wait(self) -> None:
        """Return when it answers; raises `ServerDied` with the end of its log when it does not."""
        deadline = time.monotonic() + START_PATIENCE_S
        while not self._answers():
            if not self.process.alive():
                self._set_broken_file_aside()
            elif time.monotonic() > deadline:
                self.stop()
                raise self.process.died()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Write everything to disk and end."""
        if self._process is not None:
            self._process.stop()

    def _set_broken_file_aside(self) -> None:
        if "AOF" not in self.process.log_tail() or not (self.folder / "appendonlydir").exists():
            raise self.process.died()
        count = sum(1 for _ in self.folder.parent.glob(f"{self.folder.name}.broken-*"))
        aside = self.folder.with_name(f"{self.folder.name}.broken-{count + 1}")
        self.folder.rename(aside)
        owned_folder(self.folder, self.account)
        self.progress(
            f"队列文件已损坏，移到 {aside}，以空队列启动；数据库里的数据不受影响 · "
            f"the queue file is broken and was moved to {aside}; "
            f"starting with an empty queue, the database is not affected"
        )
        self._process = ServerProcess(self.process.launch, self.account)

    def _command(self, program: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            # Relative: the guard has entered the folder, whose own name may hold what a setting cannot.
            "dir": "./",
            "pidfile": _PID_FILE,
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
        }
        return [
            str(program),
            *(part for name, value in settings.items() for part in (f"--{name}", value)),
        ]

    def _noted_pid(self) -> int:
        try:
            return int((self.folder / _PID_FILE).read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(1.0)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
