"""Tiers for which a date has come: reviews, ends of grace, beginnings of a period, announcements of a lowering.

Nobody waits for it: what is due is shown as done and judged before a purchase earns by it.
"""

from typing import Final

from loyalty import db, failpoints
from loyalty.tiers import service as tiers
from scheduler.duty import Hands

BATCH: Final = 500


async def run(_hands: Hands) -> bool:
    """One batch; several workers share the work, each skips the rows of the others."""
    now = await db.now()
    async with db.unit_of_work():
        looked_at = await tiers.settle_due(now=now, batch_max=BATCH)
        await failpoints.reach("sweep.batch")
    return looked_at == BATCH
