"""「储值」: what is stored, how to top up, and what would go back of each top-up, reckoned for everybody to see."""

from typing import Final

from handlers.button_keys import row_id
from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.errors import NotFound
from loyalty.stored_value import payouts, queries

_SHOWN: Final = 4


async def run(chat: Chat) -> Reply:
    """Principal and bonus, and the top-ups with what is left of each."""
    wallet = await queries.wallet(chat.member_id, at=chat.now)
    slices = await queries.slices(chat.member_id, limit=_SHOWN)
    return chat.say("stored_value", wallet=wallet, slices=slices)


async def payout(chat: Chat) -> Reply:
    """The statutory refund of one top-up, step by step."""
    slice_id = row_id(chat.rest)
    if slice_id is None:
        raise NotFound(what="top_up")
    found = await payouts.preview(slice_id, chat.member_id, now=chat.now)
    return chat.say("stored_value_payout", calculations=found)
