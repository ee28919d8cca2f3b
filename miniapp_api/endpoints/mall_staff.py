"""The points mall at the counter: what waits, taking money, handing over, sending, giving back."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from loyalty import codes
from loyalty.access import Action, OtherStore, OwnMembership
from loyalty.codes import CodeMistyped
from loyalty.coupons import service as coupons
from loyalty.errors import NotFound
from loyalty.ledger.service import HoldOver
from loyalty.mall import ending, handing, queries
from loyalty.mall.ending import RefundInvalid
from loyalty.mall.giving import CouponUsed
from loyalty.mall.handing import TRACKING_LENGTH_MAX, TrackingInvalid
from loyalty.mall.orders import OrderOver, OrderUnknown
from loyalty.members.service import MemberGone
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.mall import MallOrder, MallOrders, for_staff
from miniapp_api.public_ids import Kind, row_id


@dataclass(frozen=True, slots=True)
class MallAddress:
    """Where to send it; that you looked is on record."""

    address: str


class Collecting(Body):
    """The collection code that the member shows."""

    code: Annotated[str, Field(min_length=1, max_length=codes.TYPED_LENGTH_MAX + 5)]


class Shipping(Body):
    """The number of the parcel."""

    tracking: Annotated[str, Field(min_length=1, max_length=TRACKING_LENGTH_MAX)]


class MoneyTaken(Body):
    """The receipt of the till."""

    reference: Annotated[str, Field(min_length=1, max_length=60)]


class MallRefund(Body):
    """Why, and whether the goods are in stock again."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]
    goods_back: bool = True


async def list_mall_waiting(call: Call[NoBody, NoQuery]) -> MallOrders:
    """What is to be handed over, sent, or paid, the oldest first."""
    found = await queries.waiting(at=call.now, limit=queries.PAGE_MAX)
    # A collection code is the member's to show.
    return MallOrders(items=tuple(for_staff(order, call.locale) for order in found), next_cursor=None)


async def collect_mall_order(call: Call[Collecting, NoQuery]) -> MallOrder:
    """Hand an order over against its code."""
    return for_staff(await handing.collect(call.body.code, principal=call.staff, now=call.now), call.locale)


async def ship_mall_order(call: Call[Shipping, NoQuery]) -> MallOrder:
    """Say that the parcel is on its way."""
    done = await handing.ship(_id(call.path), call.body.tracking, principal=call.staff, now=call.now)
    return for_staff(done, call.locale)


async def take_mall_money(call: Call[MoneyTaken, NoQuery]) -> MallOrder:
    """Say that the money of an order was taken at the till."""
    done = await handing.take_money(_id(call.path), call.body.reference, principal=call.staff, now=call.now)
    return for_staff(done, call.locale)


async def read_mall_address(call: Call[NoBody, NoQuery]) -> MallAddress:
    """Where an order is to be sent."""
    return MallAddress(await handing.address(_id(call.path), principal=call.staff, now=call.now))


async def refund_mall_order(call: Call[MallRefund, NoQuery]) -> MallOrder:
    """Give an exchange back."""
    done = await ending.refund(
        _id(call.path),
        principal=call.staff,
        reason=call.body.reason,
        goods_back=call.body.goods_back,
        now=call.now,
    )
    return for_staff(done, call.locale)


def _id(path: dict[str, str]) -> int:
    return row_id(Kind.MALL_ORDER, path["order"])


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/staff/mall/orders",
        run=list_mall_waiting,
        audience=Audience.STAFF,
        action=Action.MALL_FULFIL,
        result=MallOrders,
        refusals=(OtherStore,),
        summary=Summary("待处理的兑换", "Exchanges to hand over, send or be paid for"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/mall/collections",
        run=collect_mall_order,
        audience=Audience.STAFF,
        action=Action.MALL_FULFIL,
        body=Collecting,
        result=MallOrder,
        status=201,
        rate=Rate.GUESSABLE,
        repeat=Repeat.KEYED,
        refusals=(CodeMistyped, OrderUnknown, OrderOver, OtherStore, OwnMembership),
        summary=Summary("凭取货码发放", "Hand an exchange over against its code"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/mall/orders/{order}/shipment",
        run=ship_mall_order,
        audience=Audience.STAFF,
        action=Action.MALL_FULFIL,
        body=Shipping,
        result=MallOrder,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotFound, OrderUnknown, OrderOver, TrackingInvalid, OtherStore, OwnMembership),
        summary=Summary("发货", "Send an exchange"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/mall/orders/{order}/payment",
        run=take_mall_money,
        audience=Audience.STAFF,
        action=Action.MALL_FULFIL,
        body=MoneyTaken,
        result=MallOrder,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(
            NotFound,
            OrderUnknown,
            OrderOver,
            HoldOver,
            OtherStore,
            OwnMembership,
            coupons.SoldOut,
            coupons.LimitReached,
            coupons.Ended,
            coupons.TierTooLow,
        ),
        summary=Summary("记录已收款", "Record that the money was taken"),
    ),
    Endpoint(
        method="GET",
        path="/v1/staff/mall/orders/{order}/address",
        run=read_mall_address,
        audience=Audience.STAFF,
        action=Action.MALL_FULFIL,
        result=MallAddress,
        rate=Rate.GUESSABLE,
        refusals=(NotFound, OrderUnknown, OrderOver, MemberGone, OtherStore, OwnMembership),
        summary=Summary("查看收货地址（留痕）", "Where an exchange is to be sent; on record"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/mall/orders/{order}/refund",
        run=refund_mall_order,
        audience=Audience.STAFF,
        action=Action.MALL_REFUND,
        body=MallRefund,
        result=MallOrder,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotFound, OrderUnknown, OrderOver, CouponUsed, RefundInvalid, OtherStore, OwnMembership),
        summary=Summary("退回兑换", "Give an exchange back"),
    ),
)
