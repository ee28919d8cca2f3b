"""The member's own name and birthday, each given in one answer."""

import re
from datetime import date
from typing import Final

from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.members import queries as members_read
from loyalty.members import service as members
from loyalty.members.rules import BirthdayRefused

ROUTE: Final = "profile_answer"
NAME: Final = "name"
BIRTHDAY: Final = "birthday"
_DATE: Final = re.compile(r"\D*(\d{4})\D{0,2}(\d{1,2})\D{0,2}(\d{1,2})\D*")


async def run(chat: Chat) -> Reply:
    """What we know, masked, and what can be added."""
    return chat.say("profile", card=await members_read.card(chat.member_id, at=chat.now))


async def ask_name(chat: Chat) -> Reply:
    """How shall we call you?"""
    await chat.expect(ROUTE, NAME)
    return chat.say("ask_name")


async def ask_birthday(chat: Chat) -> Reply:
    """When is your birthday?"""
    await chat.expect(ROUTE, BIRTHDAY)
    return chat.say("ask_birthday")


async def answer(chat: Chat) -> Reply:
    """The name or the birthday that was asked for."""
    if chat.dialogue is not None and chat.dialogue.step == BIRTHDAY:
        await members.set_birthday(chat.member_id, birthday_of(chat.rest), now=chat.now)
    else:
        await members.rename(chat.member_id, chat.rest.strip(), now=chat.now)
    await chat.finish()
    return chat.say("profile_saved", card=await members_read.card(chat.member_id, at=chat.now))


def birthday_of(typed: str) -> date:
    """The day in `1990-08-15`, `1990年8月15日`, `19900815` and their like.

    Raises:
        BirthdayRefused: no such day.
    """
    found = _DATE.fullmatch(typed.strip())
    try:
        return date(*(int(part) for part in found.groups())) if found else _refuse()
    except ValueError:
        raise BirthdayRefused from None


def _refuse() -> date:
    raise BirthdayRefused
