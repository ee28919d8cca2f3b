"""Meeting somebody: following, scanning, opening the chat, coming back, leaving."""

from handlers import coupons, linking, platform, scenes
from handlers.chat import Chat
from handlers.messages import SILENT, Follow, Reply, Scan, SubscribeGrants, Unhandled
from loyalty import db
from loyalty.errors import Refusal
from loyalty.identity import service as identity
from loyalty.reach import service as reach


async def run(chat: Chat) -> Reply:
    """Greet, remember that this person can be reached here, and do what the code they came by says."""
    content = chat.inbound.content
    if not isinstance(content, Follow):
        return _greeting(chat)
    await identity.followed(chat.person.identity_id, scene=scenes.kept(content.scene), now=chat.now)
    return await _scene(chat, content.scene)


async def scan(chat: Chat) -> Reply:
    """A code scanned by somebody who is here already."""
    content = chat.inbound.content
    return await _scene(chat, content.scene if isinstance(content, Scan) else None)


async def enter(chat: Chat) -> Reply:
    """The chat was opened: only somebody new is spoken to unasked."""
    return _greeting(chat) if chat.person.is_new else SILENT


async def grants(chat: Chat) -> Reply:
    """Answers to a subscribe popup are counted, without a word."""
    content = chat.inbound.content
    if isinstance(content, SubscribeGrants):
        choices = {template_id: choice.value for template_id, choice in content.choices.items()}
        await reach.record_choices(chat.person.identity_id, choices, managed=content.managed, now=chat.now)
    return SILENT


async def farewell(chat: Chat) -> Reply:
    """Nothing may be sent here any more."""
    await identity.left(chat.person.identity_id, now=chat.now)
    return SILENT


async def unhandled(chat: Chat) -> Reply:
    """A push about this person that membership does not act on is kept; somebody else's number is not taken."""
    content = chat.inbound.content
    if isinstance(content, Unhandled) and content.fields.get("parts") == "contact_of_another":
        return chat.say("own_contact_only")
    return await platform.unhandled(chat.inbound, chat.now)


async def _scene(chat: Chat, text: str | None) -> Reply:
    try:
        # Whoever came by a code that does not work has come nevertheless.
        async with db.attempt():
            match scenes.read(text):
                case scenes.Scene(kind=scenes.LINK, value=code):
                    return await linking.join(chat, code)
                case scenes.Scene(kind=scenes.COUPON, value=code):
                    return await coupons.claim_by_code(chat, code)
                case _:
                    return _greeting(chat)
    except Refusal as refusal:
        return chat.refuse(refusal)


def _greeting(chat: Chat) -> Reply:
    return chat.say("welcome", is_new=chat.person.is_new, is_registered=chat.person.is_registered)
