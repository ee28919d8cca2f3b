"""The embedded PostgreSQL: one private cluster in the data folder, reachable only through a private unix socket."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from xiaohui.embedded.account import Account, has_name
from xiaohui.embedded.engines import PostgresEngine, find_postgres, reachable_postgres
from xiaohui.embedded.folders import owned_folder
from xiaohui.embedded.process import (
    POLL_S,
    Launch,
    ServerProcess,
    end_leftover,
    guarded,
    is_server,
    trim_log,
)
from xiaohui.embedded.refusals import NamelessUser, ServerDied

NAME = "PostgreSQL"
ROLE = "xiaohui"
DATABASE = "xiaohui"
START_PATIENCE_S = 60.0
"""Recovery after a crash replays the log; anything longer than this is not a start any more."""

BUILTIN_LOCALE_SINCE = 17
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
_STILL_SHARED = "pre-existing shared memory block"


@dataclass
class EmbeddedPostgres:
    """One PostgreSQL under `folder`: `launch()` returns at once, `wait()` when it accepts connections."""

    folder: Path
    sockets: Path
    log: Path
    account: Account
    progress: Callable[[str], None]
    fleeting: bool = False
    """The data is thrown away after use, so creating it need not be flushed to disk. Running always is."""

    _process: ServerProcess | None = field(default=None, init=False)
    _before: bytes = field(default=b"", init=False)

    @property
    def url(self) -> str:
        """The address for Tortoise and asyncpg; the socket folder travels as the query's `host`."""
        return f"postgres://{ROLE}@/{DATABASE}?host={quote(str(self.sockets), safe='/')}"

    @property
    def process(self) -> ServerProcess:
        """The running server; only after `launch()`."""
        if self._process is None:
            raise RuntimeError("PostgreSQL was not launched")
        return self._process

    def launch(self) -> None:
        """Create the data folder at the first start, outlive what a killed run left, and start the server."""
        engine = reachable_postgres(find_postgres(self._major_of_data()), self.account, self.progress)
        if not self.folder.exists():
            self._create(engine)
        self._outlive_leftover()
        environment = {**_ENVIRONMENT, "PG_GRANDPARENT_PID": str(os.getpid())}
        self._start(Launch(NAME, self._command(engine), self.folder, self.log, signal.SIGINT, environment))

    def wait(self) -> None:
        """Return when connections are accepted; raises `ServerDied` with the end of its log when that fails."""
        deadline = time.monotonic() + START_PATIENCE_S
        while not self._ready():
            if not self.process.alive():
                # Backends of a server that was itself killed need a moment to notice it and let the memory go.
                if _STILL_SHARED not in self.process.log_tail() or time.monotonic() > deadline:
                    raise self.process.died()
                time.sleep(10 * POLL_S)
                self._start(self.process.launch)
            elif time.monotonic() > deadline:
                self.stop()
                raise self.process.died()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Disconnect clients and shut down cleanly."""
        if self._process is not None:
            self._process.stop()

    def _start(self, launch: Launch) -> None:
        self._before = self._pid_file()
        self._process = ServerProcess(launch, self.account)

    def _major_of_data(self) -> int | None:
        version = self.folder / "PG_VERSION"
        return int(version.read_text("ascii")) if version.exists() else None

    def _create(self, engine: PostgresEngine) -> None:
        if not has_name(self.account.uid):
            raise NamelessUser(self.account.uid)
        self.progress("首次启动：正在创建 PostgreSQL 数据目录 · first start: creating the PostgreSQL data folder")
        for unfinished in self.folder.parent.glob(f"{self.folder.name}.new-*"):
            shutil.rmtree(unfinished)
        making = owned_folder(self.folder.with_name(f"{self.folder.name}.new-{os.getpid()}"), self.account)
        locale = ["--locale=C", "--encoding=UTF8"]
        if engine.major >= BUILTIN_LOCALE_SINCE:
            locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        flush = ["--no-sync"] if self.fleeting else []
        create = [
            str(engine.initdb),
            "-D",
            str(making),
            "-U",
            ROLE,
            "--auth=trust",
            "--data-checksums",
            *locale,
            *flush,
        ]
        self._run(create, making)
        access = making / "pg_hba.conf"
        access.write_text(f"local all {ROLE} trust\n", encoding="ascii")
        single = [str(engine.postgres), "--single", "-D", str(making), "postgres"]
        self._run(single, making, f"CREATE DATABASE {DATABASE};\n")
        making.rename(self.folder)

    def _run(self, command: list[str], folder: Path, words: str = "") -> None:
        start = trim_log(self.log, self.account)
        launch = Launch(NAME, command, folder, self.log, signal.SIGTERM, _ENVIRONMENT)
        with self.log.open("ab") as log:
            ended = subprocess.run(
                guarded(launch, self.account),
                input=words.encode(),
                stdout=log,
                stderr=log,
                env=_ENVIRONMENT,
                check=False,
            )
        said = self.log.read_bytes()[start:].decode(errors="replace")
        if ended.returncode != 0 or "ERROR:" in said or "FATAL:" in said:
            raise ServerDied(NAME, self.log, "\n".join(said.splitlines()[-12:]))

    def _command(self, engine: PostgresEngine) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": '"' + str(self.sockets).replace('"', '""') + '"',
            "unix_socket_permissions": "0700",
            "fsync": "on",
            "synchronous_commit": "on",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(engine.postgres), "-D", str(self.folder), *flags]

    def _pid_file(self) -> bytes:
        try:
            return (self.folder / "postmaster.pid").read_bytes()
        except FileNotFoundError:
            return b""

    def _ready(self) -> bool:
        # The last line is the server's own status word, as pg_ctl reads it; a killed server leaves the file behind.
        now = self._pid_file()
        return now != self._before and now.rstrip().endswith(b"ready")

    def _outlive_leftover(self) -> None:
        noted = self._pid_file()
        if not noted:
            return
        pid = int(noted.split(b"\n", 1)[0])
        end_leftover(pid, self.sockets.name, signal.SIGINT)
        if _exists(pid) and not is_server(pid, self.sockets.name):
            # The number was given to a stranger after a reboot, and PostgreSQL would take the stranger for itself.
            # Our own number (its parent's, or grandparent's by PG_GRANDPARENT_PID) it knows not to be a server, and
            # it still checks the shared memory, which it would not if the file were gone.
            rest = noted.split(b"\n", 1)[1]
            (self.folder / "postmaster.pid").write_bytes(str(os.getpid()).encode() + b"\n" + rest)
        for stale in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self.sockets / stale).unlink(missing_ok=True)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
