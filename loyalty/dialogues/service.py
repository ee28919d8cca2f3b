"""Where somebody stands in a conversation of several steps; it commits with the reply it belongs to."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db

_SET: Final = """
INSERT INTO dialogue (key, name, step, data, expires_at) VALUES ($1, $2, $3, $4::jsonb, $5)
ON CONFLICT (key) DO UPDATE
SET name = excluded.name, step = excluded.step, data = excluded.data, expires_at = excluded.expires_at
"""


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A conversation in progress: which one, at which step, with what it collected so far (never personal
    values in the clear: ids, or values sealed with the member's key)."""

    name: str
    step: str
    data: Mapping[str, Any]
    expires_at: datetime


def key_of(identity_id: int) -> str:
    """The key of the conversation with one channel identity; `Person.in_dialogue` tells whether there is one."""
    return f"identity:{identity_id}"


def key_of_staff(staff_id: int) -> str:
    """The key of the conversation with a member of staff."""
    return f"staff:{staff_id}"


async def get(key: str, *, now: datetime) -> Dialogue | None:
    """The conversation of `key`, unless it timed out."""
    row = await db.fetch_one("SELECT name, step, data, expires_at FROM dialogue WHERE key = $1", key)
    if row is None or row["expires_at"] <= now:
        return None
    return Dialogue(row["name"], row["step"], orjson.loads(row["data"]), row["expires_at"])


async def set(key: str, dialogue: Dialogue) -> None:  # noqa: A001 - always read as `dialogues.set`
    """Begin or continue a conversation; a key is in one conversation at a time."""
    data = orjson.dumps(dict(dialogue.data)).decode()
    await db.execute(_SET, key, dialogue.name, dialogue.step, data, dialogue.expires_at)


async def clear(key: str) -> None:
    """End the conversation of `key`, if there is one."""
    await db.execute("DELETE FROM dialogue WHERE key = $1", key)


async def forget_expired(*, now: datetime, batch_max: int) -> int:
    """Drop conversations that timed out, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM dialogue WHERE key IN (SELECT key FROM dialogue WHERE expires_at <= $1 LIMIT $2)", now, batch_max
    )
