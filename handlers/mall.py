"""「积分商城」: what points can be exchanged for, one press and one more to be sure, one's orders; staff hand over."""

from typing import Final

from handlers.button_keys import row_id
from handlers.chat import Chat, StaffChat
from handlers.messages import Reply
from loyalty import access
from loyalty.access import Action, Resource
from loyalty.mall import ending, giving, handing, queries, rules, service
from loyalty.mall.items import ItemUnknown
from loyalty.mall.orders import OrderUnknown
from loyalty.mall.queries import ItemView
from loyalty.mall.rules import State
from loyalty.mall.service import Exchange
from loyalty.tiers import queries as tiers

_SHOWN: Final = 6
SCANNED: Final = rules.PREFIX


async def run(chat: Chat) -> Reply:
    """What there is, at this member's prices."""
    found = await queries.on_offer(at=chat.now)
    held = await _held(chat)
    prices = {view.item.code: view.item.price(held) for view in found}
    return chat.say("mall", items=found[:_SHOWN], prices=prices)


async def item(chat: Chat) -> Reply:
    """One item, before it is exchanged."""
    view = await _item(chat)
    in_chat = "ship" not in view.item.deliveries()[:1] or len(view.item.deliveries()) > 1
    return chat.say("mall_item", view=view, points=view.item.price(await _held(chat)), in_chat=in_chat)


async def take(chat: Chat) -> Reply:
    """The member is sure; parcels need an address and are ordered in the mini-program."""
    view = await _item(chat)
    ways = [way for way in view.item.deliveries() if way != "ship"]
    asked = Exchange(
        member_id=chat.member_id,
        item=view.item.code,
        key=f"chat:{chat.inbound.key}"[:160],
        delivery=ways[0] if ways else None,
    )
    order = await service.exchange(asked, now=chat.now)
    return chat.say("mall_taken", order=order, code=rules.collection_code(order.id))


async def orders(chat: Chat) -> Reply:
    """The member's exchanges, with the codes for what waits in the store."""
    found = await queries.mine(chat.member_id, at=chat.now, limit=_SHOWN)
    codes = {order.id: rules.collection_code(order.id) for order in found if order.state is State.TO_COLLECT}
    open_ = [order for order in found if order.state in ending.OPEN and order.payment_ref is None]
    virtual = [order for order in found if order.state is State.DELIVERED and order.item.good.kind == "code"]
    return chat.say("mall_orders", orders=found, codes=codes, open=open_[:3], virtual=virtual[:3])


async def cancel(chat: Chat) -> Reply:
    """The press of a cancel button."""
    order = await ending.cancel(_order_id(chat.rest), member_id=chat.member_id, now=chat.now)
    return chat.say("mall_cancelled", order=order)


async def code(chat: Chat) -> Reply:
    """The virtual code, for its owner."""
    order_id = _order_id(chat.rest)
    shown = await giving.reveal(order_id, member_id=chat.member_id, now=chat.now)
    return chat.say("mall_code", code=shown)


async def waiting(chat: StaffChat) -> Reply:
    """「兑换单」: what is to be handed over, sent or paid."""
    access.authorize(chat.staff, Action.MALL_FULFIL, Resource(store_id=chat.staff.store_id))
    found = await queries.waiting(at=chat.now, limit=_SHOWN)
    low = [view for view in await queries.every(at=chat.now) if view.is_low]
    return chat.say("mall_waiting", orders=found, low=low[:_SHOWN])


async def collect(chat: StaffChat) -> Reply:
    """「取货 ABCD-…」, or the member's code scanned."""
    if not chat.rest.strip():
        return chat.say("ask_collection_code")
    return await collect_code(chat, chat.rest)


async def collect_code(chat: StaffChat, typed: str) -> Reply:
    """Hand an order over against its code."""
    order = await handing.collect(typed, principal=chat.staff, now=chat.now)
    return chat.say("mall_collected", order=order)


async def ship(chat: StaffChat) -> Reply:
    """「发货 12 SF1234567」."""
    number, _, tracking = chat.rest.strip().partition(" ")
    order_id = row_id(number)
    if order_id is None:
        return chat.say("ask_tracking")
    order = await handing.ship(order_id, tracking, principal=chat.staff, now=chat.now)
    return chat.say("mall_shipped", order=order)


async def _item(chat: Chat) -> ItemView:
    found = await queries.find(chat.rest, at=chat.now)
    if found is None or found.status != "on":
        raise ItemUnknown
    return found


async def _held(chat: Chat) -> frozenset[str]:
    return (await tiers.tiers_of([chat.member_id], at=chat.now)).get(chat.member_id, frozenset())


def _order_id(text: str) -> int:
    found = row_id(text)
    if found is None:
        raise OrderUnknown
    return found
