"""Reading what goes out: how much waits, and how often somebody was written to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from loyalty import db


@dataclass(frozen=True, slots=True)
class Backlog:
    """`due` messages that wait for a sender now, the age in seconds of the oldest, and all that are queued."""

    queued: int
    due: int
    oldest_age_s: float


async def backlog(*, now: datetime) -> Backlog:
    """How far behind the senders are."""
    row = await db.fetch_one(
        "SELECT count(*) AS queued, count(*) FILTER (WHERE due_at <= $1) AS due,"
        " coalesce(extract(epoch FROM $1 - min(due_at) FILTER (WHERE due_at <= $1)), 0)::float AS age"
        " FROM outbox WHERE status IN ('queued', 'leased', 'sending')",
        now,
    )
    return Backlog(row["queued"], row["due"], row["age"]) if row is not None else Backlog(0, 0, 0.0)


async def marketing_since(member_id: int, since: datetime) -> int:
    """How many marketing messages were sent, or may have been, to a member since `since`."""
    count: int = await db.fetch_value(
        "SELECT count(*) FROM outbox WHERE member_id = $1 AND send_class = 'marketing'"
        " AND status IN ('accepted', 'unknown', 'sending') AND coalesce(finished_at, due_at) >= $2",
        member_id,
        since,
    )
    return count


async def outcomes(keys: list[str]) -> Mapping[str, tuple[str, str | None]]:
    """Status and code of messages by key."""
    rows = await db.fetch("SELECT key, status, code FROM outbox WHERE key = ANY($1)", keys)
    return {row["key"]: (row["status"], row["code"]) for row in rows}
