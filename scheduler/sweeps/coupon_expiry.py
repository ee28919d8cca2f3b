"""Coupons whose time is over are closed. Redeeming never waits for it: expiry is judged at the counter."""

from typing import Final

from loyalty import db, failpoints, turns
from loyalty.coupons import service as coupons
from scheduler.duty import Hands

BATCH: Final = 500


async def run(_hands: Hands) -> bool:
    """One batch of coupons, each with its event."""
    now = await db.now()
    async with db.unit_of_work():
        if not await turns.take("coupon_expiry"):
            return False
        closed = await coupons.expire_due(now=now, batch_max=BATCH)
        await failpoints.reach("sweep.batch")
    return closed == BATCH
