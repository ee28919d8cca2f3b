"""The language that a member chose, over what their platform guesses."""

from dataclasses import replace

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.members import service as members
from templates.words import Locale


async def chinese(chat: Chat) -> Reply:
    """「中文」."""
    return await _speak(chat, "zh-CN")


async def english(chat: Chat) -> Reply:
    """In English from now on."""
    return await _speak(chat, "en")


async def _speak(chat: Chat, locale: Locale) -> Reply:
    await members.set_locale(chat.member_id, locale)
    return replace(chat, person=replace(chat.person, locale=locale)).say("language_set")
