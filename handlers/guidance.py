"""What can be said here, and what to say when nothing fits."""

from typing import Final

from handlers import intents
from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.staff import queries as staff

TOPICS: Final = ("points_rules", "coupon_rules", "check_in_rules")
_STORES_SHOWN: Final = 5


async def run(chat: Chat) -> Reply:
    """The overview, by topic."""
    return chat.say("help")


async def fallback(chat: Chat) -> Reply:
    """We are not sure what was meant: say so and offer the likeliest."""
    return chat.say("fallback", topics=intents.nearest(chat.rest))


async def media(chat: Chat) -> Reply:
    """Pictures, voices and places are not understood here; what is, is offered."""
    return chat.say("media")


async def human(chat: Chat) -> Reply:
    """Where people are reached: this chat is answered by a machine and says so."""
    return chat.say("human", stores=(await staff.stores())[:_STORES_SHOWN])


async def thanks(chat: Chat) -> Reply:
    """A word of courtesy."""
    return chat.say("thanks")


async def check_in_rules(chat: Chat) -> Reply:
    """What checking in brings; nobody is checked in by asking."""
    return chat.say("check_in_rules")


async def coupon_rules(chat: Chat) -> Reply:
    """How coupons are used."""
    return chat.say("coupon_rules")


async def cancel(chat: Chat) -> Reply:
    """Leave an open dialogue."""
    if chat.dialogue is None:
        return chat.say("nothing_open")
    await chat.finish()
    return chat.say("cancelled")
