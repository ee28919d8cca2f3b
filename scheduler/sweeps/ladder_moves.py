"""Dry runs and publications of ladders that are too large for one request go on here, batch by batch."""

from typing import Final

from loyalty import db, failpoints
from loyalty.ladder_moves import service as moves
from scheduler.duty import Hands

BATCH: Final = 1000


async def run(_hands: Hands) -> bool:
    """One batch; where it came to is committed with what it did."""
    now = await db.now()
    async with db.unit_of_work():
        looked_at = await moves.advance_due(now=now, batch_max=BATCH)
        await failpoints.reach("sweep.batch")
    return looked_at == BATCH
