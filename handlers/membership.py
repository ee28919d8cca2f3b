"""What a member is here: tier and the way to the next one, purchases, and the code that tills ask for."""

from datetime import timedelta
from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.ladders import queries as ladders
from loyalty.member_codes import service as member_codes
from loyalty.purchases import queries as purchases
from loyalty.tiers import queries as tiers
from loyalty.tiers.queries import Standing

_PURCHASES_SHOWN: Final = 5
_HISTORY_SHOWN: Final = 8
_BAR_LENGTH: Final = 10
# Reading eighteen digits to a clerk who types them.
_TYPING_S: Final = 12


async def tier(chat: Chat) -> Reply:
    """The tier, its worth, until when, and what is missing to keep it and to rise; other ladders in a line each."""
    main, *others = await tiers.all_of(chat.member_id, at=chat.now)
    return chat.say("tier", standing=main, bar=progress(main), others=others)


async def tier_history(chat: Chat) -> Reply:
    """How the member came to the tier, change by change."""
    standing = await tiers.standing(chat.member_id, at=chat.now)
    history = await tiers.history(chat.member_id, limit=_HISTORY_SHOWN)
    programme = await ladders.in_force(chat.now)
    names = {held.tier: programme.step(held.tier).names for held in history}
    return chat.say("tier_history", standing=standing, history=history, names=names)


async def recent_purchases(chat: Chat) -> Reply:
    """The last purchases with what they brought."""
    found = await purchases.recent(chat.member_id, limit=_PURCHASES_SHOWN)
    return chat.say("purchases", purchases=found)


async def code(chat: Chat) -> Reply:
    """The rotating member code, good for half a minute and one use; one that nobody could type in time gives way to
    the next, which counts by then."""
    shown = await member_codes.current(chat.member_id, now=chat.now)
    begins_in = 0
    if shown.expires_in_s < _TYPING_S:
        begins_in = shown.expires_in_s
        shown = await member_codes.current(chat.member_id, now=chat.now + timedelta(seconds=begins_in))
    return chat.say("member_code", code=shown.code, begins_in=begins_in, seconds=begins_in + shown.expires_in_s)


def progress(standing: Standing) -> str:
    """How far the way to the next tier is gone: `▰▰▰▱▱▱▱▱▱▱`; full on the highest tier."""
    if standing.next_tier is None:
        return "▰" * _BAR_LENGTH
    begins, ends = standing.tier.reach_from, standing.next_tier.reach_from
    gone = (standing.count - begins) * _BAR_LENGTH // (ends - begins)
    done = min(max(gone, 0), _BAR_LENGTH - 1)
    return "▰" * done + "▱" * (_BAR_LENGTH - done)
