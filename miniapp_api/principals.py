"""Who calls: a bearer token leads to a member, a member of staff or a partner system."""

import re
from dataclasses import dataclass
from typing import Final, assert_never

from aiohttp import web

from loyalty.access import (
    MemberPrincipal,
    PartnerPrincipal,
    Principal,
    StaffPrincipal,
    SystemPrincipal,
)
from loyalty.errors import Unauthenticated
from loyalty.identity import queries as identity
from loyalty.sessions.service import MemberSession, SessionEnded, StaffSession
from loyalty.staff import queries as staff
from miniapp_api import bursts
from miniapp_api.audience import STAFF, Audience

_BEARER: Final = re.compile(r"[Bb]earer ([A-Za-z0-9_.~+/=-]{16,200})")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, through which channel identity they logged in, and the language they chose there."""

    principal: Principal
    identity_id: int | None = None
    locale: str | None = None


async def caller_of(request: web.Request, audience: Audience) -> Caller:
    """The caller of an endpoint for `audience`; a credential of another audience is none.

    Raises:
        Unauthenticated: no token, an unknown or ended one, or one of another audience.
    """
    token = bearer_token(request)
    if audience is Audience.PARTNER:
        return Caller(_present(await bursts.partner_of(token)))
    session = await bursts.session_of(token)
    if audience is Audience.MEMBER and isinstance(session, MemberSession):
        return Caller(MemberPrincipal(session.member_id), session.identity_id, session.locale)
    if audience in STAFF and isinstance(session, StaffSession):
        # Asked for again, because who may not be served (the person's own membership) stands with the staff row.
        return Caller(_present(await staff.principal(session.staff_id)))
    raise SessionEnded


def _present(principal: Principal | None) -> Principal:
    if principal is None:
        raise Unauthenticated
    return principal


def bearer_token(request: web.Request) -> str:
    """The token of the `Authorization` header.

    Raises:
        Unauthenticated: absent, given twice, or not a bearer token.
    """
    given = request.headers.getall("Authorization", [])
    match = _BEARER.fullmatch(given[0]) if len(given) == 1 else None
    if match is None:
        raise Unauthenticated
    return match[1]


def caller_name(principal: Principal | None, address: str) -> str:
    """A stable name of the caller for limits and idempotency: keys of two callers never meet."""
    match principal:
        case None:
            return f"address:{address}"
        case MemberPrincipal(member_id=number):
            return f"member:{number}"
        case StaffPrincipal(staff_id=number):
            return f"staff:{number}"
        case PartnerPrincipal(partner_id=number):
            return f"partner:{number}"
        case SystemPrincipal(name=name):
            return f"system:{name}"
        case _:
            assert_never(principal)


async def channel_of(caller: Caller | None) -> str:
    """The channel through which the caller logged in; "api" for a login without one."""
    if caller is None or caller.identity_id is None:
        return "api"
    return await identity.channel_of(caller.identity_id) or "api"
