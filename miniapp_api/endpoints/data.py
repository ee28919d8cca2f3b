"""The member's data and account: linking channels, export, closing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from loyalty.access import Action
from loyalty.attempts.service import TooManyMisses
from loyalty.datarights import service as datarights
from loyalty.datarights.service import StoredValueLeft
from loyalty.errors import Conflict, Refusal
from loyalty.identity import service as identity
from loyalty.identity.service import WrongLinkCode
from loyalty.members.service import MemberGone
from loyalty.sessions import service as sessions
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.me import Me, me_of
from miniapp_api.refusals import CloseNotConfirmed

CONFIRMATION = "DELETE"


class LinkProof(Body):
    """The code that was shown on the member's other channel."""

    code: Annotated[str, Field(min_length=4, max_length=40, examples=["K7M2-9QXD"])]


class Closing(Body):
    """`confirm` is the word DELETE: closing cannot be undone."""

    confirm: Annotated[str, Field(max_length=20, examples=[CONFIRMATION])]


@dataclass(frozen=True, slots=True)
class LinkCode:
    """Type it on the other channel before `expires_at`; it works once."""

    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Export:
    """Everything we hold about the member, a section per kind of data."""

    data: dict[str, Any]


async def make_link_code(call: Call[NoBody, NoQuery]) -> LinkCode:
    """A code that proves on another channel who the member is."""
    issued = await identity.issue_link_code(call.member_id, now=call.now)
    return LinkCode(code=issued.code, expires_at=issued.expires_at)


async def link(call: Call[LinkProof, NoQuery]) -> Me | Refusal:
    """Become one member with the one who was shown the code; the sessions of both stay open."""
    if call.caller is None or call.caller.identity_id is None:
        raise Conflict
    outcome = await identity.redeem_link_code(call.body.code, call.caller.identity_id, now=call.now)
    if isinstance(outcome, WrongLinkCode):
        return outcome
    return await me_of(outcome.survivor_id, at=call.now, locale=call.locale)


async def export_data(call: Call[NoBody, NoQuery]) -> Export:
    """Everything we hold about the member."""
    return Export(data=await datarights.export(call.member_id, now=call.now))


async def close_account(call: Call[Closing, NoQuery]) -> None:
    """Close the account and erase what names the person."""
    if call.body.confirm != CONFIRMATION:
        raise CloseNotConfirmed
    await sessions.revoke_all_of_member(call.member_id, now=call.now)
    await datarights.close(call.member_id, now=call.now)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/me/link-code",
        run=make_link_code,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=LinkCode,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone,),
        summary=Summary("生成绑定码，在另一个渠道证明是本人", "A code to prove on another channel who I am"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/link",
        run=link,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=LinkProof,
        result=Me,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(WrongLinkCode, TooManyMisses, MemberGone, Conflict),
        summary=Summary("用绑定码合并账号", "Become one with the account that made the code"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/data",
        run=export_data,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Export,
        rate=Rate.GUESSABLE,
        # Read as one, and written down that it was read.
        repeat=Repeat.ONE_USE,
        refusals=(MemberGone,),
        summary=Summary("导出我的全部数据", "Everything you hold about me"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/me",
        run=close_account,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Closing,
        result=None,
        rate=Rate.WRITE,
        repeat=Repeat.ONE_USE,
        refusals=(CloseNotConfirmed, MemberGone, StoredValueLeft),
        summary=Summary("注销账号（需确认，不可恢复）", "Close my account (needs confirmation, cannot be undone)"),
    ),
)
