"""From facts to what follows from them: recorded events are handed to their subscribers.

A subscriber writes rows in the same unit of work that takes the event off the queue, so its effect happens
exactly once. It gets many events at a time; when a batch fails, each event is tried alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog
from prometheus_client import Counter

from loyalty import db, failpoints
from loyalty.spine import relaying
from loyalty.spine.relaying import Recorded
from scheduler.duty import Hands
from scheduler.subscribers import SUBSCRIBERS

BATCH: Final = 200

log = structlog.get_logger("relay")
RELAYED: Final = Counter("events_relayed_total", "Events handed to subscribers", ["event", "outcome"])


async def relay(_hands: Hands) -> bool:
    """One batch; True when it was a full one."""
    now = await db.now()
    async with db.unit_of_work():
        events = await relaying.take_due(now=now, batch_max=BATCH)
        if not events:
            return False
        held_up: set[int | None] = set()
        for wave in waves(events):
            # What follows a failed event of the same member waits behind it.
            held_up |= await _hand_over([event for event in wave if event.member_id not in held_up], now)
        await failpoints.reach("relay.handled")
    await failpoints.reach("relay.committed")
    return len(events) == BATCH


def waves(events: Sequence[Recorded]) -> list[list[Recorded]]:
    """Events in waves: the n-th event of every member is in wave n, so a member's order is kept and each wave
    can be handled in sets."""
    seen: dict[object, int] = defaultdict(int)
    found: list[list[Recorded]] = []
    for event in events:
        who = event.member_id if event.member_id is not None else f"event {event.id}"
        if seen[who] == len(found):
            found.append([])
        found[seen[who]].append(event)
        seen[who] += 1
    return found


async def _hand_over(wave: Sequence[Recorded], now: datetime) -> set[int | None]:
    """The members whose event failed."""
    failed: set[int | None] = set()
    by_name: dict[str, list[Recorded]] = defaultdict(list)
    for event in wave:
        by_name[event.name].append(event)
    for name, events in by_name.items():
        if await _handled(name, events, now) is None:
            continue
        for event in events:
            failure = await _handled(name, [event], now)
            if failure is not None:
                await _put_off(event, failure, now)
                failed.add(event.member_id)
    return failed - {None}


async def _handled(name: str, events: Sequence[Recorded], now: datetime) -> Exception | None:
    """None when every subscriber of `name` wrote its rows; otherwise why none of it happened."""
    try:
        async with db.attempt():
            for subscriber in SUBSCRIBERS.get(name, ()):
                await subscriber(events, now)
            await relaying.handled(events)
    except Exception as failure:  # noqa: BLE001 - whatever a subscriber does, the others go on
        return failure
    RELAYED.labels(name, "handled").inc(len(events))
    return None


async def _put_off(event: Recorded, failure: Exception, now: datetime) -> None:
    dead = await relaying.put_off(event, reason=f"{type(failure).__name__}: {failure}", now=now)
    RELAYED.labels(event.name, "dead" if dead else "failed").inc()
    log.error("event_failed", event_id=event.id, name=event.name, dead=dead, exc_info=failure)
