"""Reservation of what comes in: the first delivery of a key does the work, a repeat gets its answer.

The unique row is the reservation. A second delivery that arrives while the first is still at work waits
on the unique index for the first transaction: if that commits, it reads the stored answer; if that rolls
back, it becomes the first.
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
INSERT INTO inbox (source, key, fingerprint, kind, received_at)
SELECT $1, key, fingerprint, kind, $5
FROM unnest($2::text[], $3::bytea[], $4::text[]) AS given(key, fingerprint, kind)
ORDER BY key
ON CONFLICT (source, key) DO NOTHING
RETURNING key
"""
_KEEP = """
UPDATE inbox SET answer = given.answer::jsonb
FROM unnest($2::text[], $3::text[]) AS given(key, answer)
WHERE inbox.source = $1 AND inbox.key = given.key
"""


class KeyReused(Conflict):
    """The key was used before for another request."""

    code = "idempotency.key_reused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that came in; `fingerprint` tells an honest repeat from another request under the same key."""

    key: str
    kind: str
    fingerprint: bytes | None = None


@dataclass(frozen=True, slots=True)
class First:
    """Nobody handled this key before: do the work, then keep the answer."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Handled before; `answer` is what was kept then (None: acknowledged without words)."""

    answer: Any


Reservation = First | Repeat
FIRST: Final = First()


async def reserve_many(source: str, deliveries: Sequence[Delivery], *, now: datetime) -> list[Reservation]:
    """One reservation per delivery, in order; a key that stands twice in the batch is first once.

    Raises:
        KeyReused: a key is known with another fingerprint.
    """
    keys = [_fitting(delivery.key) for delivery in deliveries]
    unique = dict(zip(keys, deliveries, strict=True))
    won = {
        row["key"]
        for row in await db.fetch(
            _RESERVE,
            source,
            list(unique),
            [d.fingerprint for d in unique.values()],
            [d.kind for d in unique.values()],
            now,
        )
    }
    known = await _answers(source, [key for key in unique if key not in won], unique)
    reservations: list[Reservation] = []
    for key in keys:
        reservations.append(FIRST if key in won else Repeat(known.get(key)))
        won.discard(key)
    return reservations


async def _answers(source: str, keys: Sequence[str], asked: Mapping[str, Delivery]) -> Mapping[str, Any]:
    if not keys:
        return {}
    rows = await db.fetch(
        "SELECT key, fingerprint, answer FROM inbox WHERE source = $1 AND key = ANY($2)", source, keys
    )
    for row in rows:
        fingerprint = asked[row["key"]].fingerprint
        if fingerprint is not None and row["fingerprint"] is not None and row["fingerprint"] != fingerprint:
            raise KeyReused(key=row["key"])
    return {row["key"]: None if row["answer"] is None else orjson.loads(row["answer"]) for row in rows}


async def reserve(source: str, key: str, *, kind: str, fingerprint: bytes | None, now: datetime) -> Reservation:
    """`reserve_many` of one."""
    return (await reserve_many(source, [Delivery(key=key, kind=kind, fingerprint=fingerprint)], now=now))[0]


async def keep_answers(source: str, answers: Mapping[str, object]) -> None:
    """Store what each first delivery was answered, in the unit of work that did the work."""
    if answers:
        await db.execute(
            _KEEP,
            source,
            [_fitting(key) for key in answers],
            [orjson.dumps(answer).decode() for answer in answers.values()],
        )


async def amend_answer(source: str, key: str, more: Mapping[str, object]) -> None:
    """Add to a kept answer (an object) what became known after it was given."""
    await db.execute(
        "UPDATE inbox SET answer = answer || $3::jsonb WHERE source = $1 AND key = $2",
        source,
        _fitting(key),
        orjson.dumps(dict(more)).decode(),
    )


async def keep_fields(source: str, key: str, fields: Mapping[str, str]) -> None:
    """Store what an unhandled push said, so that nothing a platform told us is lost."""
    await db.execute(
        "UPDATE inbox SET fields_kept = $3::jsonb WHERE source = $1 AND key = $2",
        source,
        _fitting(key),
        orjson.dumps(dict(fields)).decode(),
    )


async def forget_before(moment: datetime, *, batch_max: int) -> int:
    """Drop entries older than `moment`, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE received_at < $1 ORDER BY received_at LIMIT $2)",
        moment,
        batch_max,
    )


def _fitting(key: str) -> str:
    return key if len(key) <= KEY_LENGTH_MAX else hashlib.sha256(key.encode()).hexdigest()
