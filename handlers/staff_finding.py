"""Staff: who stands in front of me? By phone, member number, or the code on the member's screen."""

import re
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from handlers.chat import StaffChat
from handlers.intent_arguments import newcomer_of
from handlers.messages import Reply
from loyalty import access
from loyalty.access import Action, Resource
from loyalty.counter import service as counter
from loyalty.counter.service import ByCode, ByNumber, ByPhone, Clue
from loyalty.coupons import queries as coupons
from loyalty.ladders import periods
from loyalty.ladders.rules import Metric
from loyalty.member_codes.rules import CODE_DIGITS, NUMBER_DIGITS
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members import queries as members_read
from loyalty.members.queries import MemberCard
from loyalty.money import yuan
from loyalty.purchases import queries as purchases
from loyalty.tiers import queries as tiers
from loyalty.tiers.queries import Standing

LOOK_BACK: Final = timedelta(days=92)
FIND: Final = "find"
REGISTER: Final = "register"
_PURCHASES_SHOWN: Final = 3
_COUPONS_SHOWN: Final = 3


async def find(chat: StaffChat) -> Reply:
    """Find a member by what was typed behind the command; without it, ask."""
    if not chat.rest.strip():
        access.authorize(chat.staff, Action.MEMBER_FIND, Resource(store_id=chat.staff.store_id))
        await chat.expect(FIND, member_id=None)
        return chat.say("ask_member")
    return await by_clue(chat, clue_of(chat.rest))


async def register(chat: StaffChat) -> Reply:
    """「注册 138… 张三」: take a new member in."""
    typed = newcomer_of(chat.rest)
    if typed is None:
        access.authorize(chat.staff, Action.MEMBER_REGISTER, Resource(store_id=chat.staff.store_id))
        await chat.expect(REGISTER, member_id=None)
        return chat.say("ask_new_member")
    card = await counter.enrol(typed.phone, name=typed.name, server=chat.staff, now=chat.now)
    issued = await counter.invite(card.id, server=chat.staff, now=chat.now)
    return await show(chat, card, template="registered", code=issued.code, expires_at=issued.expires_at)


async def link_code(chat: StaffChat) -> Reply:
    """「绑定码」: how a member who joined at the counter brings the account to a chat of their own."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    issued = await counter.invite(chat.serving, server=chat.staff, now=chat.now)
    return chat.say("link_code", code=issued.code, expires_at=issued.expires_at)


async def by_clue(chat: StaffChat, clue: Clue) -> Reply:
    """The card of whoever the clue leads to, who is then being served."""
    found = await counter.find(clue, server=chat.staff, now=chat.now)
    if isinstance(found, WrongMemberCode):
        return chat.refuse(found)
    return await show(chat, found)


async def show_again(chat: StaffChat) -> Reply:
    """The card of the member being served."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    return await show(chat, await members_read.card(chat.serving, at=chat.now))


async def show(chat: StaffChat, card: MemberCard, *, template: str = "member_card", **facts: object) -> Reply:
    """Serve this member: their card, last purchases and what can be done now."""
    await chat.expect("", member_id=card.id)
    recent = await purchases.since(card.id, moment=chat.now - LOOK_BACK)
    usable = await coupons.usable(card.id, chat.staff.store_id, at=chat.now)
    standing = await tiers.standing(card.id, at=chat.now)
    return chat.say(
        template,
        card=card,
        tier=standing.tier,
        standing=standing,
        ends=_last_day(standing, chat.terms.calendar),
        gap=yuan(standing.gap) if standing.ladder.kept_by.metric is Metric.SPEND else standing.gap,
        purchases=recent[:_PURCHASES_SHOWN],
        purchase_count=len(recent),
        paid_fen=sum(purchase.amount_fen - purchase.refunded_fen for purchase in recent),
        coupons=usable[:_COUPONS_SHOWN],
        coupon_count=len(usable),
        task_id=f"card-{chat.inbound.key}",
        **facts,
    )


def _last_day(standing: Standing, zone: ZoneInfo) -> date | None:
    """The last day of the tier that is shown on the card."""
    ends_at = standing.pin.until if standing.pin else standing.until
    return None if ends_at is None else periods.last_day(ends_at, zone)


def clue_of(typed: str) -> Clue:
    """What the digits are, by their count; everything else is taken for a phone number, which knows many spellings."""
    digits = re.sub(r"[\s-]", "", typed)
    if digits.isascii() and digits.isdigit():
        if len(digits) == CODE_DIGITS:
            return ByCode(digits)
        if len(digits) == NUMBER_DIGITS:
            return ByNumber(digits)
    return ByPhone(typed)
