"""Staff: what is done for the member being served - purchases, coupons, points - in one line or step by step."""

import hashlib
from typing import Final

from handlers import intent_arguments, mall, staff_finding
from handlers.button_keys import row_id
from handlers.chat import StaffChat
from handlers.intent_arguments import Gift
from handlers.messages import Reply, Scan
from loyalty import access
from loyalty.access import Action, OtherStore, Resource
from loyalty.clock import business_day
from loyalty.codes import CodeMistyped
from loyalty.coupons import queries as coupons
from loyalty.coupons.rules import coupon_of
from loyalty.deductions import service as deductions
from loyalty.points import service as points
from loyalty.points.service import AwaitingApproval
from loyalty.purchases import queries as purchases_read
from loyalty.purchases import service as purchases
from loyalty.purchases.service import NewPurchase
from loyalty.redemptions import service as redemptions
from loyalty.redemptions.service import CouponUnknown, Redeemed, Till

PURCHASE: Final = "purchase"
REDEEM: Final = "redeem"
GRANT: Final = "grant"
DEDUCT: Final = "deduct"


async def purchase(chat: StaffChat) -> Reply:
    """「消费 88.5」, with the order's number behind it where there is one."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    typed = intent_arguments.sale_of(chat.rest)
    if typed is None:
        _authorize(chat, Action.PURCHASE_RECORD)
        await chat.expect(PURCHASE, member_id=chat.serving)
        return chat.say("ask_amount", again=bool(chat.rest.strip()))
    source, number = f"store:{chat.staff.store_id}", typed.order or chat.key
    known = await purchases_read.by_key(source, number)
    done = await purchases.record_one(
        NewPurchase(
            source=source,
            external_id=number,
            member_id=chat.serving,
            amount_fen=typed.amount_fen,
            # The same order typed again is the same purchase, not another one of a minute later.
            occurred_at=chat.now if known is None else known.occurred_at,
            store_id=chat.staff.store_id,
        ),
        principal=chat.staff,
        now=chat.now,
    )
    await chat.expect("", member_id=chat.serving)
    return chat.say("purchase_done", purchase=done, order=typed.order)


async def redeem(chat: StaffChat) -> Reply:
    """「核销 ABCD-…」: whoever shows the code; without one, ask."""
    if not chat.rest.strip():
        _authorize(chat, Action.COUPON_REDEEM)
        await chat.expect(REDEEM, member_id=chat.serving)
        return chat.say("ask_code")
    done = await redemptions.redeem_code(chat.rest, _till(chat), now=chat.now)
    return await _redeemed(chat, done)


async def redeem_button(chat: StaffChat) -> Reply:
    """A coupon on the card of the member being served."""
    coupon_id = row_id(chat.rest)
    if chat.serving is None or coupon_id is None:
        return chat.say("ask_member_first")
    done = await redemptions.redeem(coupon_id, _till(chat), member_id=chat.serving, now=chat.now)
    return await _redeemed(chat, done)


async def undo_redeem(chat: StaffChat) -> Reply:
    """「撤销核销 ABCD-… 原因」: a manager gives a coupon back on the same day."""
    typed = intent_arguments.undoing_of(chat.rest)
    if typed is None:
        _authorize(chat, Action.COUPON_UNDO)
        return chat.say("ask_undo")
    coupon = await redemptions.undo(coupon_of(typed.code), principal=chat.staff, reason=typed.reason, now=chat.now)
    return chat.say("redeem_undone", coupon=coupon)


async def grant(chat: StaffChat) -> Reply:
    """「送 50 补偿」: at once within the limit, by another person's approval above it."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    typed = intent_arguments.gift_of(chat.rest)
    if typed is None:
        _authorize(chat, Action.POINTS_GRANT)
        await chat.expect(GRANT, member_id=chat.serving)
        return chat.say("ask_points", again=bool(chat.rest.strip()))
    outcome = await points.grant_points(
        chat.staff, chat.serving, typed.points, reason=typed.reason, key=_gift_key(chat, typed), now=chat.now
    )
    await chat.expect("", member_id=chat.serving)
    if isinstance(outcome, AwaitingApproval):
        return chat.say("grant_asked", asked=outcome)
    return chat.say("grant_done", done=outcome)


async def deduct(chat: StaffChat) -> Reply:
    """「扣 50 上次多记」: at once within the limit, by another person's approval above it."""
    if chat.serving is None:
        return chat.say("ask_member_first")
    typed = intent_arguments.gift_of(chat.rest)
    if typed is None:
        _authorize(chat, Action.POINTS_DEDUCT)
        await chat.expect(DEDUCT, member_id=chat.serving)
        return chat.say("ask_deduction", again=bool(chat.rest.strip()))
    done = await deductions.deduct(
        chat.staff, chat.serving, typed.points, reason=typed.reason, key=_gift_key(chat, typed), now=chat.now
    )
    await chat.expect("", member_id=chat.serving)
    return chat.say("deducted", done=done)


async def answer(chat: StaffChat) -> Reply:
    """Free words where a step is open; without one, what was said is not understood."""
    match chat.dialogue.step if chat.dialogue is not None else "":
        case staff_finding.FIND:
            return await staff_finding.find(chat)
        case staff_finding.REGISTER:
            return await staff_finding.register(chat)
        case step if step == PURCHASE:
            return await purchase(chat)
        case step if step == REDEEM:
            return await redeem(chat)
        case step if step == GRANT:
            return await grant(chat)
        case step if step == DEDUCT:
            return await deduct(chat)
        case _:
            return chat.say("fallback")


async def scan(chat: StaffChat) -> Reply:
    """What the camera read: a coupon's code is redeemed, everything else leads to a member."""
    content = chat.inbound.content
    scene = content.scene if isinstance(content, Scan) else chat.rest
    if not scene.strip():
        return await staff_finding.find(chat)
    if scene.startswith(mall.SCANNED):
        return await mall.collect_code(chat, scene)
    try:
        coupon_of(scene)
    except CodeMistyped:
        return await staff_finding.by_clue(chat, staff_finding.clue_of(scene))
    return await _redeemed(chat, await redemptions.redeem_code(scene, _till(chat), now=chat.now))


async def _redeemed(chat: StaffChat, done: Redeemed | CouponUnknown) -> Reply:
    if isinstance(done, CouponUnknown):
        return chat.refuse(done)
    await chat.expect("", member_id=done.coupon.member_id)
    left = await coupons.usable(done.coupon.member_id, chat.staff.store_id, at=chat.now)
    return chat.say("redeemed", coupon=done.coupon, left=len(left), replayed=done.replayed)


def _gift_key(chat: StaffChat, gift: Gift) -> str:
    """The same points for the same reason count once a day: a line sent twice gives nothing twice, and says so."""
    day = business_day(chat.now, chat.terms.calendar).isoformat()
    reason = hashlib.sha256(gift.reason.encode()).hexdigest()[:16]
    return f"chat:{day}:{chat.serving}:{gift.points}:{reason}"


def _till(chat: StaffChat) -> Till:
    if chat.staff.store_id is None:
        raise OtherStore(store_id=None)
    return Till(principal=chat.staff, store_id=chat.staff.store_id, key=chat.key)


def _authorize(chat: StaffChat, action: Action) -> None:
    # Whoever may not do it hears so before they type half of it.
    access.authorize(chat.staff, action, Resource(store_id=chat.staff.store_id, member_id=chat.serving))
