"""The points mall (积分商城) for members: what there is, exchanging, one's orders."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from loyalty import codes
from loyalty.access import Action
from loyalty.coupons import service as coupons
from loyalty.errors import NotFound
from loyalty.ledger.service import NotEnough
from loyalty.mall import ending, giving, handing, queries, service
from loyalty.mall.ending import MoneyWasPaid
from loyalty.mall.items import ItemUnknown
from loyalty.mall.orders import OrderOver, OrderUnknown
from loyalty.mall.queries import ItemView, OrderView
from loyalty.mall.rules import State, collection_code
from loyalty.mall.service import (
    ADDRESS_LENGTH_MAX,
    DeliveryInvalid,
    Exchange,
    KeyReused,
    LimitReached,
    NotOpen,
    PeriodLimitReached,
    SoldOut,
    TierTooLow,
)
from loyalty.tiers import queries as tiers
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Query, Rate, Repeat, Summary
from miniapp_api.endpoints.paging import LIMIT_DEFAULT, LIMIT_MAX, next_cursor
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id
from templates.words import Locale

ItemCode = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", examples=["mug"])]
Status = Literal[
    "awaiting_payment", "to_ship", "to_collect", "shipped", "delivered", "collected", "cancelled", "refunded"
]


@dataclass(frozen=True, slots=True)
class MallOffer:
    """An item as this member sees it: `points` is their price, `may_exchange` whether their tier allows it."""

    code: str
    name: str
    about: str
    picture: str | None
    kind: Literal["goods", "coupon", "code"]
    points: int
    full_points: int
    points_kind: str | None
    money_fen: int
    left: int
    may_exchange: bool
    deliveries: tuple[Literal["ship", "collect", "none"], ...]
    starts_at: datetime | None
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class MallOffers:
    """What the mall has."""

    items: tuple[MallOffer, ...]


@dataclass(frozen=True, slots=True)
class MallOrder:
    """An exchange. `collection_code` is what a clerk needs, null unless it waits in the store."""

    id: str
    item: str
    name: str
    kind: Literal["goods", "coupon", "code"]
    state: Status
    delivery: Literal["ship", "collect", "none"]
    points: int
    money_fen: int
    pay_by: datetime | None
    collection_code: str | None
    tracking: str | None
    can_cancel: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class MallOrders:
    """A page of orders, newest first."""

    items: tuple[MallOrder, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class MallStep:
    """When the order came to this state."""

    state: Status
    at: datetime


@dataclass(frozen=True, slots=True)
class MallOrderWhole:
    """An order with its history."""

    order: MallOrder
    steps: tuple[MallStep, ...]


@dataclass(frozen=True, slots=True)
class RevealedCode:
    """The virtual code; from now on the exchange cannot be undone."""

    code: str


class MallWish(Body):
    """What to exchange and how it comes; sending needs an address."""

    item: ItemCode
    delivery: Literal["ship", "collect", "none"] | None = None
    address: Annotated[str, Field(min_length=1, max_length=ADDRESS_LENGTH_MAX)] | None = None


class MallQuery(Query):
    """Which page."""

    cursor: PublicId | None = None
    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT


async def list_mall(call: Call[NoBody, NoQuery]) -> MallOffers:
    """What can be exchanged, at this member's prices."""
    held = (await tiers.tiers_of([call.member_id], at=call.now)).get(call.member_id, frozenset())
    found = await queries.on_offer(at=call.now)
    return MallOffers(items=tuple(_offer(view, held, call.locale) for view in found))


async def exchange_points(call: Call[MallWish, NoQuery]) -> MallOrder:
    """Exchange points for one of an item."""
    asked = Exchange(
        member_id=call.member_id,
        item=call.body.item,
        key=call.operation_key,
        delivery=call.body.delivery,
        address=call.body.address,
    )
    return shown(await service.exchange(asked, now=call.now), call.locale)


async def list_mall_orders(call: Call[NoBody, MallQuery]) -> MallOrders:
    """The member's exchanges."""
    before = None if call.query.cursor is None else row_id(Kind.MALL_ORDER, call.query.cursor)
    found = await queries.mine(call.member_id, at=call.now, before_id=before, limit=call.query.limit)
    continues = len(found) == call.query.limit
    return MallOrders(
        items=tuple(shown(order, call.locale) for order in found),
        next_cursor=next_cursor(Kind.MALL_ORDER, found[-1].id if continues else None),
    )


