"""The member's own card, profile and rotating code."""

import io
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import segno
from pydantic import Field

from loyalty.access import Action
from loyalty.ladders import queries as ladders
from loyalty.ladders.rules import Ladders, Step
from loyalty.member_codes import service as member_codes
from loyalty.members import queries as members_read
from loyalty.members import service as members
from loyalty.members.queries import MemberCard
from loyalty.members.rules import BirthdayRefused, NameRefused
from loyalty.members.service import BirthdaySet, MemberGone
from miniapp_api import bursts
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Body,
    Bytes,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
    Rate,
    Repeat,
    Summary,
)
from miniapp_api.principals import channel_of
from templates.words import Locale

Name = Annotated[str, Field(min_length=1, max_length=120)]


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier and how it is called in the caller's language."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class Me:
    """The member's card. Name and phone are masked; the whole of them is in `GET /v1/me/data`."""

    id: UUID
    number: str
    status: str
    is_registered: bool
    name: str | None
    phone: str | None
    has_birthday: bool
    locale: str
    tier: Tier
    points: int
    growth: int
    joined_at: datetime
    registered_at: datetime | None


@dataclass(frozen=True, slots=True)
class RotatingCode:
    """Show it to a till; it works once and for `expires_in_s` seconds."""

    code: str
    expires_in_s: int


class Profile(Body):
    """What to change; a birthday can be given once."""

    name: Name | None = None
    birthday: date | None = None
    locale: Literal["zh-CN", "en"] | None = None


class Registration(Body):
    """What a new member tells about themselves; all of it can be left out."""

    name: Name | None = None
    birthday: date | None = None


async def read_me(call: Call[NoBody, NoQuery]) -> Me:
    """The member's card."""
    return me_view(await bursts.card_of(call.member_id), await ladders.in_force(call.now), call.locale)


async def change_profile(call: Call[Profile, NoQuery]) -> Me:
    """Change what is given and leave the rest."""
    wanted = call.body
    if wanted.name is not None:
        await members.rename(call.member_id, wanted.name, now=call.now)
    if wanted.birthday is not None:
        await members.set_birthday(call.member_id, wanted.birthday, now=call.now)
    if wanted.locale is not None:
        await members.set_locale(call.member_id, wanted.locale)
    return await me_of(call.member_id, at=call.now, locale=call.locale)


async def register(call: Call[Registration, NoQuery]) -> Me:
    """Make the guest a member."""
    await members.register(
        call.member_id,
        phone=None,
        channel=await channel_of(call.caller),
        now=call.now,
        name=call.body.name,
        birthday=call.body.birthday,
    )
    return await me_of(call.member_id, at=call.now, locale=call.locale)


async def read_code(call: Call[NoBody, NoQuery]) -> RotatingCode:
    """The code of this half minute."""
    shown = await member_codes.current(call.member_id, now=call.now)
    return RotatingCode(code=shown.code, expires_in_s=shown.expires_in_s)


async def read_code_picture(call: Call[NoBody, NoQuery]) -> Bytes:
    """The code of this half minute as a QR picture."""
    shown = await member_codes.current(call.member_id, now=call.now)
    drawn = io.BytesIO()
    segno.make_qr(shown.code, error="m").save(drawn, kind="svg", border=2, xmldecl=False, svgns=True, omitsize=True)
    return Bytes(drawn.getvalue(), "image/svg+xml")


async def me_of(member_id: int, *, at: datetime, locale: Locale) -> Me:
    """The card of a member in the words of `locale`."""
    card = await members_read.card(member_id, at=at)
    return me_view(card, await ladders.in_force(at), locale)


def me_view(card: MemberCard, programme: Ladders, locale: Locale) -> Me:
    """A card as its member sees it."""
    return Me(
        id=card.public_id,
        number=card.number,
        status=card.status,
        is_registered=card.status != "guest",
        name=card.name_masked,
        phone=card.phone_masked,
        has_birthday=card.has_birthday,
        locale=card.locale,
        tier=tier_of(card.tier, programme, locale),
        points=card.points,
        growth=card.growth,
        joined_at=card.joined_at,
        registered_at=card.registered_at,
    )


def tier_of(code: str | None, programme: Ladders, locale: Locale) -> Tier:
    """The tier called `code`; a member who was never reviewed stands at the bottom of the main ladder."""
    return tier_view(programme.step(code), locale)


def tier_view(step: Step, locale: Locale) -> Tier:
    """A step by its name in `locale`."""
    return Tier(code=step.code, name=step.names.get(locale) or next(iter(step.names.values()), step.code))


_PERSONAL = (MemberGone, NameRefused, BirthdayRefused, BirthdaySet)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me",
        run=read_me,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Me,
        summary=Summary("我的会员卡", "My membership card"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/registration",
        run=register,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Registration,
        result=Me,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=_PERSONAL,
        summary=Summary("入会", "Join the programme"),
    ),
    Endpoint(
        method="PATCH",
        path="/v1/me/profile",
        run=change_profile,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Profile,
        result=Me,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=_PERSONAL,
        summary=Summary("修改资料（生日只能填一次）", "Change my profile (a birthday is given once)"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/code",
        run=read_code,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=RotatingCode,
        refusals=(MemberGone,),
        summary=Summary(
            "动态会员码（30 秒，一次有效）",
            "Rotating member code (30 seconds, one use)",
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/code.svg",
        run=read_code_picture,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Bytes,
        refusals=(MemberGone,),
        summary=Summary("动态会员码的二维码", "The rotating member code as a QR picture"),
    ),
)
