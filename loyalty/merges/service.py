"""Two members turn out to be one person: everything they own becomes the survivor's, and can go back.

Value moves by ledger operations that keep each lot's expiry, so the sum over both members never changes.
What was moved is recorded row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.events import MembersMerged
from loyalty.ledger import service as ledger
from loyalty.members import service as members
from loyalty.members.service import MemberGone
from loyalty.merges.rules import MOVED_TABLES, Candidate, survivor
from loyalty.spine import service as spine

_LOCK: Final = "SELECT id, status, joined_at FROM member WHERE id = ANY($1) ORDER BY id FOR UPDATE"
_MERGED_INTO: Final = """
WITH RECURSIVE chain AS (
    SELECT $1::bigint AS id, 0 AS depth
    UNION ALL
    SELECT merge.target_id, depth + 1 FROM chain JOIN member_merge merge ON merge.source_id = chain.id
    WHERE merge.undone_at IS NULL
)
SELECT id FROM chain ORDER BY depth DESC LIMIT 1
"""
# The member's own limit per template stays exact: moved coupons count on from the survivor's. A claim key that
# both used (a gift of the same occasion) stays with the survivor's own.
_MOVE_COUPONS: Final = """
WITH before AS (
    SELECT id, ordinal, template_id, claim_key FROM coupon WHERE member_id = $1 ORDER BY id FOR UPDATE
), held AS (
    SELECT template_id, max(ordinal) AS last FROM coupon WHERE member_id = $2 GROUP BY template_id
)
UPDATE coupon SET
    member_id = $2,
    ordinal = before.ordinal + coalesce(held.last, 0),
    claim_key = CASE WHEN EXISTS (
        SELECT 1 FROM coupon mine
        WHERE mine.member_id = $2 AND mine.template_id = before.template_id AND mine.claim_key = before.claim_key
    ) THEN 'merged:' || before.id ELSE before.claim_key END
FROM before LEFT JOIN held USING (template_id)
WHERE coupon.id = before.id
RETURNING coupon.id, before.ordinal, before.claim_key
"""
# A day on which both checked in stays two facts: the second one keeps naming the member that was merged.
_MOVE_CHECK_INS: Final = """
UPDATE check_in SET member_id = $2
WHERE member_id = $1 AND day NOT IN (SELECT day FROM check_in WHERE member_id = $2)
RETURNING id, streak
"""
_JOIN_STREAKS: Final = """
UPDATE check_in SET streak = counted.run
FROM (
    SELECT id, row_number() OVER (PARTITION BY member_id, island ORDER BY day) AS run
    FROM (
        SELECT id, member_id, day, day - (row_number() OVER (PARTITION BY member_id ORDER BY day))::int AS island
        FROM check_in WHERE member_id = $1
    ) AS days
) AS counted
WHERE check_in.id = counted.id AND check_in.streak < counted.run
"""
_COPY_CONSENTS: Final = """
INSERT INTO consent (member_id, purpose, granted, text_version, channel, evidence, at)
SELECT $2, mine.purpose, mine.granted, mine.text_version, mine.channel, 'merge:' || $3::bigint, mine.at
FROM (SELECT DISTINCT ON (purpose) * FROM consent WHERE member_id = $1 ORDER BY purpose, id DESC) AS mine
LEFT JOIN (SELECT DISTINCT ON (purpose) * FROM consent WHERE member_id = $2 ORDER BY purpose, id DESC) AS theirs
     USING (purpose)
WHERE theirs.id IS NULL OR theirs.at < mine.at
"""


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome: who is left, and the record by which it can be undone (None when they were one already)."""

    survivor_id: int
    merge_id: int | None


async def join(one_id: int, other_id: int, *, reason: str, now: datetime) -> Merged:
    """Make one member of two, in whichever direction loses least; members already joined stay as they are.

    Raises:
        MemberGone: one of them is closed or unknown.
    """
    one, other = await _lock_living(one_id, other_id)
    if one.id == other.id:
        return Merged(one.id, None)
    stays = survivor(one, other)
    goes = other if stays is one else one
    return Merged(stays.id, await _merge(goes.id, stays.id, reason=reason, now=now))


async def merge(source_id: int, target_id: int, *, reason: str, now: datetime) -> Merged:
    """Make everything of `source_id` the property of `target_id`; again changes nothing.

    Raises:
        MemberGone: one of them is closed or unknown.
    """
    source, target = await _lock_living(source_id, target_id)
    if source.id == target.id:
        return Merged(target.id, None)
    return Merged(target.id, await _merge(source.id, target.id, reason=reason, now=now))


async def _lock_living(one_id: int, other_id: int) -> tuple[Candidate, Candidate]:
    """Both members, or who they were merged into, locked in order."""
    wanted = (one_id, other_id)
    while True:
        rows = {row["id"]: row for row in await db.fetch(_LOCK, sorted(set(wanted)))}
        followed = tuple([await _final(rows, member_id) for member_id in wanted])
        if followed == wanted:
            return _candidate(rows[wanted[0]]), _candidate(rows[wanted[1]])
        wanted = (followed[0], followed[1])


async def _final(rows: Mapping[int, db.Row], member_id: int) -> int:
    row = rows.get(member_id)
    if row is None or row["status"] == "closed":
        raise MemberGone
    return int(await db.fetch_value(_MERGED_INTO, member_id)) if row["status"] == "merged" else member_id


def _candidate(row: db.Row) -> Candidate:
    return Candidate(row["id"], row["status"] != "guest", row["joined_at"])


async def _merge(source_id: int, target_id: int, *, reason: str, now: datetime) -> int:
    merge_id = await db.fetch_value(
        "INSERT INTO member_merge (source_id, target_id, reason, moved, at) VALUES ($1, $2, $3, '{}', $4) RETURNING id",
        source_id,
        target_id,
        reason,
        now,
    )
    moved = await _move_everything(merge_id, source_id, target_id, now=now)
    await db.execute("UPDATE tier_interval SET ends_at = $2 WHERE member_id = $1 AND ends_at IS NULL", source_id, now)
    await db.execute(_COPY_CONSENTS, source_id, target_id, merge_id)
    moved["adopted"] = await members.adopt(source_id, target_id)
    await _keep(merge_id, moved)
    await spine.record(MembersMerged(member_id=target_id, at=now, source_id=source_id, reason=reason), now=now)
    return int(merge_id)


async def _move_everything(merge_id: int, source_id: int, target_id: int, *, now: datetime) -> dict[str, Any]:
    moved: dict[str, Any] = {}
    for table in MOVED_TABLES:
        rows = await db.fetch(
            f"UPDATE {table} SET member_id = $2 WHERE member_id = $1 RETURNING id",
            source_id,
            target_id,
        )
        moved[table] = [row["id"] for row in rows]
    await db.execute("UPDATE session SET member_id = $2 WHERE member_id = $1", source_id, target_id)
    moved["coupon"] = [list(row.values()) for row in await db.fetch(_MOVE_COUPONS, source_id, target_id)]
    moved["check_in"] = [list(row.values()) for row in await db.fetch(_MOVE_CHECK_INS, source_id, target_id)]
    if moved["check_in"]:
        await db.execute(_JOIN_STREAKS, target_id)
    await ledger.move_lots(source_id, target_id, key=f"merge:{merge_id}", now=now)
    return moved


async def _keep(merge_id: int, moved: Mapping[str, Any]) -> None:
    await db.execute("UPDATE member_merge SET moved = $2::jsonb WHERE id = $1", merge_id, orjson.dumps(moved).decode())
