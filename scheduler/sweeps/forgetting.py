"""Short-lived rows go when nobody can need them any more: codes, sessions, dialogues, reservations, counters."""

from collections.abc import Awaitable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from loyalty import clock, db
from loyalty.attempts import service as attempts
from loyalty.dialogues import service as dialogues
from loyalty.identity import service as identity
from loyalty.inbox import service as inbox
from loyalty.member_codes import service as member_codes
from loyalty.phones import service as phones
from loyalty.program import queries as program
from loyalty.reach import service as reach
from loyalty.rounds import service as rounds
from loyalty.sessions import service as sessions
from scheduler.duty import Hands

BATCH: Final = 1000
# Longer than any platform repeats a delivery and than a partner may repeat a request.
INBOX_KEPT: Final = timedelta(days=14)
ROUNDS_KEPT: Final = timedelta(days=90)


class Forget(Protocol):
    """Drops at most `batch_max` rows that are over at `now`; how many went."""

    def __call__(self, *, now: datetime, batch_max: int) -> Awaitable[int]:
        """See the class."""
        ...


async def _inbox(*, now: datetime, batch_max: int) -> int:
    return await inbox.forget_before(now - INBOX_KEPT, batch_max=batch_max)


async def _rounds(*, now: datetime, batch_max: int) -> int:
    today = clock.business_day(now, (await program.in_force(now)).terms.calendar)
    return await rounds.forget_before(today - ROUNDS_KEPT, batch_max=batch_max)


FORGOTTEN: Final[Mapping[str, Forget]] = {
    "attempts": attempts.forget_over,
    "dialogues": dialogues.forget_expired,
    "inbox": _inbox,
    "link_codes": identity.forget_link_codes,
    "member_codes": member_codes.forget_used,
    "phone_codes": phones.forget_old,
    "reach": reach.forget_over,
    "rounds": _rounds,
    "sessions": sessions.forget_ended,
}


async def run(_hands: Hands) -> bool:
    """One batch of each kind, each in its own unit of work; True when one of them was a full one."""
    now = await db.now()
    more = False
    for forget in FORGOTTEN.values():
        async with db.unit_of_work():
            more |= await forget(now=now, batch_max=BATCH) >= BATCH
    return more
