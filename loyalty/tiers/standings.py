"""The rows of `tier_standing` as states of the machine, read and written by the batch."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from loyalty import db
from loyalty.errors import ensure
from loyalty.ladders.rules import Ladders
from loyalty.tiers import rules, states
from loyalty.tiers.states import Case, Pin, Position, State

Key = tuple[int, str]

_POSITIONS: Final[TypeAdapter[tuple[Position, ...]]] = TypeAdapter(tuple[Position, ...])

_FIELDS: Final = (
    "s.id, s.tier, s.since, s.counted_from, s.cycle_from, s.review_at, s.falls_at, s.rises_at, s.before, s.lost,"
    " s.told, s.override_id, s.pinned_tier, s.pinned_until, s.pinned_exactly, s.due_at, s.revision"
)
_READ: Final = f"""
SELECT asked.member_id, asked.ladder, coalesce(m.registered_at, m.joined_at) AS joined_at, {_FIELDS}
FROM unnest($1::bigint[], $2::text[]) AS asked(member_id, ladder)
JOIN member m ON m.id = asked.member_id AND m.status NOT IN ('closed', 'merged')
LEFT JOIN tier_standing s ON s.member_id = asked.member_id AND s.ladder = asked.ladder
"""
_OPEN: Final = """
INSERT INTO tier_standing (member_id, ladder, tier, since, counted_from, before)
SELECT given.member_id, given.ladder, given.tier, coalesce(m.registered_at, m.joined_at),
       coalesce(m.registered_at, m.joined_at), '[]'
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given(member_id, ladder, tier)
JOIN member m ON m.id = given.member_id AND m.status NOT IN ('closed', 'merged')
ORDER BY given.member_id, given.ladder
ON CONFLICT (member_id, ladder) DO NOTHING
"""
_LOCK: Final = """
SELECT s.id FROM tier_standing s
WHERE (s.member_id, s.ladder) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
ORDER BY s.member_id, s.ladder FOR UPDATE
"""
_SAVE: Final = """
UPDATE tier_standing s SET
    tier = given.tier, since = given.since, counted_from = given.counted_from, cycle_from = given.cycle_from,
    review_at = given.review_at, falls_at = given.falls_at, rises_at = given.rises_at, before = given.before::jsonb,
    lost = given.lost::jsonb,
    told = given.told, override_id = given.override_id, pinned_tier = given.pinned_tier,
    pinned_until = given.pinned_until, pinned_exactly = given.pinned_exactly, due_at = given.due_at,
    revision = s.revision + 1
FROM unnest($1::bigint[], $2::int[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
            $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::smallint[], $12::bigint[],
            $13::text[], $14::timestamptz[], $15::boolean[], $16::timestamptz[], $17::text[])
     AS given(id, revision, tier, since, counted_from, cycle_from, review_at, falls_at, rises_at, before, told,
              override_id, pinned_tier, pinned_until, pinned_exactly, due_at, lost)
WHERE s.id = given.id AND s.revision = given.revision
"""


@dataclass(frozen=True, slots=True)
class Stood:
    """A member's state on one ladder as it was read; `row_id` None: never judged."""

    member_id: int
    case: Case
    state: State
    row_id: int | None
    revision: int
    due_at: datetime | None

    @property
    def key(self) -> Key:
        """Member and ladder."""
        return (self.member_id, self.case.published.code)


async def read(keys: Iterable[Key], ladders: Ladders, zone: ZoneInfo) -> list[Stood]:
    """The states of living members on ladders in force, without a lock; in the order of the keys."""
    wanted = [key for key in keys if key[1] in ladders.by_code]
    if not wanted:
        return []
    rows = await db.fetch(_READ, [member_id for member_id, _ in wanted], [ladder for _, ladder in wanted])
    found = {(row["member_id"], row["ladder"]): row for row in rows}
    return [
        _stood(found[key], Case(ladders.by_code[key[1]], found[key]["joined_at"], zone))
        for key in wanted
        if key in found
    ]


async def take(keys: Iterable[Key], ladders: Ladders, zone: ZoneInfo) -> list[Stood]:
    """The states of living members, each with a row that this unit of work holds: who is judged at the same moment
    by two facts is judged one after the other, and the second sees both."""
    wanted = sorted({key for key in keys if key[1] in ladders.by_code})
    if not wanted:
        return []
    members, codes = [member_id for member_id, _ in wanted], [ladder for _, ladder in wanted]
    await db.execute(_OPEN, members, codes, [ladders.by_code[code].ladder.lowest.code for code in codes])
    await db.fetch(_LOCK, members, codes)
    return await read(wanted, ladders, zone)


async def save(moved: Sequence[tuple[Stood, State]]) -> None:
    """Write new states over the revisions that were read."""
    if not moved:
        return
    saved = await db.execute(
        _SAVE,
        [stood.row_id for stood, _ in moved],
        [stood.revision for stood, _ in moved],
        *_columns([(stood.case, state) for stood, state in moved]),
    )
    ensure(saved == len(moved), "states are written over what was read under their lock")


def _columns(states: Sequence[tuple[Case, State]]) -> list[list[object]]:
    positions = [state.position for _, state in states]
    pins = [state.pin for _, state in states]
    return [
        [position.tier for position in positions],
        [position.since for position in positions],
        [position.counted_from for position in positions],
        [position.cycle_from for position in positions],
        [position.review_at for position in positions],
        [position.falls_at for position in positions],
        [position.rises_at for position in positions],
        [_document(state.before) for _, state in states],
        [state.told for _, state in states],
        [pin.override_id if pin else None for pin in pins],
        [pin.tier if pin else None for pin in pins],
        [pin.until if pin else None for pin in pins],
        [pin.exactly if pin else False for pin in pins],
        [rules.due_at(state, case) for case, state in states],
        [None if state.lost is None else _document([state.lost]) for _, state in states],
    ]


def _document(positions: Sequence[Position]) -> str:
    """Positions as JSON."""
    return _POSITIONS.dump_json(tuple(positions)).decode()


def _stood(row: db.Row, case: Case) -> Stood:
    if row["id"] is None:
        return Stood(row["member_id"], case, states.newcomer(row["joined_at"], case.ladder), None, 0, None)
    names = ("tier", "since", "counted_from", "cycle_from", "review_at", "falls_at", "rises_at")
    pin = (
        Pin(row["override_id"], row["pinned_tier"], row["pinned_until"], row["pinned_exactly"])
        if row["pinned_tier"] is not None
        else None
    )
    lost = None if row["lost"] is None else _POSITIONS.validate_json(row["lost"])[0]
    state = State(
        Position(**{name: row[name] for name in names}), pin, row["told"], _POSITIONS.validate_json(row["before"]), lost
    )
    return Stood(row["member_id"], case, state, row["id"], row["revision"], row["due_at"])
