"""Reading tiers that were set by hand."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from loyalty import db

COLUMNS: Final = (
    "id, staff_id, member_id, ladder, tier, exactly, reason, status, created_at, ends_at, ended_at, ended_by"
)
PAGE_MAX: Final = 100

Status = Literal["pending", "active", "refused", "expired", "ended", "replaced"]


@dataclass(frozen=True, slots=True)
class OverrideView:
    """A tier set by hand. `status` is pending, active, refused, expired, ended or replaced; an active one whose
    `ends_at` has come is over without anybody having done anything."""

    id: int
    staff_id: int
    member_id: int
    ladder: str
    tier: str
    exactly: bool
    reason: str
    status: Status
    created_at: datetime
    ends_at: datetime
    ended_at: datetime | None
    ended_by: int | None
    approved_by: int | None


_SELECT: Final = f"""
SELECT {", ".join(f"o.{column}" for column in COLUMNS.split(", "))}, a.decided_by AS approved_by
FROM tier_override o LEFT JOIN approval a ON a.id = o.approval_id AND a.status = 'approved'
"""


async def of_member(member_id: int, *, limit: int = 20) -> list[OverrideView]:
    """What was set or asked for, newest first."""
    rows = await db.fetch(
        f"{_SELECT} WHERE o.member_id = $1 ORDER BY o.id DESC LIMIT $2", member_id, max(1, min(limit, PAGE_MAX))
    )
    return [OverrideView(**dict(row)) for row in rows]


async def find(override_id: int) -> OverrideView | None:
    """One of them."""
    row = await db.fetch_one(f"{_SELECT} WHERE o.id = $1", override_id)
    return None if row is None else OverrideView(**dict(row))
