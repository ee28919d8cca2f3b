"""Points: the balance, what ends soon, recent movements."""

from datetime import timedelta
from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.ledger import queries
from loyalty.ledger.operations import Asset

SOON: Final = timedelta(days=30)


async def run(chat: Chat) -> Reply:
    """Balance, the next expiries and the last movements."""
    balances = await queries.balances([chat.member_id], at=chat.now)
    page = await queries.statement(chat.member_id, Asset.POINTS, limit=5)
    ending = await queries.expiring(chat.member_id, Asset.POINTS, after=chat.now, until=chat.now + SOON)
    return chat.say("points", balance=balances[chat.member_id].points, movements=page.movements, ending=ending)
