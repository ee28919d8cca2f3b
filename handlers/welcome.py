"""Meeting somebody: following, coming back, leaving."""

from handlers.chat import Chat
from handlers.messages import SILENT, Follow, Reply
from loyalty.identity import service as identity


async def run(chat: Chat) -> Reply:
    """Greet, and remember that this person can be reached here."""
    if isinstance(chat.inbound.content, Follow):
        await identity.followed(chat.person.identity_id, scene=chat.inbound.content.scene, now=chat.now)
    return chat.say("welcome", is_new=chat.person.is_new)


async def farewell(chat: Chat) -> Reply:
    """Nothing may be sent here any more."""
    await identity.left(chat.person.identity_id, now=chat.now)
    return SILENT
