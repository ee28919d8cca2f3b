"""Points whose time is over leave the books. Spending never waits for it: a dead lot is unusable at once."""

from typing import Final

from loyalty import db, failpoints, turns
from loyalty.events import PointsExpired
from loyalty.ledger import service as ledger
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers
from scheduler.duty import Hands

BATCH: Final = 500


async def run(_hands: Hands) -> bool:
    """One batch of lots, each with its event."""
    now = await db.now()
    async with db.unit_of_work():
        if not await turns.take("points_expiry"):
            return False
        expired = await ledger.expire_due(now=now, batch_max=BATCH)
        await spine.record(
            *(
                PointsExpired(member_id=member_id, at=now, asset=asset, points=posted.amount, balance=posted.balance)
                for asset, member_id, posted in expired
                if posted.amount
            ),
            now=now,
        )
        await tiers.review_balances((member_id for _, member_id, _ in expired), now=now)
        await failpoints.reach("sweep.batch")
    return len(expired) == BATCH
