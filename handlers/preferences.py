"""What a member wants to hear from us: refused as easily as allowed, per purpose, at once."""

from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.consents import queries, service
from loyalty.consents.rules import SWITCHABLE, UnknownPurpose, marketing_purpose

# What service needs is no marketing; what no chat can explain in a line is left to the pages.
SHOWN: Final = ("marketing_wechat", "marketing_wecom", "marketing_telegram", "marketing_sms", "profiling")
MARKETING: Final = tuple(purpose for purpose in SHOWN if purpose.startswith("marketing_"))


async def run(chat: Chat) -> Reply:
    """Where each purpose stands, with a switch."""
    standing = [entry for entry in await queries.standing(chat.member_id, now=chat.now) if entry.purpose in SHOWN]
    return chat.say("preferences", standing=standing)


async def unsubscribe(chat: Chat) -> Reply:
    """「退订」: all marketing stops, on every channel, from the next send on."""
    for purpose in MARKETING:
        await _withdraw(chat, purpose)
    return chat.say("unsubscribed")


async def resubscribe(chat: Chat) -> Reply:
    """Marketing through this channel is welcome again."""
    await _grant(chat, marketing_purpose(chat.channel))
    return chat.say("resubscribed")


async def allow(chat: Chat) -> Reply:
    """One purpose, switched on."""
    await _grant(chat, _purpose(chat))
    return await run(chat)


async def deny(chat: Chat) -> Reply:
    """One purpose, switched off."""
    await _withdraw(chat, _purpose(chat))
    return await run(chat)


def _purpose(chat: Chat) -> str:
    if chat.rest not in SWITCHABLE:
        raise UnknownPurpose(purpose=chat.rest[:32])
    return chat.rest


async def _grant(chat: Chat, purpose: str) -> None:
    await service.grant(chat.member_id, purpose, channel=chat.channel, evidence=chat.evidence, now=chat.now)


async def _withdraw(chat: Chat, purpose: str) -> None:
    await service.withdraw(chat.member_id, purpose, channel=chat.channel, evidence=chat.evidence, now=chat.now)
