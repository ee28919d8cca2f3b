"""Rounds that visit many members once per business day, in batches, each batch with its effect in one commit."""

from datetime import date, datetime

from loyalty import db


async def take(name: str, day: date) -> int | None:
    """Take the round's turn for this unit of work: the id after which to go on.

    None when the round of `day` is done, or when another process has the turn.
    """
    await db.execute(
        "INSERT INTO daily_round (name, day, after_id) VALUES ($1, $2, 0) ON CONFLICT (name, day) DO NOTHING", name, day
    )
    after: int | None = await db.fetch_value(
        "SELECT after_id FROM daily_round WHERE name = $1 AND day = $2 AND done_at IS NULL FOR UPDATE SKIP LOCKED",
        name,
        day,
    )
    return after


async def came_to(name: str, day: date, after_id: int) -> None:
    """The round visited everybody up to `after_id`."""
    await db.execute("UPDATE daily_round SET after_id = $3 WHERE name = $1 AND day = $2", name, day, after_id)


async def finish(name: str, day: date, *, now: datetime) -> None:
    """Everybody was visited; nobody else takes this round again."""
    await db.execute("UPDATE daily_round SET done_at = $3 WHERE name = $1 AND day = $2", name, day, now)


async def forget_before(day: date, *, batch_max: int) -> int:
    """Drop rounds of days before `day`, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM daily_round WHERE id IN (SELECT id FROM daily_round WHERE day < $1 LIMIT $2)", day, batch_max
    )