async def read_mall_order(call: Call[NoBody, NoQuery]) -> MallOrderWhole:
    """One exchange with its history."""
    order = await queries.order(row_id(Kind.MALL_ORDER, call.path["order"]), at=call.now)
    if order is None or order.member_id != call.member_id:
        raise OrderUnknown
    steps = await queries.steps([order.id])
    return MallOrderWhole(shown(order, call.locale), tuple(MallStep(step.state.value, step.at) for step in steps))


async def cancel_mall_order(call: Call[NoBody, NoQuery]) -> MallOrder:
    """Give an exchange up before it is sent or fetched."""
    order_id = row_id(Kind.MALL_ORDER, call.path["order"])
    return shown(await ending.cancel(order_id, member_id=call.member_id, now=call.now), call.locale)


async def confirm_mall_arrival(call: Call[NoBody, NoQuery]) -> MallOrder:
    """Confirm that the parcel came."""
    order_id = row_id(Kind.MALL_ORDER, call.path["order"])
    return shown(await handing.arrived(order_id, member_id=call.member_id, now=call.now), call.locale)


async def reveal_mall_code(call: Call[NoBody, NoQuery]) -> RevealedCode:
    """Show the virtual code to its owner."""
    order_id = row_id(Kind.MALL_ORDER, call.path["order"])
    return RevealedCode(await giving.reveal(order_id, member_id=call.member_id, now=call.now))


def shown(order: OrderView, locale: Locale) -> MallOrder:
    """An order as its member sees it."""
    return MallOrder(
        id=public_id(Kind.MALL_ORDER, order.id),
        item=order.item.code,
        name=in_words(order.item.name, locale),
        kind=order.item.good.kind,
        state=order.state.value,
        delivery=order.delivery,
        points=order.points,
        money_fen=order.money_fen,
        pay_by=order.pay_by if order.state is State.AWAITING_PAYMENT else None,
        collection_code=codes.spaced(collection_code(order.id)) if order.state is State.TO_COLLECT else None,
        tracking=order.tracking,
        can_cancel=order.state in ending.OPEN and order.payment_ref is None,
        at=order.at,
    )


def for_staff(order: OrderView, locale: Locale) -> MallOrder:
    """An order without its collection code, which is the member's to show."""
    return replace(shown(order, locale), collection_code=None)


def in_words(words: Any, locale: Locale) -> str:
    """The words of a language, or of any."""
    return str(words.get(locale) or next(iter(words.values()), ""))


def _offer(view: ItemView, held: frozenset[str], locale: Locale) -> MallOffer:
    item = view.item
    return MallOffer(
        code=item.code,
        name=in_words(item.name, locale),
        about=in_words(item.about, locale),
        picture=item.picture,
        kind=item.good.kind,
        points=item.price(held),
        full_points=item.points,
        points_kind=item.points_kind,
        money_fen=item.money_fen,
        left=max(0, view.left),
        may_exchange=item.may(held),
        deliveries=item.deliveries(),
        starts_at=item.starts_at,
        ends_at=item.ends_at,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/mall/items",
        run=list_mall,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=MallOffers,
        summary=Summary("积分商城", "What points can be exchanged for"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/mall/orders",
        run=exchange_points,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=MallWish,
        result=MallOrder,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(
            ItemUnknown,
            NotOpen,
            TierTooLow,
            SoldOut,
            LimitReached,
            PeriodLimitReached,
            DeliveryInvalid,
            NotEnough,
            KeyReused,
            coupons.SoldOut,
            coupons.LimitReached,
            coupons.Ended,
            coupons.TierTooLow,
        ),
        summary=Summary("用积分兑换一件", "Exchange points for one of an item"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/mall/orders",
        run=list_mall_orders,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=MallQuery,
        result=MallOrders,
        refusals=(NotFound,),
        summary=Summary("我的兑换", "My exchanges"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/mall/orders/{order}",
        run=read_mall_order,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=MallOrderWhole,
        refusals=(NotFound, OrderUnknown),
        summary=Summary("一笔兑换与进度", "One exchange with its history"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/me/mall/orders/{order}",
        run=cancel_mall_order,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=MallOrder,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotFound, OrderUnknown, OrderOver, MoneyWasPaid),
        summary=Summary("取消兑换", "Give an exchange up"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/mall/orders/{order}/arrival",
        run=confirm_mall_arrival,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=MallOrder,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(NotFound, OrderUnknown, OrderOver),
        summary=Summary("确认收货", "Confirm that the parcel came"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/mall/orders/{order}/code",
        run=reveal_mall_code,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=RevealedCode,
        rate=Rate.WRITE,
        repeat=Repeat.ONE_USE,
        refusals=(NotFound, OrderUnknown, OrderOver),
        summary=Summary("查看兑换码", "Show the virtual code"),
    ),
)
