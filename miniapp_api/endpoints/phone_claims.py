"""Claiming a number that another member holds: it moves after a cooling-off, unless the holder objects."""

from dataclasses import dataclass
from datetime import datetime

from loyalty.access import Action
from loyalty.errors import NotFound, Refusal
from loyalty.members.service import MemberGone, VerifiedPhone
from loyalty.phone_claims import service as phone_claims
from loyalty.phone_claims.service import ClaimUnderWay, ClaimUnknown, PhoneFree
from loyalty.phones import service as phones
from loyalty.phones.rules import PhoneInvalid
from loyalty.phones.service import WrongPhoneCode
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.phones import PhoneProof
from miniapp_api.public_ids import Kind, public_id, row_id


@dataclass(frozen=True, slots=True)
class PendingClaim:
    """The number moves at `effective_at`; points and coupons of its holder stay with the holder."""

    id: str
    effective_at: datetime


async def claim_phone(call: Call[PhoneProof, NoQuery]) -> PendingClaim | Refusal:
    """Ask for a number that was proven by SMS and that another member holds."""
    outcome = await phones.prove(call.member_id, call.body.phone, call.body.code, now=call.now)
    if isinstance(outcome, WrongPhoneCode):
        return outcome
    pending = await phone_claims.claim(call.member_id, VerifiedPhone(outcome.number, "sms"), now=call.now)
    return PendingClaim(id=public_id(Kind.CLAIM, pending.id), effective_at=pending.effective_at)


async def object_to_claim(call: Call[NoBody, NoQuery]) -> None:
    """Keep the number that somebody else claims."""
    await phone_claims.object_to(row_id(Kind.CLAIM, call.path["claim"]), call.member_id, now=call.now)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/me/phone/claims",
        run=claim_phone,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=PhoneProof,
        result=PendingClaim,
        status=202,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(PhoneInvalid, WrongPhoneCode, PhoneFree, ClaimUnderWay, MemberGone),
        summary=Summary("申请换绑被占用的手机号（72 小时）", "Claim a number that another account holds"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/phone/claims/{claim}/objection",
        run=object_to_claim,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=None,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotFound, ClaimUnknown),
        summary=Summary("拒绝他人换绑我的手机号", "Object to the claim of my number"),
    ),
)
