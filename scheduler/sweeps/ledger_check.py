"""The ledger's invariants on live data, of a sample of members at a time; `xiaohui fsck` asks of everybody."""

from typing import Final

import structlog
from prometheus_client import Counter

from loyalty import db, turns
from loyalty.fsck import queries as fsck
from scheduler.duty import Hands

MEMBERS: Final = 100

log = structlog.get_logger("ledger_check")
CHECKED: Final = Counter("ledger_members_checked_total", "Members of whom the ledger's invariants were asked")
BROKEN: Final = Counter("ledger_invariant_failures_total", "Invariants of the ledger found broken", ["invariant"])


async def run(_hands: Hands) -> bool:
    """One sample; whatever is broken is an error in the log and a number to alarm on."""
    async with db.unit_of_work():
        if not await turns.take("ledger_check"):
            return False
        looked_at, findings = await fsck.check_some(members_max=MEMBERS)
    CHECKED.inc(looked_at)
    for finding in findings:
        BROKEN.labels(finding.invariant.name).inc(len(finding.broken))
        log.error("ledger_invariant_broken", invariant=finding.invariant.name, rows=finding.broken)
    return False
