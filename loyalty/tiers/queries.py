"""Reading tiers. What is due is shown as done, whether or not the sweep came by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.ladders import queries as ladders_read
from loyalty.ladders.rules import MAIN, Benefits, Ladder, Ladders, Step, best_of
from loyalty.program import queries as program
from loyalty.tiers import advancing, measures, standings, states, windows
from loyalty.tiers.advancing import Course
from loyalty.tiers.standings import Key
from loyalty.tiers.states import Pin

PAGE_MAX: Final = 100

_HELD_AT: Final = """
SELECT asked.member_id, asked.at, held.ladder, held.tier, EXISTS (
    SELECT 1 FROM tier_standing s
    WHERE s.member_id = asked.member_id AND s.ladder = asked.ladder AND s.due_at <= asked.at
) AS is_due
FROM (
    SELECT member_id, at, ladder FROM unnest($1::bigint[], $2::timestamptz[]) AS given(member_id, at)
    CROSS JOIN unnest($3::text[]) AS ladder
) AS asked
LEFT JOIN tier_interval held ON held.member_id = asked.member_id AND held.ladder = asked.ladder
     AND held.starts_at <= asked.at AND (held.ends_at IS NULL OR held.ends_at > asked.at)
"""
_HISTORY: Final = """
SELECT id, ladder, tier, reason, evidence, version, starts_at, ends_at FROM tier_interval
WHERE member_id = $1 AND ($2::text IS NULL OR ladder = $2) AND ($3::bigint IS NULL OR id < $3) ORDER BY id DESC LIMIT $4
"""

Moment = tuple[int, datetime]


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member stands on one ladder. `since` is None for members who never rose. `count` is the metric, of
    which `missing` lack to `next_tier`, which begins at `rises_at` when it is reached already. The tier ends at
    `until` (None: never) unless `gap` more is counted; `in_grace` after a review that was not passed."""

    ladder: Ladder
    tier: Step
    count: int
    since: datetime | None
    next_tier: Step | None
    missing: int
    until: datetime | None = None
    gap: int = 0
    in_grace: bool = False
    rises_at: datetime | None = None
    pin: Pin | None = None

    @property
    def growth(self) -> int:
        """The metric by its name on the main ladder."""
        return self.count


@dataclass(frozen=True, slots=True)
class Interval:
    """A tier held in [starts_at, ends_at); open while `ends_at` is None. `evidence` says what was counted and asked
    when it began."""

    id: int
    ladder: str
    tier: str
    reason: str
    evidence: Mapping[str, Any]
    version: int
    starts_at: datetime
    ends_at: datetime | None


async def standings_on(member_ids: Sequence[int], *, at: datetime, ladder: str | None = MAIN) -> Mapping[Key, Standing]:
    """Where living members stand on `ladder` (None: on every one), by member and ladder."""
    ladders = await ladders_read.in_force(at)
    terms = (await program.in_force(at)).terms
    codes = list(ladders.by_code) if ladder is None else [ladder]
    stood = await standings.read(
        [(member_id, code) for member_id in member_ids for code in codes], ladders, terms.calendar
    )
    courses = [Course(one, one.state) for one in stood]
    await advancing.pass_dates(courses, now=at)
    return {course.stood.key: standing for course, standing in await _shown(courses, at)}


async def all_of(member_id: int, *, at: datetime) -> list[Standing]:
    """Where one member stands on every ladder that members see, the main one first."""
    found = await standings_on([member_id], at=at, ladder=None)
    ladders = await ladders_read.in_force(at)
    return [
        found.get((member_id, code)) or _bottom(published.ladder)
        for code, published in ladders.by_code.items()
        if published.ladder.shown
    ]


async def standing(member_id: int, *, at: datetime, ladder: str = MAIN) -> Standing:
    """Where one member stands; who was never met stands at the bottom."""
    found = await standings_on([member_id], at=at, ladder=ladder)
    return found.get((member_id, ladder)) or _bottom((await ladders_read.in_force(at)).by_code[ladder].ladder)


async def tiers_of(member_ids: Sequence[int], *, at: datetime) -> Mapping[int, frozenset[str]]:
    """The codes of all tiers that each member holds, on whichever ladder; the lowest ones among them."""
    held = await _held([(member_id, at) for member_id in set(member_ids)], None, now=at)
    lowest = {code: one.ladder.lowest.code for code, one in (await ladders_read.in_force(at)).by_code.items()}
    return {member_id: frozenset((lowest | held.get((member_id, at), {})).values()) for member_id in member_ids}


