"""The points mall as its makers see it: items with versions, codes uploaded, every order, also as CSV."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from loyalty import access
from loyalty.access import Action, NeedsAnother
from loyalty.datarights.rules import csv_parts
from loyalty.errors import NotFound
from loyalty.mall import items, queries
from loyalty.mall.items import ItemChanged, ItemInvalid, ItemUnknown, StockBelowOrders
from loyalty.mall.queries import ItemView, OrderView
from loyalty.mall.rules import NewItem, State
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Bytes, Call, Endpoint, NoBody, NoQuery, Query, Rate, Repeat, Summary
from miniapp_api.endpoints.mall import MallOrders, Status, for_staff
from miniapp_api.endpoints.paging import next_cursor
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id

EXPORT_MAX = 2000


@dataclass(frozen=True, slots=True)
class WrittenItem:
    """An item as its makers see it; writing names the version that was read."""

    code: str
    version: int
    document: str
    status: Literal["on", "off"]
    stock: int
    left: int
    is_low: bool
    updated_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class WrittenItems:
    """All items, newest first."""

    items: tuple[WrittenItem, ...]


@dataclass(frozen=True, slots=True)
class CodesAdded:
    """How many codes were new, and how many are left now."""

    added: int
    left: int


class ItemDocument(NewItem, Body):
    """The item."""


class ItemWriting(Body):
    """The item, over the version that was read; 0 makes a new one."""

    version: Annotated[int, Field(ge=0, le=10**6)]
    item: ItemDocument


class Switch(Body):
    """Whether members see it."""

    on: bool


class CodeUpload(Body):
    """Codes, one each."""

    codes: Annotated[list[Annotated[str, Field(min_length=1, max_length=200)]], Field(min_length=1, max_length=5000)]


class OrdersQuery(Query):
    """Which orders."""

    state: Status | None = None
    cursor: PublicId | None = None


async def list_written_items(call: Call[NoBody, NoQuery]) -> WrittenItems:
    """Every item with what is left."""
    return WrittenItems(items=tuple(_written(view) for view in await queries.every(at=call.now)))


async def write_item(call: Call[ItemWriting, NoQuery]) -> WrittenItem:
    """Write an item."""
    return _written(await items.write(call.body.item, version=call.body.version, principal=call.staff, now=call.now))


async def switch_item(call: Call[Switch, NoQuery]) -> WrittenItem:
    """Put an item on or take it off."""
    return _written(await items.switch(call.path["item"], on=call.body.on, principal=call.staff, now=call.now))


async def upload_codes(call: Call[CodeUpload, NoQuery]) -> CodesAdded:
    """Put codes into an item's pool; those that are there are passed over."""
    added = await items.upload(call.path["item"], call.body.codes, principal=call.staff, now=call.now)
    found = await queries.find(call.path["item"], at=call.now)
    return CodesAdded(added, 0 if found is None else found.left)


async def list_all_mall_orders(call: Call[NoBody, OrdersQuery]) -> MallOrders:
    """All orders, newest first."""
    found = await _orders(call, queries.PAGE_MAX)
    continues = len(found) == queries.PAGE_MAX
    return MallOrders(
        items=tuple(for_staff(order, call.locale) for order in found),
        next_cursor=next_cursor(Kind.MALL_ORDER, found[-1].id if continues else None),
    )


async def export_mall_orders(call: Call[NoBody, OrdersQuery]) -> Bytes:
    """The same as a CSV file, without anything personal."""
    access.authorize_alone(call.staff, Action.EXPORT)
    rows = [_row(order) for order in await _orders(call, EXPORT_MAX)]
    return Bytes(csv_parts({"orders": rows})["orders"].encode("utf-8-sig"), "text/csv; charset=utf-8")


async def _orders(call: Call[NoBody, OrdersQuery], limit: int) -> list[OrderView]:
    before = None if call.query.cursor is None else row_id(Kind.MALL_ORDER, call.query.cursor)
    state = None if call.query.state is None else State(call.query.state)
    return await queries.orders(at=call.now, state=state, before_id=before, limit=limit)


def _row(order: OrderView) -> dict[str, object]:
    return {
        "id": public_id(Kind.MALL_ORDER, order.id),
        "item": order.item.code,
        "state": order.state.value,
        "delivery": order.delivery,
        "points": order.points,
        "money_fen": order.money_fen,
        "tracking": order.tracking,
        "at": order.at.isoformat(),
    }


def _written(view: ItemView) -> WrittenItem:
    return WrittenItem(
        code=view.item.code,
        version=view.version,
        document=view.item.model_dump_json(),
        status="on" if view.status == "on" else "off",
        stock=view.stock,
        left=view.left,
        is_low=view.is_low,
        updated_by=view.updated_by,
        updated_at=view.updated_at,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/mall/items",
        run=list_written_items,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        result=WrittenItems,
        summary=Summary("全部商品与余量", "All items and what is left"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/mall/items",
        run=write_item,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=ItemWriting,
        result=WrittenItem,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(ItemChanged, ItemInvalid, StockBelowOrders),
        summary=Summary("写商品（带版本）", "Write an item, with its version"),
    ),
    Endpoint(
        method="PUT",
        path="/v1/console/mall/items/{item}/status",
        run=switch_item,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=Switch,
        result=WrittenItem,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(ItemUnknown,),
        summary=Summary("上架或下架", "Put an item on or take it off"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/mall/items/{item}/codes",
        run=upload_codes,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=CodeUpload,
        result=CodesAdded,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(ItemUnknown, ItemInvalid),
        summary=Summary("上传兑换码", "Upload codes"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/mall/orders",
        run=list_all_mall_orders,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        query=OrdersQuery,
        result=MallOrders,
        refusals=(NotFound,),
        summary=Summary("全部兑换", "All exchanges"),
    ),
    Endpoint(
        method="GET",
        path="/v1/console/mall/orders.csv",
        run=export_mall_orders,
        audience=Audience.CONSOLE,
        action=Action.EXPORT,
        query=OrdersQuery,
        result=Bytes,
        refusals=(NotFound, NeedsAnother),
        summary=Summary("导出兑换（CSV）", "Exchanges as CSV"),
    ),
)
