"""Two members turn out to be one person: everything they own becomes the survivor's, and can go back.

Value moves by ledger operations that keep each lot's expiry, so the sum over both members never changes.
What was moved is recorded row by row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.adoptions import service as adoptions
from loyalty.earning import service as earning
from loyalty.errors import Conflict, NotFound
from loyalty.events import MembersMerged
from loyalty.ledger.moving import move_everything, return_everything
from loyalty.ledger.service import Asset
from loyalty.members.service import MemberGone
from loyalty.merges.rules import MOVED_TABLES, Candidate, survivor
from loyalty.spine import service as spine
from loyalty.tiers import joining as tiers

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
# Within days in a row, each day counts on from the longest streak before it.
_JOIN_STREAKS: Final = """
UPDATE check_in SET streak = counted.run
FROM (
    SELECT id, place + max(streak - place) OVER (PARTITION BY place - nth ORDER BY place) AS run
    FROM (
        SELECT id, streak, day - date '2000-01-01' AS place, row_number() OVER (ORDER BY day) AS nth
        FROM check_in WHERE member_id = $1
    ) AS days
) AS counted
WHERE check_in.id = counted.id AND check_in.streak < counted.run
"""
# What was frozen stays frozen, whoever it belongs to now; a PIN is not carried over, it may be another person's habit.
_JOIN_STORED_VALUE: Final = """
INSERT INTO stored_account (member_id, frozen_at, frozen_by, frozen_reason)
SELECT $2, frozen_at, frozen_by, frozen_reason FROM stored_account WHERE member_id = $1 AND frozen_at IS NOT NULL
ON CONFLICT (member_id) DO UPDATE SET frozen_at = coalesce(stored_account.frozen_at, excluded.frozen_at),
    frozen_by = coalesce(stored_account.frozen_by, excluded.frozen_by),
    frozen_reason = coalesce(stored_account.frozen_reason, excluded.frozen_reason)
"""
_COPY_CONSENTS: Final = """
INSERT INTO consent (member_id, purpose, granted, text_version, channel, evidence, at)
SELECT $2, mine.purpose, mine.granted, mine.text_version, mine.channel, 'merge:' || $3::bigint, mine.at
FROM (SELECT DISTINCT ON (purpose) * FROM consent WHERE member_id = $1 ORDER BY purpose, id DESC) AS mine
LEFT JOIN (SELECT DISTINCT ON (purpose) * FROM consent WHERE member_id = $2 ORDER BY purpose, id DESC) AS theirs
     USING (purpose)
