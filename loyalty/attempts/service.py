"""Wrong codes, counted per person who typed them: what stops guessing."""

from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.errors import TooMany

MISSES_MAX: Final = 5
WINDOW: Final = timedelta(minutes=10)

# The row is made before it is locked: what does not exist cannot make the second of two tries wait.
_LOCK: Final = """
INSERT INTO attempts AS a (actor, misses, window_started_at) VALUES ($1, 0, $2)
ON CONFLICT (actor) DO UPDATE SET misses = a.misses
RETURNING misses, window_started_at
"""
_COUNT: Final = """
INSERT INTO attempts AS a (actor, misses, window_started_at) VALUES ($1, 1, $2)
ON CONFLICT (actor) DO UPDATE SET
    misses = CASE WHEN a.window_started_at <= $2::timestamptz - $3::interval THEN 1 ELSE a.misses + 1 END,
    window_started_at = CASE
        WHEN a.window_started_at <= $2::timestamptz - $3::interval THEN $2::timestamptz ELSE a.window_started_at END
"""


class TooManyMisses(TooMany):
    """Too many wrong codes from one person; even a right one is refused until the window is over."""

    code = "attempts.too_many"


async def refuse_if_locked(actor: str, *, now: datetime) -> None:
    """Let nobody try who was wrong `MISSES_MAX` times within `WINDOW`. `actor` says what is guessed by whom,
    e.g. `member_code:staff:7`. Locks the actor's row, so that tries at the same moment count one after another.

    Raises:
        TooManyMisses: with `retry_after_s`.
    """
    row = await db.fetch_one(_LOCK, actor, now)
    if row is None or row["misses"] < MISSES_MAX:
        return
    left = row["window_started_at"] + WINDOW - now
    if left > timedelta():
        raise TooManyMisses(retry_after_s=int(left.total_seconds()) + 1)


async def count_miss(actor: str, *, now: datetime) -> None:
    """One wrong code more. The caller's unit of work must commit: verbs therefore return a miss, never raise it."""
    await db.execute(_COUNT, actor, now, WINDOW)


async def forget_over(*, now: datetime, batch_max: int) -> int:
    """Drop counters whose window is over, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM attempts WHERE actor IN (SELECT actor FROM attempts WHERE window_started_at <= $1 LIMIT $2)",
        now - WINDOW,
        batch_max,
    )
