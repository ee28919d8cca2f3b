"""One person on several channels: a code made here proves there who they are."""

import re
from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.identity import rules as link_codes
from loyalty.identity import service as identity
from loyalty.identity.service import WrongLinkCode
from loyalty.ledger import queries as ledger
from loyalty.members import queries as members_read

ROUTE = "link_answer"
STEP = "code"
_CODE_LIKE: Final = re.compile(r"[0-9A-Z]{6,10}")


async def run(chat: Chat) -> Reply:
    """A fresh code to type elsewhere; one from elsewhere may be typed here instead."""
    issued = await identity.issue_link_code(chat.member_id, now=chat.now)
    await chat.expect(ROUTE, STEP)
    return chat.say("link", code=issued.code, expires_at=issued.expires_at)


def may_be_code(text: str) -> bool:
    """False for words that no slip of a finger makes of a code: the offer to type one must not swallow them."""
    return _CODE_LIKE.fullmatch(link_codes.plain(text)) is not None


async def redeem(chat: Chat) -> Reply:
    """A code from another channel: the two become one member."""
    return await join(chat, chat.rest)


async def join(chat: Chat, code: str) -> Reply:
    """Join with the member who was given `code`."""
    merged = await identity.redeem_link_code(code, chat.person.identity_id, now=chat.now)
    if isinstance(merged, WrongLinkCode):
        return chat.refuse(merged)
    await chat.finish()
    card = await members_read.card(merged.survivor_id, at=chat.now)
    balances = await ledger.balances([merged.survivor_id], at=chat.now)
    return chat.say("linked", card=card, balance=balances[merged.survivor_id].points, fresh=merged.merge_id is not None)
