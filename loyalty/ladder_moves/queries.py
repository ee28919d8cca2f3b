"""Reading dry runs and applications of ladders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db

COLUMNS: Final = (
    "id, ladder, version, is_dry, downgrades, status, due_at, after_id, members, looked_at, found, created_by,"
    " created_at, finished_at"
)


@dataclass(frozen=True, slots=True)
class MoveView:
    """How far it came and what it found: `found` as `rules.Found` holds it."""

    id: int
    ladder: str
    version: int
    is_dry: bool
    downgrades: str
    status: str
    due_at: datetime
    after_id: int
    members: int
    looked_at: int
    found: Mapping[str, Any]
    created_by: str
    created_at: datetime
    finished_at: datetime | None


def view_of(row: db.Row) -> MoveView:
    """The view of a row that has all of `COLUMNS`."""
    return MoveView(**{**dict(row), "found": orjson.loads(row["found"])})


async def find(move_id: int) -> MoveView | None:
    """One of them."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM ladder_move WHERE id = $1", move_id)
    return None if row is None else view_of(row)


async def of_ladder(ladder: str, *, limit: int = 20) -> Sequence[MoveView]:
    """The latest of a ladder, newest first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM ladder_move WHERE ladder = $1 ORDER BY id DESC LIMIT $2", ladder, min(limit, 100)
    )
    return [view_of(row) for row in rows]
