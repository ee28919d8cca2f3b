"""Moving journeys along."""

from typing import Final

from loyalty import db, failpoints
from loyalty.journeys import service as journeys
from scheduler.duty import Hands

BATCH: Final = 200


async def advance(_hands: Hands) -> bool:
    """One batch of runs whose time has come; True when it was a full one."""
    now = await db.now()
    async with db.unit_of_work():
        moved = await journeys.advance_due(now=now, batch_max=BATCH)
        await failpoints.reach("journeys.moved")
    await failpoints.reach("journeys.committed")
    return moved == BATCH
