"""What staff do in a store: serve a member, and decide what others asked for."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, Field

from loyalty.access import Action, OtherStore, OwnMembership
from loyalty.attempts.service import TooManyMisses
from loyalty.codes import CodeMistyped
from loyalty.counter import service as counter
from loyalty.coupons import queries as coupons
from loyalty.errors import Forbidden, Refusal
from loyalty.member_codes.service import WrongMemberCode
from loyalty.members.queries import MemberCard
from loyalty.members.rules import NameRefused
from loyalty.members.service import MemberGone, PhoneTaken
from loyalty.phones.rules import PhoneInvalid
from loyalty.purchases import queries as purchases_read
from loyalty.purchases import service as purchases
from loyalty.purchases.service import NewPurchase, PurchaseInvalid, PurchaseKeyReused
from loyalty.redemptions import service as redemptions
from loyalty.redemptions.service import (
    AlreadyRedeemed,
    CouponOver,
    CouponUnknown,
    CouponVoid,
    RedemptionInvalid,
    RedemptionKeyReused,
    SpendTooLow,
    Till,
    WrongStore,
)
from loyalty.reports import queries as reports
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import CustomerAtTill, ExternalId, Fen, Lookup, at_till
from miniapp_api.endpoints.coupons import Coupon
from miniapp_api.endpoints.coupons import shown as coupon_shown
from miniapp_api.endpoints.me import Name
from miniapp_api.endpoints.phones import Phone
from miniapp_api.endpoints.purchases import Purchase
from miniapp_api.endpoints.purchases import shown as purchase_shown
from miniapp_api.endpoints.sales import RecordedPurchase, recorded

LOOK_BACK: Final = timedelta(days=92)
PURCHASES_SHOWN: Final = 5
COUPONS_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class MemberAtCounter:
    """Who stands in front of the clerk: their card, last purchases (three months) and coupons usable here."""

    member: CustomerAtTill
    purchases: tuple[Purchase, ...]
    coupons: tuple[Coupon, ...]


class NewMember(Body):
    """Somebody who joins at the counter."""

    phone: Phone
    name: Name | None = None


class CounterPurchase(Body):
    """A sale that a clerk writes down; `external_id` is the receipt's number."""

    external_id: ExternalId
    member: UUID
    amount_fen: Fen
    occurred_at: AwareDatetime | None = None


class Redemption(Body):
    """A coupon code, typed or scanned; `order` is the order's number, `order_fen` its price before the coupon."""

    code: Annotated[str, Field(min_length=4, max_length=60, examples=["3F7Z-K0Q2-M9XW-B"])]
    order: Annotated[str, Field(min_length=1, max_length=80)]
    order_fen: Fen | None = None


@dataclass(frozen=True, slots=True)
class RedeemedCoupon:
    """The coupon counted; `discount_fen` comes off the order when its price was told."""

    coupon: Coupon
    discount_fen: int | None


@dataclass(frozen=True, slots=True)
class StoreDay:
    """The store's business day; money in fen."""

    day: date
    purchases: int
    members: int
    paid_fen: int
    refunded_fen: int
    redemptions: int
    points_granted: int
    approvals_waiting: int


async def staff_lookup(call: Call[Lookup, NoQuery]) -> MemberAtCounter | Refusal:
    """Who stands in front of the clerk."""
    card = await counter.find(call.body.clue, server=call.staff, now=call.now)
    if isinstance(card, WrongMemberCode):
        return card
    return await _at_counter(call, card)


async def staff_register(call: Call[NewMember, NoQuery]) -> MemberAtCounter:
    """Take a new member in."""
    card = await counter.enrol(call.body.phone, name=call.body.name, server=call.staff, now=call.now)
    return await _at_counter(call, card)


async def staff_purchase(call: Call[CounterPurchase, NoQuery]) -> RecordedPurchase:
    """Record a sale and its points."""
    clerk, wanted = call.staff, call.body
    card = await counter.recall(wanted.member, server=clerk, action=Action.PURCHASE_RECORD, now=call.now)
    done = await purchases.record_one(
        NewPurchase(
            source=f"store:{clerk.store_id}",
            external_id=wanted.external_id,
            member_id=card.id,
            amount_fen=wanted.amount_fen,
            occurred_at=wanted.occurred_at or call.now,
            store_id=clerk.store_id,
        ),
        principal=clerk,
        now=call.now,
    )
    return recorded(done)


