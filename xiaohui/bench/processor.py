"""Processor time of processes, which says what an operation costs also while the machine is busy with other things.

Read from `/proc`, so only on Linux and only of processes on this machine; elsewhere nothing is told.
"""

import os
from collections.abc import Collection
from pathlib import Path

from loyalty import db

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND ($1 OR pid <> pg_backend_pid())"


def spent(pids: Collection[int]) -> float | None:
    """Seconds of processor time, user and system, of these processes so far; None where that cannot be read, or of
    nobody."""
    if not pids:
        return None
    total = 0.0
    for pid in pids:
        try:
            told = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except OSError:
            return None
        # The command in brackets may hold blanks; user and system time are the 12th and 13th fields behind it.
        fields = told.rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
    return total


async def database_sessions(*, own: bool) -> list[int]:
    """The server processes of who is connected to this database, with or without the one that answers this; none
    when they run on another machine."""
    pids = [row["pid"] for row in await db.fetch(_SESSIONS, own)]
    return pids if all(_is_postgres(pid) for pid in pids) else []


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text("ascii", "replace").startswith("postgres")
    except OSError:
        return False


def microseconds_each(before: float | None, after: float | None, operations: int) -> float | None:
    """Processor microseconds per operation between two readings."""
    if before is None or after is None or not operations:
        return None
    return round((after - before) / operations * 1_000_000, 1)
