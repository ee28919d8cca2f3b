"""Becoming a member (入会): terms first, then with a proven phone or without; binding a phone later.

The dialogue is `joining`: its step says what the next free words are, and a phone number that waits for its
code is sealed with the member's key.
"""

import base64
from dataclasses import replace
from typing import Final

from handlers.button_keys import row_id
from handlers.chat import Chat
from handlers.messages import Ask, Reply, SharedContact, Text
from loyalty import db
from loyalty.consents import queries as consents_read
from loyalty.consents import service as consents
from loyalty.consents.rules import marketing_purpose
from loyalty.members import queries as members_read
from loyalty.members import service as members
from loyalty.members.service import PhoneTaken, VerifiedPhone
from loyalty.phone_claims import service as phone_claims
from loyalty.phones import rules
from loyalty.phones import service as phones
from loyalty.phones.service import WrongPhoneCode

ROUTE: Final = "joining"
TERMS: Final = "terms"
PHONE: Final = "phone"
CODE: Final = "code"
TAKEN: Final = "taken"
_FIELD: Final = "dialogue_phone"


async def start(chat: Chat) -> Reply:
    """「注册」: what joining means, before anything is asked."""
    if chat.person.is_registered:
        return await _already(chat)
    await chat.expect(ROUTE, TERMS)
    return chat.say("join_terms")


async def agree(chat: Chat) -> Reply:
    """The member agreed to the terms; a number is asked for, unless one was shared already."""
    if _is_out_of_place(chat):
        return await start(chat)
    await _note_consent(chat)
    held = _held_phone(chat)
    if held is not None:
        return await _register(chat, VerifiedPhone(await _opened(chat, held), "telegram"))
    return await ask_phone(chat)


async def agree_plain(chat: Chat) -> Reply:
    """The member agreed to the terms and leaves no number."""
    if _is_out_of_place(chat):
        return await start(chat)
    await _note_consent(chat)
    return await _register(chat, None)


async def bind(chat: Chat) -> Reply:
    """「绑定手机」: a member's number; whoever has not joined reads the terms first."""
    return await ask_phone(chat) if chat.person.is_registered or _has_agreed(chat) else await start(chat)


async def ask_phone(chat: Chat) -> Reply:
    """Ask for the number: Telegram can vouch for it with one press, elsewhere a code goes there by SMS."""
    await chat.expect(ROUTE, PHONE)
    if chat.channel == "telegram":
        return replace(chat.say("ask_contact"), ask=Ask.SHARE_CONTACT)
    return chat.say("ask_phone")


async def shared_contact(chat: Chat) -> Reply:
    """A number that Telegram vouches to be the sender's own; it still takes an agreement to join."""
    shared = chat.inbound.content
    number = rules.e164(shared.phone if isinstance(shared, SharedContact) else "")
    if chat.person.is_registered or _has_agreed(chat):
        return await _register(chat, VerifiedPhone(number, "telegram"))
    await chat.expect(ROUTE, TERMS, phone=await _sealed(chat, number))
    return chat.say("join_terms")


async def answer(chat: Chat) -> Reply:
    """Free words inside the dialogue: a number, a code, or words where a button was expected."""
    step = chat.dialogue.step if chat.dialogue is not None else ""
    if step == PHONE:
        return await _send_code(chat, chat.rest)
    if step == CODE:
        return await _prove(chat)
    return chat.say("phone_taken", phone="") if step == TAKEN else chat.say("join_terms")


async def resend(chat: Chat) -> Reply:
    """Another code to the same number."""
    held = _held_phone(chat)
    return await bind(chat) if held is None else await _send_code(chat, await _opened(chat, held))


async def claim_number(chat: Chat) -> Reply:
    """The number is proven but another account holds it: ask for it, with a cooling-off in which they can object."""
    held = _held_phone(chat)
    if held is None or chat.dialogue is None or chat.dialogue.step != TAKEN:
        return await bind(chat)
    proven = VerifiedPhone(await _opened(chat, held), "sms")
    claim = await phone_claims.claim(chat.member_id, proven, now=chat.now)
    await chat.finish()
    return chat.say("phone_claimed", effective_at=claim.effective_at)


async def keep_number(chat: Chat) -> Reply:
    """The holder of a claimed number answers: it is still mine."""
    await phone_claims.object_to(row_id(chat.rest) or 0, chat.member_id, now=chat.now)
    return chat.say("phone_kept")


async def _send_code(chat: Chat, typed: str) -> Reply:
    number = rules.e164(typed)
    sent = await phones.send_code(chat.member_id, number, now=chat.now)
    await chat.expect(ROUTE, CODE, phone=await _sealed(chat, number))
    return chat.say("code_sent", phone=sent.masked)


async def _prove(chat: Chat) -> Reply:
    held = _held_phone(chat)
    if held is None:
        return await ask_phone(chat)
    proven = await phones.prove(chat.member_id, await _opened(chat, held), chat.rest, now=chat.now)
    if isinstance(proven, WrongPhoneCode):
        return replace(chat.refuse(proven), buttons=chat.say("code_sent", phone="").buttons)
    return await _register(chat, VerifiedPhone(proven.number, "sms"))


async def _register(chat: Chat, phone: VerifiedPhone | None) -> Reply:
    try:
        # The proof stays spent although the number is refused, so that its claim needs no second one.
        async with db.attempt():
            done = await members.register(chat.member_id, phone=phone, channel=chat.channel, now=chat.now)
    except PhoneTaken as taken:
        number = phone.number if phone is not None else ""
        await chat.expect(ROUTE, TAKEN, phone=await _sealed(chat, number))
        return chat.say("phone_taken", phone=taken.params.get("phone", ""))
    await chat.finish()
    if done.already:
        return chat.say("phone_bound") if phone is not None else await _already(chat)
    purpose = marketing_purpose(chat.channel)
    ask_marketing = await consents_read.may_ask(chat.member_id, purpose, now=chat.now)
    return chat.say("joined", number=done.number, with_phone=phone is not None, ask_marketing=ask_marketing)


async def _already(chat: Chat) -> Reply:
    return chat.say("already_member", card=await members_read.card(chat.member_id, at=chat.now))


async def _note_consent(chat: Chat) -> None:
    for purpose in ("account", "transaction"):
        await consents.grant(chat.member_id, purpose, channel=chat.channel, evidence=chat.evidence, now=chat.now)


def _has_agreed(chat: Chat) -> bool:
    return chat.dialogue is not None and chat.dialogue.name == ROUTE and chat.dialogue.step != TERMS


def _is_out_of_place(chat: Chat) -> bool:
    # The buttons stand under the terms; the same words typed without having seen them agree to nothing.
    return isinstance(chat.inbound.content, Text) and (chat.dialogue is None or chat.dialogue.name != ROUTE)


def _held_phone(chat: Chat) -> str | None:
    held = chat.dialogue.data.get("phone") if chat.dialogue is not None and chat.dialogue.name == ROUTE else None
    return str(held) if held is not None else None


async def _sealed(chat: Chat, number: str) -> str:
    key = await members.data_key(chat.member_id)
    return base64.b64encode(members.sealed(chat.member_id, _FIELD, number, key)).decode()


async def _opened(chat: Chat, held: str) -> str:
    key = await members.data_key(chat.member_id)
    return members.unsealed(chat.member_id, _FIELD, base64.b64decode(held), key)
