"""What time alone has decided about points is booked: pending ones that became usable or whose event never came, and
holds that ended. Nobody waits for it: whoever reads or spends sees it as done at once."""

from typing import Final

from loyalty import db, failpoints, turns
from loyalty.ledger import service as ledger
from scheduler.duty import Hands

BATCH: Final = 500


async def run(_hands: Hands) -> bool:
    """One batch of wallets, each thing with its event."""
    now = await db.now()
    async with db.unit_of_work():
        if not await turns.take("points_settling"):
            return False
        wallets = await ledger.settle_due(now=now, batch_max=BATCH)
        await failpoints.reach("sweep.batch")
    return wallets >= BATCH
