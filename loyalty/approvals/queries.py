"""Approvals as requesters and deciders see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import MATRIX, Action, Reach, StaffPrincipal

COLUMNS: Final = (
    "id, public_id, kind, payload, payload_hash, amount, requested_by, store_id, member_id, status, decided_by,"
    " decided_at, created_at, expires_at"
)


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One request of value; `amount` is in points or fen, as its kind says; `member_id` None: it is about nobody."""

    id: int
    public_id: str
    kind: str
    payload: Mapping[str, Any]
    payload_hash: str
    amount: int
    requested_by: int
    store_id: int | None
    member_id: int | None
    status: str
    decided_by: int | None
    decided_at: datetime | None
    created_at: datetime
    expires_at: datetime


def view_of(row: db.Row) -> ApprovalView:
    """The view of a row that has all of `COLUMNS`."""
    return ApprovalView(**{**dict(row), "payload": orjson.loads(row["payload"])})


async def find(public_id: str) -> ApprovalView | None:
    """One approval, whatever its state."""
    row = await db.fetch_one(f"SELECT {COLUMNS} FROM approval WHERE public_id = $1", public_id)
    return None if row is None else view_of(row)


async def waiting_for(principal: StaffPrincipal, *, now: datetime, limit: int = 20) -> list[ApprovalView]:
    """What `principal` could decide now, oldest first.

    Raises:
        Forbidden: the role decides nothing.
    """
    access.authorize(principal, Action.APPROVAL_READ)
    everywhere = MATRIX[principal.role][Action.APPROVAL_READ].reach is Reach.EVERYWHERE
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM approval WHERE status = 'pending' AND expires_at > $1 AND requested_by <> $2"
        " AND ($3::bigint IS NULL OR member_id IS DISTINCT FROM $3) AND ($4 OR store_id = $5) ORDER BY id LIMIT $6",
        now,
        principal.staff_id,
        principal.member_id,
        everywhere,
        principal.store_id,
        limit,
    )
    return [view_of(row) for row in rows]


async def asked_by(staff_id: int, *, limit: int = 20) -> list[ApprovalView]:
    """What one member of staff asked for, newest first."""
    rows = await db.fetch(
        f"SELECT {COLUMNS} FROM approval WHERE requested_by = $1 ORDER BY id DESC LIMIT $2", staff_id, limit
    )
    return [view_of(row) for row in rows]
