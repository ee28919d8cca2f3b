"""Editing a live ladder: a dry run says who would move, publishing moves them, both over everybody in batches.

Both go the same way (`rules.edited` over the same counts), so that what publishing does is what the dry run said. A
batch commits with how far it came; a worker that dies costs nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal
from loyalty.errors import unreachable
from loyalty.ladder_moves import rules
from loyalty.ladder_moves.queries import COLUMNS, MoveView, view_of
from loyalty.ladder_moves.rules import Downgrades, Found, Moved
from loyalty.ladders import queries as ladders_read
from loyalty.ladders import service as ladders
from loyalty.ladders.rules import DEFAULT_LADDER, MAIN, Ladder, Ladders, PublishedLadder
from loyalty.ladders.service import LadderUnknown
from loyalty.program import queries as program
from loyalty.tiers import advancing, standings, windows
from loyalty.tiers import service as tiers
from loyalty.tiers.advancing import Course
from loyalty.tiers.standings import Stood
from loyalty.tiers.states import held

# What is looked at in the request itself, so that a small programme has its answer at once.
AT_ONCE: Final = 2000
YEAR: Final = timedelta(days=365)

_BEGIN: Final = f"""
INSERT INTO ladder_move (ladder, version, is_dry, downgrades, status, due_at, after_id, members, looked_at, found,
                         created_by, created_at)
SELECT $1, $2, $3, $4, 'running', $5, 0, count(*), 0, $6::jsonb, $7, $8
FROM member WHERE status NOT IN ('closed', 'merged')
RETURNING {COLUMNS}
"""
_TAKE: Final = f"""
SELECT {COLUMNS} FROM ladder_move WHERE status = 'running' AND due_at <= $1
ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_CAME_TO: Final = f"""
UPDATE ladder_move SET after_id = $2, looked_at = looked_at + $3, found = $4::jsonb, status = $5, finished_at = $6
WHERE id = $1 RETURNING {COLUMNS}
"""
_MEMBERS: Final = """
SELECT id FROM member WHERE id > $1 AND status NOT IN ('closed', 'merged') ORDER BY id LIMIT $2
"""
# The version that a member may still stand by: the one before the version that is applied.
_BEFORE: Final = """
SELECT document FROM ladder_version
WHERE ladder = $1 AND status = 'published' AND version < $2 ORDER BY version DESC LIMIT 1
"""
_POINTS: Final = """
SELECT member_id, sum(points)::bigint AS points FROM purchase
WHERE member_id = ANY($1) AND occurred_at > $2 GROUP BY member_id
"""


async def dry_run(
    ladder: str, version: int, downgrades: Downgrades, *, principal: Principal, now: datetime
) -> MoveView:
    """Begin to find out who would move if this version were published; small programmes have the answer at once.

    Raises:
        Forbidden, LadderUnknown
    """
    access.authorize(principal, Action.TERMS_PROPOSE)
    if await ladders_read.version(ladder, version) is None:
        raise LadderUnknown
    return await _begin(ladder, version, downgrades, principal, is_dry=True, due_at=now, now=now)


async def publish(
    ladder: str,
    version: int,
    downgrades: Downgrades,
    *,
    principal: Principal,
    effective_from: datetime | None = None,
    now: datetime,
) -> MoveView:
    """Put a draft in force and move everybody by it, from `effective_from` on.

    Raises:
        Forbidden, LadderUnknown, LadderPublished, DraftOutdated, LadderImpossible
    """
    begins_at = max(effective_from or now, now)
    await ladders.publish(ladder, version, principal=principal, effective_from=begins_at, now=now)
    return await _begin(ladder, version, downgrades, principal, is_dry=False, due_at=begins_at, now=now)


async def advance_due(*, now: datetime, batch_max: int) -> int:
    """Look at the next members of one dry run or application; how many."""
    row = await db.fetch_one(_TAKE, now)
    return 0 if row is None else (await _batch(view_of(row), now, batch_max))[1]


async def _begin(
    ladder: str,
    version: int,
    downgrades: Downgrades,
    principal: Principal,
    *,
    is_dry: bool,
    due_at: datetime,
    now: datetime,
) -> MoveView:
    row = await db.fetch_one(
        _BEGIN, ladder, version, is_dry, downgrades, due_at, _json(Found()), ladders.name_of(principal), now
    )
    if row is None:
        unreachable("an insert returns its row")
    begun = view_of(row)
    if due_at > now:
        return begun
    return (await _batch(begun, now, AT_ONCE))[0]


async def _batch(move: MoveView, now: datetime, batch_max: int) -> tuple[MoveView, int]:
    ids = [row["id"] for row in await db.fetch(_MEMBERS, move.after_id, batch_max)]
    found = Found(**move.found)
    if ids:
        found.add(await _look_at(ids, move, now))
    done = len(ids) < batch_max
    row = await db.fetch_one(
        _CAME_TO,
        move.id,
        ids[-1] if ids else move.after_id,
        len(ids),
        _json(found),
        "done" if done else "running",
        now if done else None,
    )
    if row is None:
        unreachable("moves are never removed")
    return view_of(row), len(ids)


async def _look_at(ids: Sequence[int], move: MoveView, now: datetime) -> list[Moved]:
    view = await ladders_read.version(move.ladder, move.version)
    if view is None:
        unreachable("versions are never removed")
    new, old = PublishedLadder(move.version, view.ladder), await _before(move)
    zone = (await program.in_force(now)).terms.calendar
    programme = Ladders({move.ladder: new})
    keys = [(member_id, move.ladder) for member_id in ids]
    courses = await _edited(await standings.read(keys, programme, zone), old, move, now)
    points = {row["member_id"]: row["points"] for row in await db.fetch(_POINTS, list(ids), now - YEAR)}
    moved = [
        Moved(
            course.stood.member_id,
            held(course.stood.state, old, now),
            held(course.state, new.ladder, now),
            points.get(course.stood.member_id, 0),
        )
        for course in courses
    ]
    if not move.is_dry:
        touched = [course.stood.key for course in courses if course.is_moved]
        await tiers.write(await _edited(await standings.take(touched, programme, zone), old, move, now), now=now)
    return moved


async def _edited(stood: Sequence[Stood], old: Ladder, move: MoveView, now: datetime) -> list[Course]:
    courses = [Course(one, one.state) for one in stood]
    asked = [windows.asked_now(course.state, course.stood.case, now) for course in courses]
    downgrades: Downgrades = "at_once" if move.downgrades == "at_once" else "at_review"
    for course, counts in zip(courses, await advancing.counted(courses, asked, now=now), strict=True):
        course.take(rules.edited(course.state, old, course.stood.case, counts, downgrades, now))
    return courses


async def _before(move: MoveView) -> Ladder:
    document = await db.fetch_value(_BEFORE, move.ladder, move.version)
    if document is not None:
        return Ladder.model_validate_json(document)
    if move.ladder == MAIN:
        return DEFAULT_LADDER
    view = await ladders_read.version(move.ladder, move.version)
    return DEFAULT_LADDER if view is None else Ladder(code=move.ladder, steps=view.ladder.steps[:1])


def _json(found: Found) -> str:
    return orjson.dumps(asdict(found)).decode()
