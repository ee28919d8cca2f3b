"""Judging members: raised at once when a fact reaches a step, reviewed, lowered and warned when a date comes.

Every verb takes many and costs a fixed number of statements: hold the rows, count what is asked, decide in memory
(`rules`), write. The row lock puts judgements of one member in line; the revision, the unique row per member and
ladder and the exclusion of overlapping intervals refuse what a judgement without it would do.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.errors import ensure
from loyalty.ladders import queries as ladders_read
from loyalty.ladders.rules import Ladder, Ladders, Metric
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Asset, Operation
from loyalty.ledger.outcomes import Outcome, Posted
from loyalty.program import queries as program
from loyalty.tiers import advancing, standings, telling
from loyalty.tiers.advancing import Course
from loyalty.tiers.standings import Key
from loyalty.tiers.states import Change, Kind
from loyalty.tiers.telling import Written

_BY_PURCHASES: Final = frozenset({Metric.SPEND, Metric.VISITS})
_DUE: Final = """
SELECT member_id, ladder FROM tier_standing WHERE due_at <= $1 ORDER BY due_at, id LIMIT $2 FOR UPDATE SKIP LOCKED
"""
_DUE_OF: Final = "SELECT member_id, ladder FROM tier_standing WHERE member_id = ANY($1) AND due_at <= $2"
_CLOSE: Final = """
UPDATE tier_interval held SET ends_at = greatest(given.at, held.starts_at)
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS given(member_id, ladder, at)
WHERE held.member_id = given.member_id AND held.ladder = given.ladder AND held.ends_at IS NULL
RETURNING held.member_id, held.ladder, held.ends_at
"""
_WRITE: Final = """
INSERT INTO tier_interval (member_id, ladder, tier, reason, evidence, version, starts_at, ends_at)
SELECT member_id, ladder, tier, reason, evidence::jsonb, version, starts_at, ends_at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::timestamptz[],
            $8::timestamptz[]) WITH ORDINALITY
     AS given(member_id, ladder, tier, reason, evidence, version, starts_at, ends_at, place)
ORDER BY place
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Raised:
    """A member rose from tier `old` to `new`; both are codes of the ladder."""

    interval_id: int
    member_id: int
    old: str
    new: str
    growth: int
    ladder: str = "main"


async def review(member_ids: Iterable[int], *, now: datetime, reason: str = "growth") -> list[Raised]:
    """Judge members on every ladder: whoever reaches a higher step rises, with an event and a notice each.

    Call it in the unit of work that wrote what is counted. Whom only ledger bookings can move is found cheaper by
    `review_posted`.
    """
    ladders = await ladders_read.in_force(now)
    members = set(member_ids)
    keys = [(member_id, code) for member_id in members for code in ladders.by_code]
    return await _judge(keys, ladders, now=now, reason=reason)


async def review_posted(
    posted: Iterable[tuple[Operation, Outcome]], *, now: datetime, buyers: Iterable[int] = ()
) -> list[Raised]:
    """`review` of those whom these bookings, or purchases of `buyers`, can move: no statement when nobody's balance
    came past a threshold."""
    ladders = await ladders_read.in_force(now)
    keys: set[Key] = set()
    bought = set(buyers)
    for code, published in ladders.by_code.items():
        if {published.ladder.measure.metric, published.ladder.kept_by.metric} & _BY_PURCHASES:
            keys |= {(member_id, code) for member_id in bought}
    watched = {code: _Watched.of(published.ladder) for code, published in ladders.by_code.items()}
    for operation, outcome in posted:
        if isinstance(outcome, Posted) and not outcome.replayed:
            for code, watch in watched.items():
                if watch.may_move(operation.asset, outcome):
                    keys.add((operation.member_id, code))
    return await _judge(keys, ladders, now=now)


async def post(batch: Sequence[Operation], *, now: datetime) -> list[Outcome]:
    """`ledger.post`, and `review_posted` of what it booked: for verbs that give or take and do nothing more."""
    outcomes = await ledger.post(batch, now=now)
    await review_posted(zip(batch, outcomes, strict=True), now=now)
    return outcomes


async def review_balances(member_ids: Iterable[int], *, now: datetime) -> None:
    """Judge members whose points ended or began to count by the calendar, on the ladders that look at the balance."""
    ladders, members = await ladders_read.in_force(now), set(member_ids)
    keys = [
        (member_id, code)
        for code, published in ladders.by_code.items()
        if Metric.POINTS_BALANCE in {published.ladder.measure.metric, published.ladder.kept_by.metric}
        for member_id in members
    ]
    await _judge(keys, ladders, now=now)


