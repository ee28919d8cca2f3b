"""Following many members through what is due and what changed: counted by the batch, decided by `rules`, not written.

The same way serves the sweep and the facts, which write what comes out, and the readers, which show it: what a
member is told never waits for a sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from loyalty.tiers import measures, rules, states, windows
from loyalty.tiers.standings import Stood
from loyalty.tiers.states import Asked, Change, Counts, Foretold, Kind, State, Turn

# Dates that one pass follows; a member who lagged behind longer is due again at once.
DATES_MAX: Final = 24
LIVE_MAX: Final = 3


@dataclass(slots=True)
class Course:
    """Where a member stood, stands after the pass, and what happened on the way."""

    stood: Stood
    state: State
    changes: list[Change] = field(default_factory=list)
    warning: Foretold | None = None

    @property
    def is_moved(self) -> bool:
        """True when there is something to write, be it only another date to look again."""
        due_at = rules.due_at(self.state, self.stood.case)
        return self.state != self.stood.state or bool(self.changes) or due_at != self.stood.due_at

    def take(self, turn: Turn) -> bool:
        """Go on from `turn`; True when the state changed."""
        moved = turn.state != self.state
        self.state = turn.state
        if turn.change is not None:
            self.changes.append(turn.change)
        return moved


async def advance(stood: Sequence[Stood], *, now: datetime, reason: str = "growth") -> list[Course]:
    """Everybody at `now`: dates that passed, then what the metric says, then what is to be announced."""
    courses = [Course(one, one.state) for one in stood]
    await pass_dates(courses, now=now)
    await _hear_late(courses, now=now)
    await meet_metric(courses, now=now, reason=reason)
    await pass_dates(courses, now=now)
    await _warn(courses, now=now)
    return courses


async def pass_dates(courses: Sequence[Course], *, now: datetime) -> None:
    """Make every move of the calendar that lies behind, in order."""
    for _ in range(DATES_MAX):
        due = [course for course in courses if states.is_due(course.state, now)]
        if not due:
            return
        asked = [windows.asked_when_due(course.state, course.stood.case) for course in due]
        for course, counts in zip(due, await counted(due, asked, now=now), strict=True):
            course.take(rules.move(course.state, course.stood.case, counts))


async def _hear_late(courses: Sequence[Course], *, now: datetime) -> None:
    """Reviews that a fact told late would have let pass."""
    asking = [
        (course, asked)
        for course in courses
        if (asked := windows.asked_late(course.state, course.stood.case, now)) is not None
    ]
    if not asking:
        return
    questions = [(course.stood.member_id, asked) for course, asked in asking]
    counts = await measures.count(questions, zone=asking[0][0].stood.case.zone, now=now)
    for (course, _), count in zip(asking, counts, strict=True):
        course.take(rules.restored(course.state, course.stood.case, count, now))


async def meet_metric(courses: Sequence[Course], *, now: datetime, reason: str) -> None:
    """What the present count does to everybody for whom nothing is due."""
    waiting = list(courses)
    for _ in range(LIVE_MAX):
        if not waiting:
            return
        asked = [windows.asked_now(course.state, course.stood.case, now) for course in waiting]
        every = await counted(waiting, asked, now=now)
        waiting = [
            course
            for course, counts in zip(waiting, every, strict=True)
            if course.take(rules.live(course.state, course.stood.case, counts, now, reason=reason))
            and not (course.changes and course.changes[-1].kind is Kind.LOWERED)
        ]


async def counted(courses: Sequence[Course], asked: Sequence[tuple[Asked, Asked]], *, now: datetime) -> list[Counts]:
    """The two counts of each pair, and what the second consists of where the end of the tier depends on it."""
    if not courses:
        return []
    zone = courses[0].stood.case.zone
    questions = [(course.stood.member_id, one) for course, pair in zip(courses, asked, strict=True) for one in pair]
    unique = list(dict.fromkeys(questions))
    found = dict(zip(unique, await measures.count(unique, zone=zone, now=now), strict=True))
    rolling = [
        (course.stood.member_id, pair[1])
        for course, pair in zip(courses, asked, strict=True)
        if windows.needs_timeline(course.stood.case.ladder)
    ]
    lines = dict(zip(rolling, await measures.timelines(rolling, zone=zone, now=now), strict=True)) if rolling else {}
    return [
        Counts(
            found[course.stood.member_id, reach],
            found[course.stood.member_id, keep],
            lines.get((course.stood.member_id, keep), ()),
        )
        for course, (reach, keep) in zip(courses, asked, strict=True)
    ]


async def _warn(courses: Sequence[Course], *, now: datetime) -> None:
    ending = [
        (course, asked)
        for course in courses
        if rules.is_warned(course.state, course.stood.case, now)
        and (asked := windows.asked_at_end(course.state, course.stood.case)) is not None
    ]
    if not ending:
        return
    questions = [(course.stood.member_id, asked) for course, asked in ending]
    counts = await measures.count(questions, zone=ending[0][0].stood.case.zone, now=now)
    for (course, _), count in zip(ending, counts, strict=True):
        course.state, course.warning = rules.warning(course.state, course.stood.case, count, now)
