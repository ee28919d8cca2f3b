"""Both embedded servers together: one instance per home, started side by side, stopped together.

    running = EmbeddedServers(home).start(print)
    ...  # running.database_url, running.redis_url
    running.stop()

Tests take `EmbeddedServers.temporary()`, which cleans up after itself.
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from xiaohui.embedded.account import account_for
from xiaohui.embedded.folders import data_folder, make_home, socket_folder
from xiaohui.embedded.postgres import EmbeddedPostgres
from xiaohui.embedded.process import POLL_S
from xiaohui.embedded.refusals import AlreadyRunning
from xiaohui.embedded.valkey import EmbeddedValkey

_TEMPORARY = "xiaohui-temporary-"
_ANNOUNCEMENT = "servers.json"
_LOCK_ATTEMPTS = 10


@dataclass(frozen=True)
class Addresses:
    """Where the servers of a home are reached, for a second command beside a running one."""

    database_url: str
    redis_url: str


@dataclass
class Running:
    """Two running servers. Stopping twice is fine; as a context manager it stops at the end."""

    postgres: EmbeddedPostgres
    valkey: EmbeddedValkey
    _release: contextlib.ExitStack = field(repr=False)

    @property
    def database_url(self) -> str:
        """The address of the database, for Tortoise and asyncpg."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        """The address of Valkey, for `redis.asyncio` and ARQ."""
        return self.valkey.url

    def dead(self) -> list[str]:
        """The names of servers that have ended although nobody stopped them; empty while all is well."""
        return [server.process.launch.name for server in (self.postgres, self.valkey) if not server.process.alive()]

    def stop(self) -> None:
        """Stop both servers cleanly and give the home free."""
        self._release.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class EmbeddedServers:
    """PostgreSQL and Valkey with their data under `home`."""

    def __init__(self, home: Path, *, fleeting: bool = False) -> None:
        self.home = home.absolute()
        self._fleeting = fleeting

    @classmethod
    def temporary(cls) -> "EmbeddedServers":
        """Servers in a folder of their own that disappears when they are stopped; what killed runs left goes now."""
        parent = Path(tempfile.gettempdir())
        for left in parent.glob(f"{_TEMPORARY}*"):
            _remove_if_abandoned(left)
        home = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=parent))
        if os.geteuid() == 0:
            home.chmod(0o711)
        return cls(home, fleeting=True)

    def start(self, progress: Callable[[str], None]) -> Running:
        """Start both servers and return when both answer; `progress` gets a line for what takes time.

        Raises `CannotStart`; as `AlreadyRunning` when another process holds the home.
        """
        with contextlib.ExitStack() as undo:
            make_home(self.home)
            undo.enter_context(_only_one(self.home))
            if self._fleeting:
                undo.callback(shutil.rmtree, self.home, ignore_errors=True)
            account = account_for(self.home)
            data = data_folder(self.home, account, progress)
            sockets = socket_folder(self.home, account)
            undo.callback(shutil.rmtree, sockets, ignore_errors=True)
            if self._fleeting:
                undo.callback(shutil.rmtree, data, ignore_errors=True)
            logs = self.home / "log"
            logs.mkdir(exist_ok=True)
            account.give(logs)
            postgres = EmbeddedPostgres(
                data / "postgres",
                sockets,
                logs / "postgres.log",
                account,
                progress,
                self._fleeting,
            )
            valkey = EmbeddedValkey(data / "valkey", sockets, logs / "valkey.log", account, progress)
            for server in (valkey, postgres):
                undo.callback(server.stop)
                server.launch()
            valkey.wait()
            postgres.wait()
            undo.enter_context(_announced(self.home, Addresses(postgres.url, valkey.url)))
            return Running(postgres, valkey, undo.pop_all())

    def running(self) -> Addresses | None:
        """The addresses of servers that some process runs from this home at this moment; None when nobody does."""
        try:
            with (self.home / "servers.lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _announcement(self.home)
        except FileNotFoundError:
            return None
        return None


@contextlib.contextmanager
def _only_one(home: Path) -> Iterator[None]:
    with (home / "servers.lock").open("a+", encoding="ascii") as lock:
        # `running()` of another command holds the lock for an instant; only who holds it longer is an instance.
        for attempt in range(_LOCK_ATTEMPTS):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                lock.seek(0)
                if attempt + 1 == _LOCK_ATTEMPTS:
                    raise AlreadyRunning(home, int(lock.read() or 0)) from None
                time.sleep(POLL_S)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
        lock.truncate(0)


@contextlib.contextmanager
def _announced(home: Path, addresses: Addresses) -> Iterator[None]:
    announcement = home / _ANNOUNCEMENT
    announcement.write_text(json.dumps(asdict(addresses)), encoding="utf-8")
    yield
    announcement.unlink(missing_ok=True)


def _announcement(home: Path) -> Addresses | None:
    try:
        return Addresses(**json.loads((home / _ANNOUNCEMENT).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        # The other process is still starting.
        return None


def _remove_if_abandoned(home: Path) -> None:
    try:
        # Without the lock file it is about to be started by another process.
        with (home / "servers.lock").open("r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(home, ignore_errors=True)
    except OSError:
        # Somebody else's folder, or one in use.
        return
