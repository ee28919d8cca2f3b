"""Items of the mall for tests."""

from datetime import datetime
from typing import Any

from loyalty import db
from loyalty.mall import items, service
from loyalty.mall.queries import ItemView, OrderView
from loyalty.mall.rules import NewItem
from loyalty.mall.service import Exchange
from tests.loyalty.shop import ADMIN, NOW


def document(code: str = "mug", **more: Any) -> dict[str, Any]:
    """A mug for 100 points, five in stock, to be fetched."""
    return {
        "code": code,
        "name": {"zh-CN": "马克杯", "en": "Mug"},
        "good": {"kind": "goods", "delivery": ["collect", "ship"]},
        "points": 100,
        "stock": 5,
        **more,
    }


async def on_offer(code: str = "mug", *, version: int = 0, now: datetime = NOW, **more: Any) -> ItemView:
    """An item that is on."""
    async with db.unit_of_work():
        item = NewItem.model_validate(document(code, **more))
        return await items.write(item, version=version, principal=ADMIN, now=now)


async def codes_on_offer(*codes: str, **more: Any) -> ItemView:
    """A virtual good with a pool."""
    view = await on_offer("vip", good={"kind": "code"}, stock=0, **more)
    async with db.unit_of_work():
        await items.upload("vip", codes, principal=ADMIN, now=NOW)
    return view


async def exchanged(
    member_id: int, item: str = "mug", *, key: str = "k", now: datetime = NOW, **more: Any
) -> OrderView:
    """An order, in a unit of work of its own."""
    async with db.unit_of_work():
        return await service.exchange(Exchange(member_id=member_id, item=item, key=key, **more), now=now)
