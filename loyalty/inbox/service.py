"""What comes in is worked on once: the first delivery of a key does the work, a repeat gets its answer.

The unique row is the guard, written in the unit of work that does the work. There are two ways to it:

- `reserve` writes the row first. A second delivery that arrives while the first is still at work waits on the
  unique index: if the first commits, it reads the stored answer; if that rolls back, it becomes the first.
- `look_up` and `file`, for doors that answer many deliveries at a time, write row and answer at once, when the
  work is done. Who files second undoes its own work and, trying again, looks up the first one's answer.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.errors import Conflict

KEY_LENGTH_MAX: Final = 200

_RESERVE = """
INSERT INTO inbox (source, key, kind, received_at) VALUES ($1, $2, $3, $4) ON CONFLICT (source, key) DO NOTHING
"""
_FILE = """
INSERT INTO inbox (source, key, kind, answer, fields_kept, received_at)
SELECT $1, key, kind, answer::jsonb, fields_kept::jsonb, $6
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS given(key, kind, answer, fields_kept)
ORDER BY key
ON CONFLICT (source, key) DO NOTHING
"""
# Rows come in the order of their ids, so that the oldest ones need no index of their own.
_FORGET = """
DELETE FROM inbox WHERE id IN (
    SELECT id FROM (SELECT id, received_at FROM inbox ORDER BY id LIMIT $2) AS oldest WHERE received_at < $1
)
"""


class KeyReused(Conflict):
    """The key was used before for another request."""

    code = "idempotency.key_reused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that came in; `fields` is what a push said that nobody handles, so that nothing we are told is lost."""

    key: str
    kind: str
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class First:
    """Nobody handled this key before: do the work, then keep the answer."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Handled before; `answer` is what was kept then (None: acknowledged without words)."""

    answer: Any


Reservation = First | Repeat
FIRST: Final = First()


async def reserve(source: str, key: str, *, kind: str, now: datetime) -> Reservation:
    """Take the key, or read the answer of who took it before; `keep_answer` ends the work of the first."""
    if await db.execute(_RESERVE, source, _fitting(key), kind, now):
        return FIRST
    return Repeat((await _answers(source, [key])).get(_fitting(key)))


async def keep_answer(source: str, key: str, answer: object) -> None:
    """Store what the first delivery of a reserved key was answered, in the unit of work that did the work."""
    await db.execute(
        "UPDATE inbox SET answer = $3::jsonb WHERE source = $1 AND key = $2",
        source,
        _fitting(key),
        orjson.dumps(answer).decode(),
    )


async def look_up(source: str, keys: Sequence[str]) -> list[Reservation]:
    """What is known of each key, in order, and nothing is taken yet: end the work of the first ones with `file`.

    A key that stands twice is first once; the other one is a repeat whose answer is not there yet.
    """
    known = await _answers(source, keys)
    unseen = {_fitting(key) for key in keys} - known.keys()
    found: list[Reservation] = []
    for key in map(_fitting, keys):
        found.append(FIRST if key in unseen else Repeat(known.get(key)))
        unseen.discard(key)
    return found


async def file(source: str, answered: Sequence[tuple[Delivery, object]], *, now: datetime) -> None:
    """Store first deliveries with their answers, in the unit of work that did the work.

    Raises:
        Overtaken: another unit of work filed one of them meanwhile. This one is undone and done again.
    """
    if not answered:
        return
    told = [None if delivery.fields is None else orjson.dumps(dict(delivery.fields)) for delivery, _ in answered]
    filed = await db.execute(
        _FILE,
        source,
        [_fitting(delivery.key) for delivery, _ in answered],
        [delivery.kind for delivery, _ in answered],
        [orjson.dumps(answer).decode() for _, answer in answered],
        # Nearly always there is nothing; what is missing from a shorter column is NULL.
        [None if fields is None else fields.decode() for fields in told] if any(told) else [],
        now,
    )
    if filed < len(answered):
        raise db.Overtaken


async def _answers(source: str, keys: Sequence[str]) -> dict[str, Any]:
    rows = await db.fetch(
        "SELECT key, answer FROM inbox WHERE source = $1 AND key = ANY($2)", source, [_fitting(key) for key in keys]
    )
    return {row["key"]: None if row["answer"] is None else orjson.loads(row["answer"]) for row in rows}


async def amend_answer(source: str, key: str, more: Mapping[str, object]) -> None:
    """Add to a kept answer (an object) what became known after it was given."""
    await db.execute(
        "UPDATE inbox SET answer = answer || $3::jsonb WHERE source = $1 AND key = $2",
        source,
        _fitting(key),
        orjson.dumps(dict(more)).decode(),
    )


async def forget_before(moment: datetime, *, batch_max: int) -> int:
    """Drop entries older than `moment`, at most `batch_max`; how many went."""
    return await db.execute(_FORGET, moment, batch_max)


def _fitting(key: str) -> str:
    return key if len(key) <= KEY_LENGTH_MAX else hashlib.sha256(key.encode()).hexdigest()
