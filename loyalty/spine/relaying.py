"""Handing recorded events to their subscribers: the queue of `event_pending`.

One relay at a time over all processes, by an advisory lock that ends with its unit of work; that keeps the
order of a member's events without any bookkeeping. An event that fails waits with a growing pause, what
follows it for the same member waits behind it, and everybody else goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import db, turns

TRIES_MAX: Final = 8
PAUSE: Final = timedelta(seconds=2)
PAUSE_MAX: Final = timedelta(minutes=10)
REASON_LENGTH_MAX: Final = 200

_DUE: Final = """
SELECT event.id, event.member_id, event.name, event.version, event.data, event.at, pending.attempts
FROM event_pending pending JOIN event ON event.id = pending.event_id
WHERE pending.dead_reason IS NULL AND pending.due_at <= $1
  AND NOT EXISTS (
      SELECT 1 FROM event_pending earlier JOIN event held ON held.id = earlier.event_id
      WHERE held.member_id = event.member_id AND earlier.event_id < pending.event_id
        AND earlier.dead_reason IS NULL AND earlier.due_at > $1
  )
ORDER BY event.id LIMIT $2
"""
_PUT_OFF: Final = """
UPDATE event_pending SET attempts = attempts + 1, due_at = $2,
    dead_reason = CASE WHEN attempts + 1 >= $3 THEN $4 END
WHERE event_id = $1 RETURNING dead_reason IS NOT NULL AS is_dead
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact as it was stored; `data` holds what the event has beside member and instant."""

    id: int
    member_id: int | None
    name: str
    version: int
    data: Mapping[str, Any]
    at: datetime
    attempts: int


async def take_due(*, now: datetime, batch_max: int) -> list[Recorded] | None:
    """The oldest events that wait, in order; None while another process relays. The turn lasts as long as the
    unit of work."""
    if not await turns.take("relay"):
        return None
    rows = await db.fetch(_DUE, now, batch_max)
    return [Recorded(**{**dict(row), "data": orjson.loads(row["data"])}) for row in rows]


async def handled(events: Sequence[Recorded]) -> None:
    """Their subscribers saw them: they wait no more. The facts themselves stay."""
    await db.execute("DELETE FROM event_pending WHERE event_id = ANY($1)", [event.id for event in events])


async def put_off(event: Recorded, *, reason: str, now: datetime) -> bool:
    """A subscriber failed: try again later, or give up after `TRIES_MAX` tries; True when the event is dead now."""
    pause = min(PAUSE_MAX, PAUSE * 2 ** min(event.attempts, 10))
    row = await db.fetch_one(_PUT_OFF, event.id, now + pause, TRIES_MAX, reason[:REASON_LENGTH_MAX])
    return row is not None and row["is_dead"]


async def revive(event_ids: Sequence[int], *, now: datetime) -> int:
    """Hand dead events to their subscribers once more, after the cause was mended; how many."""
    return await db.execute(
        "UPDATE event_pending SET dead_reason = NULL, attempts = 0, due_at = $2"
        " WHERE event_id = ANY($1) AND dead_reason IS NOT NULL",
        list(event_ids),
        now,
    )
