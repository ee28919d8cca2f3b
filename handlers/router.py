"""From a neutral message to a reply: look in the inbox, recognise who speaks, pick the conversation, keep the answer.

One unit of work holds all of it. Messages of a conversation that sees bursts share units of work
(`loyalty/group_commit.py`); a refusal undoes its own effects and is an answer like any other, so a
repeat of the message hears the same refusal.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from handlers import intents, platform, refusals, routes, scenes, staff_desk, stored_reply, welcome
from handlers.chat import Chat, StaffChat
from handlers.intents import UNSURE
from handlers.messages import (
    AuthorisationRevoked,
    CardPressed,
    Click,
    Content,
    CustomerAdded,
    CustomerRemoved,
    EnterChat,
    Follow,
    Inbound,
    Media,
    Reply,
    Scan,
    SenderKind,
    SendReport,
    SharedContact,
    StaffChanged,
    SubscribeGrants,
    Text,
    Unfollow,
    Unhandled,
)
from loyalty import clock, db
from loyalty.access import Resource
from loyalty.audit import service as audit
from loyalty.dialogues import service as dialogues
from loyalty.errors import Refusal
from loyalty.group_commit import GroupCommit
from loyalty.identity import service as identity
from loyalty.identity.service import Contact, Person
from loyalty.inbox import service as inbox
from loyalty.program import queries as program
from loyalty.reach import service as reach
from loyalty.reach.rules import Act
from loyalty.staff import queries as staff


@dataclass(frozen=True, slots=True)
class Answer:
    """What to say; `repeated` when this delivery had been answered before, `followed_up` when what the
    passive answer cannot carry was sent then, too."""

    reply: Reply
    repeated: bool
    followed_up: bool = False


class Router:
    """Dispatches messages of every channel; one per process."""

    def __init__(self) -> None:
        self._bursts: dict[tuple[str, str], GroupCommit[Inbound, Answer]] = {}

    def dispatch(self, inbound: Inbound) -> Awaitable[Answer]:
        """Answer one message, once: a repeat of its key gets the first answer again."""
        name = route_of(inbound)
        if name in routes.BURSTS and inbound.sender.kind is SenderKind.MEMBER:
            return self._burst(inbound, name).submit(inbound)
        return _alone(inbound, name)

    async def drain(self) -> None:
        """Wait for shared units of work that are under way."""
        for burst in self._bursts.values():
            await burst.drain()

    def _burst(self, inbound: Inbound, name: str) -> GroupCommit[Inbound, Answer]:
        at = (source_of(inbound), name)
        if at not in self._bursts:

            async def work(batch: Sequence[Inbound]) -> Sequence[Answer]:
                return await _answered(batch, lambda firsts, now: _members(firsts, name, now))

            # Alone, a refusal is undone to its savepoint and answered.
            self._bursts[at] = GroupCommit(work, alone=lambda refused: _alone(refused, name))
        return self._bursts[at]


async def _alone(inbound: Inbound, name: str) -> Answer:
    async def speak(firsts: Sequence[Inbound], now: datetime) -> Sequence[Reply]:
        return [await _one(message, name, now) for message in firsts]

    async def work() -> Answer:
        async with db.unit_of_work():
            return (await _answered([inbound], speak))[0]

    return await db.retried(work)


def source_of(inbound: Inbound) -> str:
    """The name under which this account's deliveries are reserved."""
    return f"{inbound.sender.channel}/{inbound.sender.account}"


async def _answered(
    batch: Sequence[Inbound], speak: Callable[[Sequence[Inbound], datetime], Awaitable[Sequence[Reply]]]
) -> list[Answer]:
    now = clock.now()
    source = source_of(batch[0])
    reservations = await inbox.look_up(source, [message.key for message in batch])
    firsts = [m for m, reserved in zip(batch, reservations, strict=True) if isinstance(reserved, inbox.First)]
    replies = dict(zip((m.key for m in firsts), await speak(firsts, now) if firsts else [], strict=True))
    kept = [(_delivery(m), stored_reply.to_json(replies[m.key], place=f"{source}/{m.key}")) for m in firsts]
    await inbox.file(source, kept, now=now)
    return [
        _answer(replies.get(message.key), reserved, place=f"{source}/{message.key}")
        for message, reserved in zip(batch, reservations, strict=True)
    ]


def _answer(fresh: Reply | None, reserved: inbox.Reservation, *, place: str) -> Answer:
    if isinstance(reserved, inbox.First) or reserved.answer is None:
        return Answer(fresh or Reply(), repeated=not isinstance(reserved, inbox.First))
    return Answer(
        stored_reply.from_json(reserved.answer, place=place),
        repeated=True,
        followed_up=stored_reply.was_followed_up(reserved.answer),
    )


async def followed_up(inbound: Inbound) -> None:
    """Remember that what the passive answer could not carry was sent, so that a repeat does not send it again."""
    async with db.unit_of_work():
        await inbox.amend_answer(source_of(inbound), inbound.key, stored_reply.FOLLOWED_UP)


async def _one(inbound: Inbound, name: str, now: datetime) -> Reply:
    try:
        async with db.attempt():
            return await _speaker(inbound, name, now)
    except Refusal as refusal:
        zone = (await program.in_force(now)).terms.calendar
        return refusals.reply(refusal, inbound.sender.locale, zone)


async def _speaker(inbound: Inbound, name: str, now: datetime) -> Reply:
    match inbound.sender.kind:
        case SenderKind.PLATFORM:
            return await routes.PLATFORM.get(name, platform.unhandled)(inbound, now)
        case SenderKind.STAFF:
            return await _staff(inbound, name, now)
        case SenderKind.MEMBER:
            return (await _members([inbound], name, now))[0]


