"""What waited for somebody and ran out: approvals, phone numbers in dispute, minors who grew up, late merges."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

from loyalty import db, turns
from loyalty.decisions import service as decisions
from loyalty.merges import service as merges
from loyalty.minors import service as minors
from loyalty.phone_claims import service as phone_claims
from scheduler.duty import Hands, Run

BATCH: Final = 100
Settle = Callable[[datetime], Awaitable[int]]


def _sweep(name: str, settle: Settle) -> Run:
    async def run(_hands: Hands) -> bool:
        now = await db.now()
        async with db.unit_of_work():
            return await turns.take(name) and await settle(now) == BATCH

    return run


approvals: Final = _sweep("approvals", lambda now: decisions.expire_due(now=now, batch_max=BATCH))
claimed_phones: Final = _sweep("phone_claims", lambda now: phone_claims.settle_due(now=now, batch_max=BATCH))


async def late_merges(_hands: Hands) -> bool:
    """What reached a member in the hour after they were merged into another goes there, too."""
    now = await db.now()
    async with db.unit_of_work():
        if await turns.take("late_merges"):
            await merges.settle_late(now=now)
    return False


async def grown_up(_hands: Hands) -> bool:
    """Members who turned 18; one look a day is enough, several change nothing."""
    now = await db.now()
    async with db.unit_of_work():
        if await turns.take("minors"):
            await minors.come_of_age(now=now, batch_max=BATCH * 50)
    return False
