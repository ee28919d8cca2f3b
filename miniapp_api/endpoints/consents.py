"""What the member allows, purpose by purpose."""

from dataclasses import dataclass
from datetime import datetime

from loyalty.access import Action
from loyalty.consents import queries as consents_read
from loyalty.consents import service as consents
from loyalty.consents.rules import SWITCHABLE, UnknownPurpose
from loyalty.members.service import MemberGone
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Body,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
    Rate,
    Repeat,
    Summary,
)
from miniapp_api.principals import channel_of

EVIDENCE = "api:consents"


@dataclass(frozen=True, slots=True)
class Consent:
    """Where one purpose stands. `may_ask`: the member may be asked (again) now; `switchable`: by this API."""

    purpose: str
    allowed: bool
    answered_at: datetime | None
    may_ask: bool
    switchable: bool


@dataclass(frozen=True, slots=True)
class Consents:
    """Every purpose."""

    items: tuple[Consent, ...]


class Answers(Body):
    """New answers by purpose; purposes that are left out keep theirs."""

    consents: dict[str, bool]


async def read_consents(call: Call[NoBody, NoQuery]) -> Consents:
    """Where every purpose stands."""
    return await _standing(call.member_id, now=call.now)


async def change_consents(call: Call[Answers, NoQuery]) -> Consents:
    """Store the answers; a withdrawal is in force at once."""
    channel = await channel_of(call.caller)
    for purpose, granted in sorted(call.body.consents.items()):
        if purpose not in SWITCHABLE:
            raise UnknownPurpose(purpose=purpose[:32])
        answer = consents.grant if granted else consents.withdraw
        await answer(call.member_id, purpose, channel=channel, evidence=EVIDENCE, now=call.now)
    return await _standing(call.member_id, now=call.now)


async def _standing(member_id: int, *, now: datetime) -> Consents:
    return Consents(
        items=tuple(
            Consent(
                purpose=entry.purpose,
                allowed=entry.allowed,
                answered_at=entry.answered_at,
                may_ask=entry.may_ask,
                switchable=entry.purpose in SWITCHABLE,
            )
            for entry in await consents_read.standing(member_id, now=now)
        )
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/consents",
        run=read_consents,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Consents,
        summary=Summary("我的授权", "What I allow"),
    ),
    Endpoint(
        method="PUT",
        path="/v1/me/consents",
        run=change_consents,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Answers,
        result=Consents,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(UnknownPurpose, MemberGone),
        summary=Summary("同意或撤回（立即生效）", "Allow or withdraw, in force at once"),
    ),
)
