"""Every duty of the worker, one row each."""

from datetime import timedelta
from typing import Final

from loyalty import db
from loyalty.outbox import service as outbox
from scheduler.duty import Duty, Hands

BATCH: Final = 500


async def settle_lost_leases(_hands: Hands) -> bool:
    """Messages whose sender died while sending become unknown."""
    now = await db.now()
    async with db.unit_of_work():
        return await outbox.settle_lost_leases(now=now, batch_max=BATCH) == BATCH


DUTIES: Final = (Duty("outbox_leases", timedelta(seconds=15), settle_lost_leases),)
