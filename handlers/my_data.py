"""My data (我的数据): what we hold, a copy of it, and the end of it."""

from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.datarights import service as datarights
from loyalty.ledger import queries as ledger
from loyalty.members import queries as members_read
from loyalty.sessions import service as sessions

ROUTE: Final = "closing"
CONFIRM: Final = "confirm"


async def run(chat: Chat) -> Reply:
    """What is held and what can be done about it."""
    return chat.say("my_data", card=await members_read.card(chat.member_id, at=chat.now))


async def export(chat: Chat) -> Reply:
    """How much of what is held, in words; the whole document is a page's to hand out."""
    document = await datarights.export(chat.member_id, now=chat.now)
    counts = {name: len(rows) for name, rows in document.items() if isinstance(rows, list) and rows}
    return chat.say("my_data_export", profile=document["profile"], counts=counts)


async def close(chat: Chat) -> Reply:
    """「注销」: first what it means and what would be lost."""
    balances = await ledger.balances([chat.member_id], at=chat.now)
    await chat.expect(ROUTE, CONFIRM)
    return chat.say("close_confirm", balance=balances[chat.member_id].points)


async def close_confirmed(chat: Chat) -> Reply:
    """The second step, pressed within ten minutes of the first: the account ends and what names the person goes."""
    if chat.dialogue is None or chat.dialogue.name != ROUTE:
        return await close(chat)
    goodbye = chat.say("closed")
    await chat.finish()
    await sessions.revoke_all_of_member(chat.member_id, now=chat.now)
    await datarights.close(chat.member_id, now=chat.now)
    return goodbye


async def answer(chat: Chat) -> Reply:
    """Words instead of the button: nothing is closed by anything but the button."""
    return await close(chat)