async def held_at(
    moments: Sequence[Moment], *, ladder: str = MAIN, now: datetime | None = None
) -> Mapping[Moment, str]:
    """The tier code that each (member, instant) had on `ladder`; pairs on its lowest tier may be absent.

    One statement, unless the machine of a member has a move to make that no sweep made yet.
    """
    found = await _held(moments, ladder, now=now)
    return {moment: codes[ladder] for moment, codes in found.items() if ladder in codes}


async def benefits_at(moments: Sequence[Moment], *, now: datetime | None = None) -> Mapping[Moment, Benefits]:
    """What the tiers of each (member, instant) gave together: of every benefit the better one."""
    found = await _held(moments, None, now=now)
    given: dict[Moment, Benefits] = {}
    for member_id, at in set(moments):
        ladders = await ladders_read.in_force(at, now=now)
        codes = found.get((member_id, at), {})
        given[member_id, at] = best_of(
            published.ladder.step(codes.get(code)).benefits for code, published in ladders.by_code.items()
        )
    return given


async def history(
    member_id: int, *, ladder: str | None = MAIN, before_id: int | None = None, limit: int = 50
) -> list[Interval]:
    """The tiers a member held (None: on every ladder), newest first."""
    rows = await db.fetch(_HISTORY, member_id, ladder, before_id, max(1, min(limit, PAGE_MAX)))
    return [Interval(**{**dict(row), "evidence": orjson.loads(row["evidence"])}) for row in rows]


async def _held(moments: Sequence[Moment], ladder: str | None, *, now: datetime | None) -> dict[Moment, dict[str, str]]:
    if not moments:
        return {}
    ladders = await ladders_read.in_force(max(at for _, at in moments), now=now)
    codes = list(ladders.by_code) if ladder is None else [ladder]
    rows = await db.fetch(_HELD_AT, [member_id for member_id, _ in moments], [at for _, at in moments], codes)
    found: dict[Moment, dict[str, str]] = {}
    for row in rows:
        if row["tier"] is not None:
            found.setdefault((row["member_id"], row["at"]), {})[row["ladder"]] = row["tier"]
    await _as_settled(found, rows, ladders, codes)
    return found


async def _as_settled(
    found: dict[Moment, dict[str, str]], rows: Iterable[db.Row], ladders: Ladders, codes: Sequence[str]
) -> None:
    """What the moves that are due will make of the answer."""
    due = {(row["member_id"], row["at"]) for row in rows if row["is_due"]}
    for member_id, at in sorted(due):
        zone = (await program.in_force(at)).terms.calendar
        stood = await standings.read([(member_id, code) for code in codes], ladders, zone)
        courses = [Course(one, one.state) for one in stood]
        await advancing.pass_dates(courses, now=at)
        for course in courses:
            step = states.held(course.state, course.stood.case.ladder, at)
            found.setdefault((member_id, at), {})[course.stood.case.published.code] = step.code


async def _shown(courses: Sequence[Course], at: datetime) -> list[tuple[Course, Standing]]:
    reach = [(c.stood.member_id, windows.asked_now(c.state, c.stood.case, at)[0]) for c in courses]
    ends = [(c.stood.member_id, asked) for c in courses if (asked := windows.asked_at_end(c.state, c.stood.case))]
    if not courses:
        return []
    questions = list(dict.fromkeys([*reach, *ends]))
    counts = await measures.count(questions, zone=courses[0].stood.case.zone, now=at)
    counted = dict(zip(questions, counts, strict=True))
    return [(course, _standing(course, counted, question, at)) for course, question in zip(courses, reach, strict=True)]


def _standing(
    course: Course, counted: Mapping[measures.Question, int], reach: measures.Question, at: datetime
) -> Standing:
    ladder, position = course.stood.case.ladder, course.state.position
    tier, own = states.held(course.state, ladder, at), ladder.step(position.tier)
    above = states.step_above(tier, ladder)
    asked = windows.asked_at_end(course.state, course.stood.case)
    kept = counted[course.stood.member_id, asked] if asked is not None else 0
    return Standing(
        ladder=ladder,
        tier=tier,
        count=counted[reach],
        since=position.since if tier is own and own is not ladder.lowest else None,
        next_tier=above,
        missing=max(0, above.reach_from - counted[reach]) if above else 0,
        until=position.ends_at,
        gap=max(0, own.kept_from - kept) if asked is not None else 0,
        in_grace=position.falls_at is not None,
        rises_at=position.rises_at,
        pin=course.state.pin if tier is not own else None,
    )


def _bottom(ladder: Ladder) -> Standing:
    above = states.step_above(ladder.lowest, ladder)
    return Standing(ladder, ladder.lowest, 0, None, above, above.reach_from if above else 0)
