"""Moving journeys along."""

from typing import Final

import structlog
from prometheus_client import Counter

from loyalty import db, failpoints
from loyalty.journeys import service as journeys
from scheduler.duty import Hands

BATCH: Final = 200

log = structlog.get_logger("journeys")
FAILED: Final = Counter("journey_failures_total", "Runs that could not be moved", ["journey", "outcome"])


async def advance(_hands: Hands) -> bool:
    """One batch of runs whose time has come; True when it was a full one."""
    now = await db.now()
    async with db.unit_of_work():
        advanced = await journeys.advance_due(now=now, batch_max=BATCH)
        await failpoints.reach("journeys.moved")
    await failpoints.reach("journeys.committed")
    for failure in advanced.failures:
        FAILED.labels(failure.journey, "final" if failure.is_final else "put_off").inc()
        log.error("journey_failed", run_id=failure.run_id, node=failure.node, exc_info=failure.cause)
    return advanced.looked_at == BATCH
