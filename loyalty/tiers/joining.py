"""Tiers of two members who turn out to be one person: the higher standing stays, ladder by ladder, and can go back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from loyalty import db
from loyalty.ladders import queries as ladders_read
from loyalty.program import queries as program
from loyalty.tiers import rules, standings
from loyalty.tiers.advancing import Course
from loyalty.tiers.service import write
from loyalty.tiers.standings import Stood
from loyalty.tiers.states import State

_REPLACE: Final = """
UPDATE tier_override SET status = 'replaced', ended_at = $3
WHERE member_id = ANY($1) AND status = 'active' AND id <> ALL($2) RETURNING id
"""
_END: Final = "UPDATE tier_interval SET ends_at = greatest($2, starts_at) WHERE member_id = $1 AND ends_at IS NULL"


@dataclass(frozen=True, slots=True)
class Joined:
    """One ladder of a merge: where both stood, and where the survivor stood afterwards."""

    source: State
    target: State
    result: State


@dataclass(frozen=True, slots=True)
class Record:
    """What a merge did to tiers, by ladder, and to what was set by hand: moved, and put aside for a higher one."""

    ladders: dict[str, Joined]
    moved: tuple[int, ...]
    replaced: tuple[int, ...]


_RECORD: Final[TypeAdapter[Record]] = TypeAdapter(Record)


async def join(source_id: int, target_id: int, *, now: datetime) -> dict[str, Any]:
    """Give the survivor the higher standing of both on each ladder and end the other's; the record for `part`."""
    stood = {one.key: one for one in await _take((source_id, target_id), now)}
    courses: list[Course] = []
    ladders: dict[str, Joined] = {}
    for (member_id, code), source in stood.items():
        if member_id != source_id:
            continue
        target = stood[target_id, code]
        course = Course(target, target.state)
        course.take(rules.joined(target.state, source.state, target.case, now))
        courses.append(course)
        ladders[code] = Joined(source.state, target.state, course.state)
    await write(courses, now=now)
    moved, replaced = await _move_overrides(source_id, target_id, ladders, now)
    await db.execute(_END, source_id, now)
    await db.execute("DELETE FROM tier_standing WHERE member_id = $1", source_id)
    document: dict[str, Any] = _RECORD.dump_python(Record(ladders, moved, replaced), mode="json")
    return document


async def _move_overrides(
    source_id: int, target_id: int, ladders: Mapping[str, Joined], now: datetime
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    stays = [one.result.pin.override_id for one in ladders.values() if one.result.pin is not None]
    replaced = await db.fetch(_REPLACE, [source_id, target_id], stays, now)
    moved = await db.fetch(
        "UPDATE tier_override SET member_id = $2 WHERE member_id = $1 RETURNING id", source_id, target_id
    )
    return tuple(row["id"] for row in moved), tuple(row["id"] for row in replaced)


async def part(source_id: int, target_id: int, document: Mapping[str, Any], *, now: datetime) -> None:
    """Put both back where they stood; the survivor keeps what was reached since."""
    record = _RECORD.validate_python(document)
    await db.execute("UPDATE tier_override SET member_id = $2 WHERE id = ANY($1)", list(record.moved), source_id)
    stood = {one.key: one for one in await _take((source_id, target_id), now)}
    courses = []
    for code, was in record.ladders.items():
        if (source_id, code) not in stood or (target_id, code) not in stood:
            continue
        courses.append(_back(stood[source_id, code], was.source, now))
        if stood[target_id, code].state.position == was.result.position:
            courses.append(_back(stood[target_id, code], was.target, now))
    await write(courses, now=now)
    pins = [course.state.pin.override_id for course in courses if course.state.pin is not None]
    await db.execute(
        "UPDATE tier_override SET status = 'active', ended_at = NULL WHERE id = ANY($1) AND id = ANY($2)",
        list(record.replaced),
        pins,
    )


def _back(stood: Stood, to: State, now: datetime) -> Course:
    course = Course(stood, stood.state)
    course.take(rules.returned(stood.state, to, stood.case, now))
    return course


async def _take(member_ids: tuple[int, int], now: datetime) -> list[Stood]:
    ladders = await ladders_read.in_force(now)
    zone = (await program.in_force(now)).terms.calendar
    return await standings.take(
        [(member_id, code) for member_id in member_ids for code in ladders.by_code], ladders, zone
    )
