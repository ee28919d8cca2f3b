"""Recording facts."""

from dataclasses import fields
from datetime import datetime

import orjson

from loyalty import bell, db
from loyalty.events import EVENTS, SUBSCRIBED, Event

_SHARED_FIELDS = frozenset({"member_id", "at"})
_OWN_FIELDS = {
    name: tuple(field.name for field in fields(kind) if field.name not in _SHARED_FIELDS)
    for name, kind in EVENTS.items()
}

_RECORD = """
WITH written AS (
    INSERT INTO event (member_id, name, version, data, at, recorded_at)
    SELECT member_id, name, version, data::jsonb, coalesce(at, $6), $6
    FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::text[], $5::timestamptz[])
        WITH ORDINALITY AS given(member_id, name, version, data, at, place)
    ORDER BY place
    RETURNING id, name
)
INSERT INTO event_pending (event_id, due_at, attempts)
SELECT id, $6, 0 FROM written WHERE name = ANY($7)
"""


async def record(*events: Event, now: datetime) -> None:
    """Append `events` to the spine, in order; those that somebody waits for are queued for the relay.

    Runs in the caller's unit of work: the facts are there exactly when their cause is.
    """
    if not events:
        return
    await db.execute(
        _RECORD,
        [event.member_id for event in events],
        [event.name for event in events],
        [event.version for event in events],
        [_data(event) for event in events],
        [None if event.at == now else event.at for event in events],
        now,
        list(SUBSCRIBED),
    )
    if any(event.name in SUBSCRIBED for event in events):
        bell.ring("relay")


def _data(event: Event) -> str:
    return orjson.dumps({name: getattr(event, name) for name in _OWN_FIELDS[event.name]}).decode()
