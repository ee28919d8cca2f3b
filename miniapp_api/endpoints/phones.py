"""Proving a phone number: by WeChat's own check, or by a code sent as SMS."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from loyalty.access import Action
from loyalty.errors import NotFound, Refusal, Unavailable
from loyalty.members import service as members
from loyalty.members.service import MemberGone, PhoneTaken, VerifiedPhone
from loyalty.phones import rules
from loyalty.phones import service as phones
from loyalty.phones.rules import PhoneInvalid
from loyalty.phones.service import CodesTooOften, IssuedCode, WrongPhoneCode
from miniapp_api import logins
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Body,
    Call,
    Endpoint,
    NoQuery,
    Rate,
    Repeat,
    Summary,
)
from miniapp_api.endpoints.me import Me, me_of
from miniapp_api.endpoints.sessions import Account, LoginCode
from miniapp_api.refusals import LoginRefused, SmsNotSent

Phone = Annotated[str, Field(min_length=5, max_length=64, examples=["+8613800138000"])]


class WechatPhone(Body):
    """The one-use code that `getPhoneNumber` gave to the mini-program (not the login code)."""

    account: Account
    code: LoginCode


class PhoneToProve(Body):
    """A number, however it is spelled."""

    phone: Phone


class PhoneProof(Body):
    """The number and the code that was sent to it."""

    phone: Phone
    code: Annotated[str, Field(min_length=4, max_length=16, examples=["123456"])]


@dataclass(frozen=True, slots=True)
class CodeSent:
    """A code is on its way; the answer is the same for a number that somebody here has and for any other."""

    phone: str
    expires_at: datetime


async def ask_wechat_phone(call: Call[WechatPhone, NoQuery]) -> str:
    """The number that WeChat vouches for."""
    return await logins.mini_program_phone(call.context, call.body.account, call.body.code)


async def bind_wechat_phone(call: Call[WechatPhone, NoQuery]) -> Me:
    """Give the member the number that WeChat vouches for."""
    proven = VerifiedPhone(rules.e164(call.brought), "wechat")
    await members.bind_phone(call.member_id, proven, now=call.now)
    return await me_of(call.member_id, at=call.now, locale=call.locale)


async def issue_phone_code(call: Call[PhoneToProve, NoQuery]) -> CodeSent:
    """Make a code; it leaves after the commit."""
    if call.context.sms is None:
        raise SmsNotSent
    issued = await phones.issue_code(call.member_id, call.body.phone, now=call.now)
    call.brought = issued
    return CodeSent(phone=rules.masked(issued.number), expires_at=issued.expires_at)


async def send_phone_code(call: Call[PhoneToProve, NoQuery], _sent: CodeSent) -> None:
    """Hand the code to the SMS provider."""
    issued: IssuedCode = call.brought
    if call.context.sms is None or not await call.context.sms.send_code(issued.number, issued.code):
        raise SmsNotSent


async def prove_phone(call: Call[PhoneProof, NoQuery]) -> Me | Refusal:
    """Give the member the number whose code they typed."""
    outcome = await phones.prove(call.member_id, call.body.phone, call.body.code, now=call.now)
    if isinstance(outcome, WrongPhoneCode):
        return outcome
    await members.bind_phone(call.member_id, VerifiedPhone(outcome.number, "sms"), now=call.now)
    return await me_of(call.member_id, at=call.now, locale=call.locale)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/me/phone",
        before=ask_wechat_phone,
        run=bind_wechat_phone,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=WechatPhone,
        result=Me,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(
            LoginRefused,
            NotFound,
            Unavailable,
            PhoneInvalid,
            PhoneTaken,
            MemberGone,
        ),
        summary=Summary(
            "绑定手机号（微信手机号快速验证）",
            "Bind the phone number that WeChat vouches for",
        ),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/phone/sms",
        run=issue_phone_code,
        after=send_phone_code,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=PhoneToProve,
        result=CodeSent,
        status=202,
        rate=Rate.GUESSABLE,
        repeat=Repeat.ONE_USE,
        refusals=(PhoneInvalid, CodesTooOften, SmsNotSent),
        summary=Summary("发送短信验证码", "Send a code by SMS"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/phone/verify",
        run=prove_phone,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=PhoneProof,
        result=Me,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(PhoneInvalid, WrongPhoneCode, PhoneTaken, MemberGone),
        summary=Summary("用短信验证码绑定手机号", "Bind a phone number with its SMS code"),
    ),
)
