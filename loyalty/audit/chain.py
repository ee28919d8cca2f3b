"""The chain over the audit trail: a changed, removed, added or moved entry no longer fits it.

An entry is written without a position, so that no two units of work wait for each other. One sealer at a time gives
what was committed its positions and hashes, a batch a second:

    hash = SHA-256(hash before, space, position, space, content)       in hexadecimal; before the first: 64 zeros

The content is the entry as one JSON array in PostgreSQL's own spelling of `jsonb`. Whoever rewrites the whole chain is
caught only by a head that was kept elsewhere: every day's head is logged, printed and answered for that.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from loyalty import db
from loyalty.clock import business_day

BEFORE_ALL: Final = "0" * 64
BROKEN_MAX: Final = 100

_CONTENT: Final = (
    "jsonb_build_array(e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), e.actor_kind,"
    " e.actor_id, e.action, e.member_id, e.store_id, e.outcome, e.reason, e.details)::text"
)
_WAITING: Final = f"""
SELECT p.id, {_CONTENT} AS content FROM audit_pending p JOIN audit_entry e ON e.id = p.id ORDER BY p.id LIMIT $1
"""
_HEAD: Final = "SELECT position, hash, sealed_at FROM audit_link ORDER BY position DESC LIMIT 1"
_SEAL: Final = """
WITH sealed AS (
    INSERT INTO audit_link (position, entry_id, hash, sealed_at)
    SELECT position, entry_id, hash, $4 FROM unnest($1::bigint[], $2::bigint[], $3::text[])
        AS given(position, entry_id, hash)
    RETURNING entry_id
)
DELETE FROM audit_pending p USING sealed WHERE p.id = sealed.entry_id
"""
_CLOSE: Final = """
INSERT INTO audit_day (day, position, hash) VALUES ($1, $2, $3) ON CONFLICT (day) DO NOTHING
RETURNING day, position, hash
"""


def _broken(since: str) -> str:
    """The query for what does not fit, one text each; links up to position `since` are taken as they are."""
    return f"""
    SELECT what FROM (
        SELECT CASE
            WHEN link.present IS NULL THEN format('entry %s at position %s is gone', entry_id, position)
            WHEN position <> coalesce(before_position, 0) + 1
                THEN format('position %s follows position %s', position, coalesce(before_position, 0))
            ELSE format('entry %s at position %s is not what was sealed', entry_id, position) END AS what
        FROM (
            SELECT l.position, l.entry_id, l.hash, e.id AS present, {_CONTENT} AS content,
                   lag(l.position) OVER one_by_one AS before_position, lag(l.hash) OVER one_by_one AS before
            FROM audit_link l LEFT JOIN audit_entry e ON e.id = l.entry_id WHERE l.position >= {since}
            WINDOW one_by_one AS (ORDER BY l.position)
        ) link
        WHERE position > {since} AND (
            link.present IS NULL OR position <> coalesce(before_position, 0) + 1
            OR hash <> encode(sha256(convert_to(
                coalesce(before, '{BEFORE_ALL}') || ' ' || position || ' ' || content, 'UTF8')), 'hex'))
        UNION ALL
        SELECT format('entry %s was never given to the chain', e.id) FROM audit_entry e
        WHERE NOT EXISTS (SELECT 1 FROM audit_link l WHERE l.entry_id = e.id)
          AND NOT EXISTS (SELECT 1 FROM audit_pending p WHERE p.id = e.id)
          AND ({since} = 0 OR e.id > (SELECT min(entry_id) FROM audit_link WHERE position > {since}))
        UNION ALL
        SELECT format('entry %s was removed before it was sealed', p.id) FROM audit_pending p
        WHERE NOT EXISTS (SELECT 1 FROM audit_entry e WHERE e.id = p.id)
        UNION ALL
        SELECT format('the head of %s at position %s is not in the chain', d.day, d.position) FROM audit_day d
        WHERE NOT EXISTS (SELECT 1 FROM audit_link l WHERE l.position = d.position AND l.hash = d.hash)
    ) broken"""


EVERYTHING_BROKEN: Final = _broken("0")
_BROKEN_SINCE: Final = f"{_broken('$1::bigint')} LIMIT $2"


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain goes."""

    position: int
    hash: str


@dataclass(frozen=True, slots=True)
class DayHead:
    """How far the chain went when a business day was over."""

    day: date
    position: int
    hash: str


async def seal(*, now: datetime, batch_max: int) -> int:
    """Give at most `batch_max` entries their place in the chain, the oldest first; how many. One sealer at a time:
    without its turn, a second one is refused by the key of a position."""
    waiting = await db.fetch(_WAITING, batch_max)
    if not waiting:
        return 0
    before = await head() or Head(0, BEFORE_ALL)
    hashes: list[str] = []
    last = before.hash
    for position, row in enumerate(waiting, start=before.position + 1):
        last = link(last, position, row["content"])
        hashes.append(last)
    positions = range(before.position + 1, before.position + 1 + len(waiting))
    await db.execute(_SEAL, list(positions), [row["id"] for row in waiting], hashes, now)
    return len(waiting)


def link(before: str, position: int, content: str) -> str:
    """The hash at a position: over the one before, the position and the entry's content."""
    return hashlib.sha256(f"{before} {position} {content}".encode()).hexdigest()


async def close_day(zone: ZoneInfo, *, now: datetime) -> DayHead | None:
    """Once a business day is over, keep the head it ended with; what was kept now, if anything was."""
    row = await db.fetch_one(_HEAD)
    if row is None or (day := business_day(row["sealed_at"], zone)) >= business_day(now, zone):
        return None
    kept = await db.fetch_one(_CLOSE, day, row["position"], row["hash"])
    return None if kept is None else DayHead(**dict(kept))


async def head() -> Head | None:
    """The last link; None before there is one."""
    row = await db.fetch_one(_HEAD)
    return None if row is None else Head(row["position"], row["hash"])


async def days(*, limit: int = 31) -> list[DayHead]:
    """The heads of past days, newest first."""
    rows = await db.fetch("SELECT day, position, hash FROM audit_day ORDER BY day DESC LIMIT $1", limit)
    return [DayHead(**dict(row)) for row in rows]


async def waiting() -> int:
    """How many entries the chain has not reached yet."""
    count: int = await db.fetch_value("SELECT count(*) FROM audit_pending")
    return count


async def broken(*, since: int = 0, limit: int = BROKEN_MAX) -> list[str]:
    """What does not fit, each named; links up to position `since` are taken as they are."""
    return [str(row["what"]) for row in await db.fetch(_BROKEN_SINCE, since, limit)]


async def foreign(kept: Sequence[Head]) -> list[Head]:
    """Which of the heads that were kept outside of the database are not in the chain: it was cut or written anew."""
    known = {
        row["position"]: row["hash"]
        for row in await db.fetch(
            "SELECT position, hash FROM audit_link WHERE position = ANY($1)", [each.position for each in kept]
        )
    }
    return [each for each in kept if known.get(each.position) != each.hash]
