"""Reading the audit trail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db

PAGE_MAX: Final = 100

_COLUMNS = "id, at, actor_kind, actor_id, action, member_id, store_id, outcome, reason, details"


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry of the trail."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: int | None
    action: str
    member_id: int | None
    store_id: int | None
    outcome: str
    reason: str
    details: Mapping[str, Any]


async def about_member(member_id: int, *, before_id: int | None = None, limit: int = 20) -> list[AuditRow]:
    """What was done to a member, newest first; page on with the last row's id."""
    return _rows(
        await db.fetch(
            f"SELECT {_COLUMNS} FROM audit_entry WHERE member_id = $1 AND ($2::bigint IS NULL OR id < $2)"
            " ORDER BY id DESC LIMIT $3",
            member_id,
            before_id,
            min(limit, PAGE_MAX),
        )
    )


async def by_actor(kind: str, actor_id: int | None, *, before_id: int | None = None, limit: int = 20) -> list[AuditRow]:
    """What one actor did or tried, newest first."""
    return _rows(
        await db.fetch(
            f"SELECT {_COLUMNS} FROM audit_entry WHERE actor_kind = $1 AND actor_id IS NOT DISTINCT FROM $2"
            " AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4",
            kind,
            actor_id,
            before_id,
            min(limit, PAGE_MAX),
        )
    )


def _rows(rows: Sequence[db.Row]) -> list[AuditRow]:
    return [AuditRow(**{**dict(row), "details": orjson.loads(row["details"])}) for row in rows]
