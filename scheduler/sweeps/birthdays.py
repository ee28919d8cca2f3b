"""Members who have their birthday today begin the birthday journey, once a year."""

from typing import Final

from loyalty import db, turns
from loyalty.journeys import service as journeys
from scheduler.duty import Hands

BATCH: Final = 500


async def run(_hands: Hands) -> bool:
    """One batch of enrolments; who is enrolled already is not found again."""
    now = await db.now()
    async with db.unit_of_work():
        if not await turns.take("birthdays"):
            return False
        return await journeys.enrol_birthdays(now=now, batch_max=BATCH) == BATCH