async def staff_redeem(call: Call[Redemption, NoQuery]) -> RedeemedCoupon | Refusal:
    """Take a coupon."""
    clerk, wanted = call.staff, call.body
    if clerk.store_id is None:
        raise Forbidden(action=Action.COUPON_REDEEM.value)
    till = Till(principal=clerk, store_id=clerk.store_id, key=wanted.order, order_fen=wanted.order_fen)
    done = await redemptions.redeem_code(wanted.code, till, now=call.now)
    if isinstance(done, CouponUnknown):
        return done
    return RedeemedCoupon(coupon=coupon_shown(done.coupon, call.locale), discount_fen=done.discount_fen)


async def staff_today(call: Call[NoBody, NoQuery]) -> StoreDay:
    """The caller's store today."""
    if call.staff.store_id is None:
        raise Forbidden(action=Action.STORE_READ.value)
    day = await reports.store_day(call.staff.store_id, principal=call.staff, now=call.now)
    return StoreDay(
        day=day.day,
        purchases=day.purchases,
        members=day.members,
        paid_fen=day.paid_fen,
        refunded_fen=day.refunded_fen,
        redemptions=day.redemptions,
        points_granted=day.points_granted,
        approvals_waiting=day.approvals_waiting,
    )


async def _at_counter(call: Call[Lookup, NoQuery] | Call[NewMember, NoQuery], card: MemberCard) -> MemberAtCounter:
    found = await purchases_read.since(card.id, moment=call.now - LOOK_BACK, limit=PURCHASES_SHOWN)
    usable = await coupons.usable(card.id, call.staff.store_id, at=call.now, limit=COUPONS_SHOWN)
    return MemberAtCounter(
        member=await at_till(card, now=call.now, locale=call.locale),
        purchases=tuple(purchase_shown(purchase) for purchase in found),
        coupons=tuple(coupon_shown(coupon, call.locale) for coupon in usable),
    )


_AT_COUNTER: Final = (OtherStore, OwnMembership, MemberGone)

ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/staff/lookups",
        run=staff_lookup,
        audience=Audience.STAFF,
        action=Action.MEMBER_FIND,
        body=Lookup,
        result=MemberAtCounter,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, MemberGone, PhoneInvalid, WrongMemberCode, TooManyMisses),
        summary=Summary("识别会员：手机号、动态码或会员号", "Find a member by phone, rotating code or number"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/members",
        run=staff_register,
        audience=Audience.STAFF,
        action=Action.MEMBER_REGISTER,
        body=NewMember,
        result=MemberAtCounter,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, PhoneInvalid, PhoneTaken, NameRefused),
        summary=Summary("登记新会员", "Register a new member"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/purchases",
        run=staff_purchase,
        audience=Audience.STAFF,
        action=Action.PURCHASE_RECORD,
        body=CounterPurchase,
        result=RecordedPurchase,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(*_AT_COUNTER, PurchaseInvalid, PurchaseKeyReused),
        summary=Summary("登记消费", "Record a purchase"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/redemptions",
        run=staff_redeem,
        audience=Audience.STAFF,
        action=Action.COUPON_REDEEM,
        body=Redemption,
        result=RedeemedCoupon,
        status=201,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(
            OtherStore,
            OwnMembership,
            CodeMistyped,
            TooManyMisses,
            CouponUnknown,
            AlreadyRedeemed,
            CouponOver,
            CouponVoid,
            WrongStore,
            SpendTooLow,
            RedemptionKeyReused,
            RedemptionInvalid,
        ),
        summary=Summary("核销优惠券", "Redeem a coupon"),
    ),
    Endpoint(
        method="GET",
        path="/v1/staff/today",
        run=staff_today,
        audience=Audience.STAFF,
        action=Action.STORE_READ,
        result=StoreDay,
        refusals=(OtherStore,),
        summary=Summary("本店今日", "The store today"),
    ),
)
