"""Work that one process at a time does: a turn ends with its unit of work, also when the process dies."""

from typing import Final

from loyalty import db

_TAKE: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('xiaohui.' || $1, 0))"


async def take(name: str) -> bool:
    """Take the turn called `name` for this unit of work; False while another one has it."""
    taken: bool = await db.fetch_value(_TAKE, name)
    return taken
