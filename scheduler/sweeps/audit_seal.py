"""The audit trail's chain: what was written is given its place, and every day's head is told to the log."""

from typing import Final

import structlog

from loyalty import db, turns
from loyalty.audit import chain
from loyalty.program import queries as program
from scheduler.duty import Hands

BATCH: Final = 1000

log = structlog.get_logger("audit")


async def run(_hands: Hands) -> bool:
    """One batch. Logs are kept elsewhere, so a head that they name cannot be rewritten with the chain."""
    now = await db.now()
    async with db.unit_of_work():
        if not await turns.take("audit_seal"):
            return False
        zone = (await program.in_force(now)).terms.calendar
        kept = await chain.close_day(zone, now=now)
        sealed = await chain.seal(now=now, batch_max=BATCH)
    if kept is not None:
        log.info("audit_day_head", day=kept.day.isoformat(), position=kept.position, hash=kept.hash)
    return sealed == BATCH