async def _members(batch: Sequence[Inbound], name: str, now: datetime) -> list[Reply]:
    published = await program.in_force(now)
    people = await identity.resolve_many([_contact(message) for message in batch], now=now)
    await _renew_windows(batch, people, now)
    chats = [
        Chat(inbound=message, person=person, published=published, now=now, rest=_rest(message))
        for message, person in zip(batch, people, strict=True)
    ]
    if name not in routes.BURSTS:
        return [await _answered_alone(chat, name) for chat in chats]
    # Words that sound like the burst's may be the answer to a question; those are looked at one by one.
    asked = [chat for chat in chats if chat.person.in_dialogue and routes.is_free(chat.inbound, for_staff=False)]
    answers = iter(await routes.BURSTS[name]([chat for chat in chats if chat not in asked]))
    return [await _answered_alone(chat, name) if chat in asked else next(answers) for chat in chats]


async def _answered_alone(chat: Chat, name: str) -> Reply:
    """A refusal undoes what its own conversation did, and is said in the member's language."""
    try:
        async with db.attempt():
            return await _member(chat, name)
    except Refusal as refusal:
        return chat.refuse(refusal)


async def _member(chat: Chat, name: str) -> Reply:
    if chat.person.in_dialogue:
        key = dialogues.key_of(chat.person.identity_id)
        chat = replace(chat, dialogue=await dialogues.get(key, now=chat.now))
        name = routes.continued(chat, name)
    if name in routes.BURSTS:
        return (await routes.BURSTS[name]([chat]))[0]
    return await routes.MEMBER.get(name, welcome.unhandled)(chat)


async def _staff(inbound: Inbound, name: str, now: datetime) -> Reply:
    principal = await staff.recognise(inbound.sender.app_id, inbound.sender.external_id)
    if principal is None:
        return refusals.unknown_staff(inbound.sender.locale)
    chat = StaffChat(
        inbound=inbound,
        staff=principal,
        published=await program.in_force(now),
        now=now,
        rest=_rest(inbound),
        dialogue=await dialogues.get(dialogues.key_of_staff(principal.staff_id), now=now),
    )
    return await _serving(chat, routes.continued_by_staff(chat, name))


async def _serving(chat: StaffChat, name: str) -> Reply:
    """What staff are refused is on record too, after their deed itself was undone."""
    try:
        async with db.attempt():
            return await routes.STAFF.get(name, staff_desk.unhandled)(chat)
    except Refusal as refusal:
        here = Resource(store_id=chat.staff.store_id, member_id=chat.serving)
        await audit.record_refusal(chat.staff, f"chat.{name}", refusal, resource=here, now=chat.now)
        return chat.refuse(refusal)


def _contact(inbound: Inbound) -> Contact:
    sender = inbound.sender
    return Contact(
        channel=sender.channel,
        account=sender.account,
        app_id=sender.app_id,
        external_id=sender.external_id,
        union_id=sender.union_id,
        locale=sender.locale,
        scene=scenes.kept(inbound.content.scene) if isinstance(inbound.content, Follow | Scan) else None,
    )


async def _renew_windows(batch: Sequence[Inbound], people: Sequence[Person], now: datetime) -> None:
    acts = {
        person.identity_id: (message.sender.channel, act)
        for message, person in zip(batch, people, strict=True)
        if (act := _act(message.content)) is not None
    }
    await reach.renew(acts, now=now)


def _act(content: Content) -> Act | None:
    match content:
        case Text() | Media():
            return Act.MESSAGE
        case Click() | Follow() | Scan():
            return Act.ACTION
        case EnterChat():
            return Act.ENTER
        case _:
            return None


def route_of(inbound: Inbound) -> str:
    """The conversation that a message belongs to, from the message alone."""
    for_staff = inbound.sender.kind is SenderKind.STAFF
    match inbound.content:
        case Text(text):
            return intents.recognise(text, for_staff=for_staff).route
        case Click(key=key) | CardPressed(key=key):
            # Buttons outlive the version that sent them, and what comes back is the client's word.
            name = key.split(":", 1)[0]
            return name if name in (routes.STAFF if for_staff else routes.MEMBER) or name in routes.BURSTS else UNSURE
        case other:
            return EVENT_ROUTES[type(other)]


EVENT_ROUTES: dict[type, str] = {
    Follow: "welcome",
    Unfollow: "farewell",
    Scan: "scan",
    EnterChat: "enter",
    SharedContact: "shared_contact",
    Media: "media",
    SubscribeGrants: "grants",
    SendReport: "send_report",
    AuthorisationRevoked: "authorisation_revoked",
    CustomerAdded: "customer_added",
    CustomerRemoved: "customer_removed",
    StaffChanged: "staff_changed",
    Unhandled: "unhandled",
}


def _rest(inbound: Inbound) -> str:
    """What follows the command: the typed words after it, or a button's argument."""
    match inbound.content:
        case Text(text):
            return intents.recognise(text, for_staff=inbound.sender.kind is SenderKind.STAFF).rest
        case Click(key=key) | CardPressed(key=key):
            return key.partition(":")[2]
        case _:
            return ""


def _delivery(message: Inbound) -> inbox.Delivery:
    content = message.content
    if isinstance(content, Unhandled):
        return inbox.Delivery(message.key, content.kind[:40], content.fields)
    return inbox.Delivery(message.key, EVENT_ROUTES.get(type(content), "message"))
