"""Coupons: mine, on offer, claimed with one press, shown with a code that a clerk can read."""

from typing import Final

from handlers.button_keys import row_id
from handlers.chat import Chat
from handlers.messages import Reply
from loyalty.coupon_templates import queries as templates
from loyalty.coupon_templates.service import TemplateUnknown
from loyalty.coupons import queries, service
from loyalty.coupons.queries import CouponView
from loyalty.coupons.rules import code_of
from loyalty.coupons.service import ClaimRequest
from loyalty.redemptions.service import CouponUnknown
from loyalty.staff import queries as staff

_SHOWN: Final = 6


async def mine(chat: Chat) -> Reply:
    """The usable ones, what ends first first."""
    usable = await queries.mine(chat.member_id, at=chat.now, status="issued", limit=_SHOWN + 1)
    return chat.say("coupons", coupons=usable[:_SHOWN], more=len(usable) > _SHOWN)


async def claimable(chat: Chat) -> Reply:
    """What is on offer, with a button for what this member can have now and the reason for the rest."""
    offers = await queries.claimable(chat.member_id, at=chat.now)
    ready = [offer for offer in offers if offer.refusal is None]
    others = [offer for offer in offers if offer.refusal is not None]
    return chat.say("coupons_claimable", offers=ready[:_SHOWN], others=others[: max(0, _SHOWN - len(ready))])


async def claim(chat: Chat) -> Reply:
    """The press of a claim button."""
    return await _claimed(chat, row_id(chat.rest))


async def claim_by_code(chat: Chat, code: str) -> Reply:
    """A poster's QR code names a template by the code that marketers gave it."""
    template = await templates.by_code(code.lower())
    return await _claimed(chat, None if template is None else template.id)


async def show(chat: Chat) -> Reply:
    """One coupon with its code in readable groups, where it counts and until when."""
    coupon = await _mine(chat)
    stores = [store for store in await staff.stores() if store.id in coupon.store_ids]
    return chat.say("coupon", coupon=coupon, code=code_of(coupon.id), stores=stores)


async def _claimed(chat: Chat, template_id: int | None) -> Reply:
    if template_id is None:
        raise TemplateUnknown
    wanted = ClaimRequest(member_id=chat.member_id, template_id=template_id, key=f"chat:{chat.inbound.key}"[:120])
    claimed = await service.claim_one(wanted, now=chat.now)
    coupon = await queries.of_member(chat.member_id, claimed.coupon_id, at=chat.now)
    return chat.say("coupon_claimed", coupon=coupon)


async def _mine(chat: Chat) -> CouponView:
    wanted = row_id(chat.rest)
    found = None if wanted is None else await queries.of_member(chat.member_id, wanted, at=chat.now)
    if found is None:
        raise CouponUnknown
    return found
