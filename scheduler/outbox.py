"""Sending what is due, and settling what a dead sender left behind."""

import asyncio
from datetime import timedelta
from typing import Final

from prometheus_client import Counter, Gauge

from loyalty import db
from loyalty.outbox import queries as outbox_read
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Claimed
from scheduler.duty import Hands

BATCH: Final = 32
AT_ONCE: Final = 4
LEASE: Final = timedelta(seconds=45)

PENDING: Final = Gauge("outbox_pending", "Messages that wait to be sent now")
QUEUED: Final = Gauge("outbox_queued", "Messages that wait to be sent now or later")
OLDEST: Final = Gauge("outbox_oldest_age_seconds", "For how long the oldest due message has waited")
LEASES_LOST: Final = Counter("lease_expired_total", "Leases of senders that died, by what became of them", ["became"])


async def send_due(hands: Hands) -> bool:
    """One batch of messages that somebody waits for; True when it was a full one."""
    return await _send_batch(hands, bulk=False)


async def send_bulk(hands: Hands) -> bool:
    """One batch of messages to many, beside and never before the others; True when it was a full one."""
    return await _send_batch(hands, bulk=True)


async def _send_batch(hands: Hands, *, bulk: bool) -> bool:
    now = await db.now()
    async with db.unit_of_work():
        claimed = await outbox.claim_due(now=now, batch_max=BATCH, lease=LEASE, bulk=bulk)
    waiting = list(reversed(claimed))
    async with asyncio.TaskGroup() as senders:
        for _ in range(min(AT_ONCE, len(claimed))):
            senders.create_task(_send(waiting, hands))
    if waiting:
        async with db.unit_of_work():
            await outbox.give_back(waiting)
    return len(claimed) == BATCH


async def _send(waiting: list[Claimed], hands: Hands) -> None:
    while waiting and not hands.stopping.is_set():
        await hands.outbound.deliver(waiting.pop())


async def settle_lost_leases(_hands: Hands) -> bool:
    """Messages whose sender died: queued again when nothing was sent, unknown otherwise."""
    now = await db.now()
    async with db.unit_of_work():
        lost = await outbox.settle_lost_leases(now=now, batch_max=BATCH)
    LEASES_LOST.labels("queued").inc(lost.requeued)
    LEASES_LOST.labels("unknown").inc(lost.unknown)
    return lost.requeued + lost.unknown == BATCH


async def measure(_hands: Hands) -> bool:
    """How far behind the senders are, for `/metrics`."""
    backlog = await outbox_read.backlog(now=await db.now())
    PENDING.set(backlog.due)
    QUEUED.set(backlog.queued)
    OLDEST.set(backlog.oldest_age_s)
    return False