WHERE theirs.id IS NULL OR theirs.at < mine.at
"""


_RETURN_COUPONS: Final = """
UPDATE coupon SET member_id = $2, ordinal = given.ordinal, claim_key = given.claim_key
FROM unnest($3::bigint[], $4::int[], $5::text[]) AS given(id, ordinal, claim_key)
WHERE coupon.id = given.id AND coupon.member_id = $1
"""
_RETURN_CHECK_INS: Final = """
UPDATE check_in SET member_id = $2, streak = given.streak
FROM unnest($3::bigint[], $4::int[]) AS given(id, streak)
WHERE check_in.id = given.id AND check_in.member_id = $1
"""
LATE_WITHIN: Final = timedelta(hours=1)


class NotUndoable(Conflict):
    """The survivor of this merge is closed or was merged on into somebody else: undo that first."""

    code = "merge.not_undoable"


class MergeUnknown(NotFound):
    """There is no such merge."""

    code = "merge.unknown"


@dataclass(frozen=True, slots=True)
class Undone:
    """The two are two again; `returned` is what went back per asset."""

    source_id: int
    target_id: int
    returned: Mapping[Asset, int]


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
    moved["tiers"] = await tiers.join(source_id, target_id, now=now)
    await db.execute(_COPY_CONSENTS, source_id, target_id, merge_id)
    moved["adopted"] = await adoptions.adopt(source_id, target_id)
    await _keep(merge_id, moved)
    await spine.record(MembersMerged(member_id=target_id, at=now, source_id=source_id, reason=reason), now=now)
    return int(merge_id)


async def _move_everything(
    merge_id: int, source_id: int, target_id: int, *, now: datetime, suffix: str = ""
) -> dict[str, Any]:
    moved: dict[str, Any] = {}
    for table in MOVED_TABLES:
        rows = await db.fetch(
            f"UPDATE {table} SET member_id = $2 WHERE member_id = $1 RETURNING id",
            source_id,
            target_id,
        )
        moved[table] = [row["id"] for row in rows]
    await db.execute("UPDATE session SET member_id = $2 WHERE member_id = $1", source_id, target_id)
    await db.execute(_JOIN_STORED_VALUE, source_id, target_id)
    moved["coupon"] = [list(row.values()) for row in await db.fetch(_MOVE_COUPONS, source_id, target_id)]
    moved["check_in"] = [list(row.values()) for row in await db.fetch(_MOVE_CHECK_INS, source_id, target_id)]
    if moved["check_in"]:
        await db.execute(_JOIN_STREAKS, target_id)
    await earning.join_counters(source_id, target_id)
    await move_everything(source_id, target_id, key=f"merge:{merge_id}:{suffix}", now=now)
    return moved


async def _keep(merge_id: int, moved: Mapping[str, Any]) -> None:
    await db.execute("UPDATE member_merge SET moved = $2::jsonb WHERE id = $1", merge_id, orjson.dumps(moved).decode())


async def settle_late(*, now: datetime) -> int:
    """Move what reached a merged member in the hour after the merge: a message that was already under way may
    have acted for whom it had resolved before. How many merges were looked at."""
    rows = await db.fetch(
        "SELECT id, source_id, target_id, moved FROM member_merge WHERE undone_at IS NULL AND at > $1 ORDER BY id",
        now - LATE_WITHIN,
    )
    for row in rows:
        target_id = int(await db.fetch_value(_MERGED_INTO, row["target_id"]))
        await db.fetch(_LOCK, sorted((row["source_id"], target_id)))
        late = await _move_everything(row["id"], row["source_id"], target_id, now=now, suffix=f":{now.timestamp():.0f}")
        earlier = orjson.loads(row["moved"])
        await _keep(row["id"], {**earlier, **{table: [*earlier.get(table, []), *late[table]] for table in late}})
    return len(rows)


async def undo(merge_id: int, *, now: datetime) -> Undone:
    """Make two members of one again: rows go back as recorded, value goes back as far as it is unspent.

    Raises:
        MergeUnknown: never merged, or undone already.
        NotUndoable: the survivor is closed or merged on.
    """
    row = await db.fetch_one(
        "SELECT source_id, target_id, moved, at FROM member_merge WHERE id = $1 AND undone_at IS NULL FOR UPDATE",
        merge_id,
    )
    if row is None:
        raise MergeUnknown
    source_id, target_id, moved = row["source_id"], row["target_id"], orjson.loads(row["moved"])
    statuses = {member["id"]: member["status"] for member in await db.fetch(_LOCK, sorted((source_id, target_id)))}
    if statuses[target_id] in {"closed", "merged"} or statuses[source_id] != "merged":
        raise NotUndoable
    await adoptions.give_back(source_id, target_id, moved["adopted"])
    await _return_rows(source_id, target_id, moved, now=now)
    await tiers.part(source_id, target_id, moved["tiers"], now=now)
    # Only what is left of the other's units can go back; what was spent was spent soonest-first.
    returned = await return_everything(
        target_id, source_id, moved_by=f"merge:{merge_id}:", key=f"unmerge:{merge_id}", now=now
    )
    await db.execute("UPDATE member_merge SET undone_at = $2 WHERE id = $1", merge_id, now)
    return Undone(source_id, target_id, returned)


async def _return_rows(source_id: int, target_id: int, moved: Mapping[str, Any], *, now: datetime) -> None:
    for table in MOVED_TABLES:
        await db.execute(
            f"UPDATE {table} SET member_id = $2 WHERE member_id = $1 AND id = ANY($3)",
            target_id,
            source_id,
            moved[table],
        )
    # Whoever is logged in through an identity that goes back logs in again, as the other member.
    await db.execute(
        "UPDATE session SET revoked_at = $2 WHERE identity_id = ANY($1) AND revoked_at IS NULL",
        moved["channel_identity"],
        now,
    )
    await db.execute(_RETURN_COUPONS, target_id, source_id, *_columns(moved["coupon"], 3))
    await db.execute(_RETURN_CHECK_INS, target_id, source_id, *_columns(moved["check_in"], 2))


def _columns(rows: list[list[Any]], width: int) -> list[list[Any]]:
    return [[row[place] for row in rows] for place in range(width)]