async def settle(member_ids: Iterable[int], *, now: datetime) -> None:
    """Make the moves of these members that are due: what a fact earns depends on the tier, and no fact waits for the
    sweep. One statement when nothing is due."""
    due = await db.fetch(_DUE_OF, sorted(set(member_ids)), now)
    if due:
        keys = [(row["member_id"], row["ladder"]) for row in due]
        await _judge(keys, await ladders_read.in_force(now), now=now)


async def settle_due(*, now: datetime, batch_max: int) -> int:
    """Make the moves of at most `batch_max` members for whom a date has come; how many were looked at."""
    due = await db.fetch(_DUE, now, batch_max)
    await _judge([(row["member_id"], row["ladder"]) for row in due], await ladders_read.in_force(now), now=now)
    return len(due)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What can move somebody on a ladder, found once for a whole batch."""

    metrics: frozenset[Metric]
    thresholds: tuple[int, ...]
    is_lifelong: bool

    @classmethod
    def of(cls, ladder: Ladder) -> "_Watched":
        steps = ladder.steps[1:]
        windows = {ladder.measure.window.kind, ladder.kept_by.window.kind}
        return cls(
            metrics=frozenset({ladder.measure.metric, ladder.kept_by.metric}),
            thresholds=tuple({*(step.reach_from for step in steps), *(step.kept_from for step in steps)}),
            is_lifelong=windows == {"lifetime"} and ladder.keeping is None,
        )

    def may_move(self, asset: Asset, outcome: Posted) -> bool:
        """Whether a booking can move anybody; a count over a window is never above the balance."""
        before, after = outcome.balance - outcome.delta, outcome.balance
        if asset == Asset.GROWTH and Metric.GROWTH in self.metrics:
            if self.is_lifelong:
                return self._came_past(before, after)
            return max(before, after) >= min(self.thresholds, default=after + 1)
        if asset == Asset.POINTS and Metric.POINTS_BALANCE in self.metrics:
            return self._came_past(before, after)
        return asset == Asset.POINTS and Metric.POINTS_EARNED in self.metrics

    def _came_past(self, before: int, after: int) -> bool:
        low, high = min(before, after), max(before, after)
        return any(low < threshold <= high for threshold in self.thresholds)


async def _judge(keys: Iterable[Key], ladders: Ladders, *, now: datetime, reason: str = "growth") -> list[Raised]:
    terms = (await program.in_force(now)).terms
    stood = await standings.take(keys, ladders, terms.calendar)
    courses = await advancing.advance(stood, now=now, reason=reason)
    return [_raised(one) for one in await write(courses, now=now) if one.change.kind is Kind.RAISED]


def _raised(one: Written) -> Raised:
    change = one.change
    count = change.evidence.get("count", 0)
    return Raised(
        one.interval_id, one.course.stood.member_id, change.old, change.new, count, one.course.stood.case.published.code
    )


async def write(courses: Sequence[Course], *, now: datetime) -> list[Written]:
    """Write what came out: states, intervals, events, notices."""
    await standings.save([(course.stood, course.state) for course in courses if course.is_moved])
    changed = [course for course in courses if course.changes]
    written = await _intervals(changed) if changed else []
    await telling.tell(written, courses, now=now)
    return written


async def _intervals(changed: Sequence[Course]) -> list[Written]:
    closed = await db.fetch(
        _CLOSE,
        [course.stood.member_id for course in changed],
        [course.stood.case.published.code for course in changed],
        [course.changes[0].at for course in changed],
    )
    # Clocks of two machines differ by a little: an interval never begins before the one before it ended.
    floors = {(row["member_id"], row["ladder"]): row["ends_at"] for row in closed}
    for course in changed:
        floor = floors.get(course.stood.key)
        course.changes = [change if floor is None else _not_before(change, floor) for change in course.changes]
    begun = [(course, place, change) for course in changed for place, change in enumerate(course.changes)]
    rows = await db.fetch(
        _WRITE,
        [course.stood.member_id for course, _, _ in begun],
        [course.stood.case.published.code for course, _, _ in begun],
        [change.new for _, _, change in begun],
        [change.reason for _, _, change in begun],
        [_evidence(change) for _, _, change in begun],
        [course.stood.case.published.version for course, _, _ in begun],
        [change.at for _, _, change in begun],
        [_ends_at(course.changes, place) for course, place, _ in begun],
    )
    ensure(len(rows) == len(begun), "every interval is written")
    return [Written(course, change, row["id"]) for (course, _, change), row in zip(begun, rows, strict=True)]


def _not_before(change: Change, floor: datetime) -> Change:
    return change if change.at >= floor else replace(change, at=floor)


def _ends_at(changes: Sequence[Change], place: int) -> datetime | None:
    return changes[place + 1].at if place + 1 < len(changes) else None


def _evidence(change: Change) -> str:
    values: dict[str, Any] = {"kind": change.kind.value, "from": change.old, **change.evidence}
    return orjson.dumps(values).decode()
