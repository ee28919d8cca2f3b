"""The ladders in force, and what was written of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.ladders.rules import DEFAULT_LADDER, MAIN, Ladder, Ladders, PublishedLadder

# A publication is seen by every process within this time, as that of the terms.
FRESH_FOR: Final = timedelta(seconds=1)
PAGE_MAX: Final = 100

COLUMNS: Final = (
    "id, ladder, version, status, document, created_by, created_at, published_by, published_at, effective_from"
)


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version: a draft, or published with the instant from which it counts."""

    id: int
    version: int
    status: str
    ladder: Ladder
    created_by: str
    created_at: datetime
    published_by: str | None
    published_at: datetime | None
    effective_from: datetime | None


@dataclass(slots=True)
class _Seen:
    read_at: datetime | None = None
    rows: tuple[tuple[datetime, PublishedLadder], ...] = ()


_seen = _Seen()
_BUILT_IN: Final = PublishedLadder(version=0, ladder=DEFAULT_LADDER)


async def in_force(at: datetime, *, now: datetime | None = None) -> Ladders:
    """Of each ladder the newest published version whose `effective_from` is not after `at`; the main one is built in.

    `now` decides how fresh the copy in this process must be and defaults to `at`.
    """
    moment = now or at
    if _seen.read_at is None or not timedelta() <= moment - _seen.read_at < FRESH_FOR:
        await _reread(moment)
    found: dict[str, PublishedLadder] = {}
    for effective_from, published in _seen.rows:
        if effective_from <= at:
            found.setdefault(published.code, published)
    return Ladders({MAIN: found.pop(MAIN, _BUILT_IN), **dict(sorted(found.items()))})


async def _reread(now: datetime) -> None:
    rows = await db.fetch(
        "SELECT ladder, version, effective_from, document FROM ladder_version WHERE status = 'published'"
        " ORDER BY version DESC"
    )
    _seen.rows = tuple(
        (row["effective_from"], PublishedLadder(row["version"], Ladder.model_validate_json(row["document"])))
        for row in rows
    )
    _seen.read_at = now


def forget() -> None:
    """Drop this process's copy (after publishing, and between tests)."""
    _seen.read_at = None
    _seen.rows = ()


async def versions(ladder: str, *, limit: int = 20) -> list[VersionView]:
    """Drafts and publications of a ladder, newest first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM ladder_version WHERE ladder = $1 ORDER BY version DESC LIMIT $2",
        ladder,
        max(1, min(limit, PAGE_MAX)),
    )
    return [view_of(row) for row in rows]


async def version(ladder: str, number: int) -> VersionView | None:
    """One version of a ladder."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM ladder_version WHERE ladder = $1 AND version = $2", ladder, number)
    return None if row is None else view_of(row)


async def codes() -> Sequence[str]:
    """Every ladder that was ever written, the main one first."""
    rows = await db.fetch("SELECT DISTINCT ladder FROM ladder_version ORDER BY ladder")
    return [MAIN, *(row["ladder"] for row in rows if row["ladder"] != MAIN)]


def view_of(row: db.Row) -> VersionView:
    """The view of a row that has all of `COLUMNS`."""
    values = {name: row[name] for name in VersionView.__slots__ if name != "ladder"}
    return VersionView(**values, ladder=Ladder.model_validate_json(row["document"]))
