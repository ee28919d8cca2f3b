"""At the counter: whoever serves a member finds out who that is, or takes a new member in."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from loyalty import access
from loyalty.access import Action, PartnerPrincipal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.audit.service import actor_of
from loyalty.errors import Conflict
from loyalty.identity import queries as identity_read
from loyalty.identity import service as identity
from loyalty.identity.service import IssuedLinkCode
from loyalty.ledger import service as ledger
from loyalty.member_codes import service as member_codes
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members import queries as members_read
from loyalty.members import service as members
from loyalty.members.queries import MemberCard
from loyalty.members.service import NewMember, VerifiedPhone
from loyalty.phones import rules as phones

CHANNEL = "store"

Server = StaffPrincipal | PartnerPrincipal


@dataclass(frozen=True, slots=True)
class ByPhone:
    """The number a customer says, however it is spelled."""

    phone: str


@dataclass(frozen=True, slots=True)
class ByNumber:
    """The 10-digit member number."""

    number: str


@dataclass(frozen=True, slots=True)
class ByCode:
    """The rotating code on the customer's screen, scanned or typed; it is used up."""

    code: str


class HasChannel(Conflict):
    """The member has a chat of their own: link codes are made there."""

    code = "counter.has_channel"


Clue = ByPhone | ByNumber | ByCode


async def find(clue: Clue, *, server: Server, now: datetime) -> MemberCard | WrongMemberCode:
    """Who stands in front of `server`; every look is on record.

    A wrong code is returned and not raised, because the miss must be committed.

    Raises:
        Forbidden: the role finds nobody.
        PhoneInvalid: no such number can exist.
        MemberGone: nobody has this number.
        TooManyMisses: `server` typed too many wrong codes.
    """
    access.authorize(server, Action.MEMBER_FIND, Resource(store_id=server.store_id))
    card = await _found(clue, server, now)
    if isinstance(card, MemberCard):
        how = type(clue).__name__.removeprefix("By").lower()
        await _record(server, Action.MEMBER_FIND, card.id, now, by=how)
    return card


async def recall(public_id: UUID, *, server: Server, action: Action, now: datetime) -> MemberCard:
    """The member that `find` told about a moment ago, for `action` at the counter of `server`.

    Raises:
        Forbidden, OwnMembership: `server` may not do this for them.
        MemberGone: nobody is known by this id.
    """
    card = await members_read.card_by_public_id(public_id, at=now)
    access.authorize(server, action, Resource(store_id=server.store_id, member_id=card.id))
    return card


async def enrol(phone: str, *, name: str | None, server: StaffPrincipal, now: datetime) -> MemberCard:
    """Take a new member in whose number a member of staff wrote down.

    Raises:
        Forbidden: the role registers nobody.
        PhoneInvalid, PhoneTaken, NameRefused
    """
    access.authorize(server, Action.MEMBER_REGISTER, Resource(store_id=server.store_id))
    number = phones.e164(phone)
    member_id = (await members.reserve_ids(1))[0]
    await members.create([NewMember(member_id, members.DEFAULT_LOCALE, CHANNEL, None)], now=now)
    await ledger.open_accounts([member_id], now=now)
    await members.register(member_id, phone=VerifiedPhone(number, "staff"), channel=CHANNEL, name=name, now=now)
    await _record(server, Action.MEMBER_REGISTER, member_id, now)
    return await members_read.card(member_id, at=now)


async def invite(member_id: int, *, server: StaffPrincipal, now: datetime) -> IssuedLinkCode:
    """A link code for a member who was taken in at the counter, to bring the account to a chat of their own.

    Only until the first channel is linked: afterwards the member makes codes there, and no member of staff can
    lead somebody else into the account.

    Raises:
        Forbidden, OwnMembership: `server` may not register members, or not this one.
        HasChannel: the member is reached somewhere already.
        MemberGone
    """
    access.authorize(server, Action.MEMBER_REGISTER, Resource(store_id=server.store_id, member_id=member_id))
    if await identity_read.has_channel(member_id):
        raise HasChannel
    issued = await identity.issue_link_code(member_id, now=now)
    await _record(server, Action.MEMBER_REGISTER, member_id, now, by="link_code")
    return issued


async def _found(clue: Clue, server: Server, now: datetime) -> MemberCard | WrongMemberCode:
    match clue:
        case ByPhone(phone):
            return await members_read.card_by_phone(phone, at=now)
        case ByNumber(number):
            return await members_read.card_by_number(number, at=now)
        case ByCode(code):
            kind, actor_id = actor_of(server)
            present = await member_codes.consume(code, used_by=f"{kind}:{actor_id}", now=now)
            if isinstance(present, WrongMemberCode):
                return present
            return await members_read.card(present.member_id, at=now)


async def _record(server: Server, action: Action, member_id: int, now: datetime, **details: str) -> None:
    deed = audit.Deed(principal=server, action=action, member_id=member_id, store_id=server.store_id, details=details)
    await audit.record(deed, now=now)
