"""Who the customer at a partner's till is."""

from loyalty.access import Action
from loyalty.attempts.service import TooManyMisses
from loyalty.counter import service as counter
from loyalty.errors import Refusal
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members.service import MemberGone
from loyalty.phones.rules import PhoneInvalid
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import CustomerAtTill, Lookup, at_till


async def partner_lookup(call: Call[Lookup, NoQuery]) -> CustomerAtTill | Refusal:
    """Who the customer at the till is, and what their tiers give."""
    card = await counter.find(call.body.clue, server=call.partner, now=call.now)
    if isinstance(card, WrongMemberCode):
        return card
    return await at_till(card, now=call.now, locale=call.locale)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/partner/lookups",
        run=partner_lookup,
        audience=Audience.PARTNER,
        action=Action.MEMBER_FIND,
        body=Lookup,
        result=CustomerAtTill,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, PhoneInvalid, WrongMemberCode, TooManyMisses),
        summary=Summary("识别会员（手机号、动态码或会员号）", "Find a member by phone, rotating code or number"),
    ),
)
