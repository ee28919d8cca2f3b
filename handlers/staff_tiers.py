"""Staff: setting the tier of the member being served by hand, with a reason and an end."""

import hashlib
from datetime import timedelta
from typing import Final

from handlers import intent_arguments
from handlers.chat import StaffChat
from handlers.messages import Reply
from loyalty import access
from loyalty.access import Action, Resource
from loyalty.clock import business_day, start_of
from loyalty.ladders import queries as ladders
from loyalty.ladders.rules import Ladders, PublishedLadder, Step
from loyalty.tier_overrides import service as overrides
from loyalty.tier_overrides.service import NewOverride

_DAY: Final = timedelta(days=1)


async def set_tier(chat: StaffChat) -> Reply:
    """「设等级 金卡 90 补偿投诉」: at once within the limit, by another person's approval above it."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    resource = Resource(store_id=chat.staff.store_id, member_id=chat.serving)
    # Whoever may not do it hears so before they learn how it is typed.
    access.authorize(chat.staff, Action.TIER_OVERRIDE, resource)
    programme = await ladders.in_force(chat.now)
    typed = intent_arguments.tier_of(chat.rest)
    meant = None if typed is None else named(programme, typed.tier)
    if typed is None or meant is None:
        return chat.say("ask_tier", steps=[step for one in programme.by_code.values() for step in one.ladder.steps])
    published, step = meant
    today = business_day(chat.now, chat.terms.calendar)
    new = NewOverride(
        ladder=published.code,
        tier=step.code,
        ends_at=start_of(today + (typed.days + 1) * _DAY, chat.terms.calendar),
        reason=typed.reason,
    )
    reason = hashlib.sha256(typed.reason.encode()).hexdigest()[:16]
    key = f"chat:{today.isoformat()}:{chat.serving}:{step.code}:{typed.days}:{reason}"
    done = await overrides.set_tier(new, chat.serving, principal=chat.staff, key=key, now=chat.now)
    await chat.expect("", member_id=chat.serving)
    return chat.say("tier_set", done=done, tier=step)


def named(programme: Ladders, typed: str) -> tuple[PublishedLadder, Step] | None:
    """The step that somebody means by its code or by how its name begins, in whichever language."""
    wanted = typed.casefold()
    for published in programme.by_code.values():
        for step in published.ladder.steps:
            names = [step.code, *step.names.values()]
            if any(name.casefold().startswith(wanted) for name in names):
                return published, step
    return None
