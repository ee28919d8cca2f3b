"""One person across the brand's apps: ask the platform for the unionid of people met without one.

An official account's messages name only its own openid; the mini-program's login names the unionid. Asking
once per person joins the two, and whatever both had by then.
"""

from typing import Final

import structlog

from bot.calls import CallFailed
from bot.channel import TellsUnions
from loyalty import db
from loyalty.identity import queries, service
from loyalty.identity.queries import Unasked
from loyalty.identity.service import Contact
from scheduler.duty import Hands

BATCH: Final = 20

log = structlog.get_logger("unions")


async def ask(hands: Hands) -> bool:
    """One batch per account; whether more are waiting."""
    more = False
    for (name, account), channel in hands.channels.items():
        if isinstance(channel, TellsUnions):
            waiting = await queries.union_unasked(name, account, limit=BATCH)
            for person in waiting:
                await _ask_for(person, channel)
            more = more or len(waiting) == BATCH
    return more


async def _ask_for(person: Unasked, channel: TellsUnions) -> None:
    try:
        union_id = await channel.union_id_of(person.external_id)
    except CallFailed as failed:
        # Refused or away: without the answer the person simply stays one per app until the next follow.
        log.info("union_not_told", result=type(failed.result).__name__)
        union_id = None
    now = await db.now()
    async with db.unit_of_work():
        if union_id is not None:
            await service.resolve(_contact(person, union_id), now=now)
        await service.union_asked(person.identity_id, now=now)


def _contact(person: Unasked, union_id: str) -> Contact:
    return Contact(
        channel=person.channel,
        account=person.account,
        app_id=person.app_id,
        external_id=person.external_id,
        union_id=union_id,
    )
