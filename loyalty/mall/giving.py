"""What is given at once: a coupon of the template, a code from the pool; and how each is taken back."""

from datetime import datetime
from typing import Final

from loyalty import db, vault
from loyalty.coupon_templates import queries as templates
from loyalty.coupons import service as coupons
from loyalty.coupons.service import ClaimRequest
from loyalty.errors import Conflict, ensure
from loyalty.mall.items import sealed_as
from loyalty.mall.orders import OrderOver, OrderUnknown, locked
from loyalty.mall.queries import OrderView
from loyalty.mall.rules import CouponGood, State, VirtualCode

_ASSIGN: Final = """
UPDATE mall_code SET order_id = $2 WHERE id = (
    SELECT id FROM mall_code WHERE item_id = $1 AND order_id IS NULL ORDER BY id LIMIT 1
) AND order_id IS NULL
"""
_REVEAL: Final = """
UPDATE mall_code SET revealed_at = coalesce(revealed_at, $2) WHERE order_id = $1 RETURNING item_id, hidden, sealed
"""
_RETURN: Final = "UPDATE mall_code SET order_id = NULL WHERE order_id = $1 AND revealed_at IS NULL"
_VOID: Final = "UPDATE coupon SET status = 'void' WHERE id = $1 AND status = 'issued' AND expires_at > $2"


class CouponUsed(Conflict):
    """The coupon that was exchanged was used, or its time is over: there is nothing to give back."""

    code = "mall.coupon_used"


async def give(order: OrderView, *, now: datetime) -> None:
    """Give what needs nobody's hands.

    Raises:
        what claiming a coupon refuses.
    """
    match order.item.good:
        case CouponGood(template=code):
            template = await templates.by_code(code)
            ensure(template is not None, "an item is written with a template that exists, and none is ever removed")
            request = ClaimRequest(
                member_id=order.member_id,
                template_id=template.id if template else 0,
                key=f"mall:{order.id}",
                origin="mall",
            )
            claimed = await coupons.claim_one(request, now=now)
            await db.execute("UPDATE mall_order SET coupon_id = $2 WHERE id = $1", order.id, claimed.coupon_id)
        case VirtualCode():
            assigned = await db.execute(_ASSIGN, order.item_id, order.id)
            ensure(assigned == 1, "the pool is the stock, and the stock was taken under the item's lock")
        case _:
            pass


async def take_back(order: OrderView, *, now: datetime) -> bool:
    """Take back what was given at once; whether one more is there to be exchanged.

    Raises:
        CouponUsed
    """
    match order.item.good:
        case CouponGood() if order.coupon_id is not None:
            if not await db.execute(_VOID, order.coupon_id, now):
                raise CouponUsed
            return True
        case VirtualCode() if order.state is State.DELIVERED:
            return await db.execute(_RETURN, order.id) == 1
        case _:
            return True


async def reveal(order_id: int, *, member_id: int, now: datetime) -> str:
    """The code of a virtual good, for its owner; from the first time on it does not go back to the pool.

    Raises:
        OrderUnknown, OrderOver
    """
    order = await locked(order_id, now, member_id=member_id)
    if order.state is not State.DELIVERED:
        raise OrderOver(state=order.state.value)
    row = await db.fetch_one(_REVEAL, order_id, now)
    if row is None:
        raise OrderUnknown
    return vault.unseal(row["sealed"], context=sealed_as(row["item_id"], row["hidden"])).decode()
