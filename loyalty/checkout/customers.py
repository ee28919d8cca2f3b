"""What counts of members at a till, read for any number of orders by the same few statements."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.checkout.rules import Customer, Offered, Order
from loyalty.coupons import queries as coupons
from loyalty.coupons.queries import CouponView
from loyalty.ledger import queries as balances
from loyalty.tiers import queries as tiers

COUPONS_MAX: Final = 100

_LOCKS: Final = """
SELECT lock.coupon_id, checkout.source, checkout."order"
FROM coupon_lock lock JOIN checkout ON checkout.id = lock.checkout_id
WHERE lock.coupon_id = ANY($1) AND lock.expires_at > $2
"""
_RESERVED: Final = """
SELECT source, "order", (price ->> 'points')::bigint AS points FROM checkout
WHERE (source, "order") IN (SELECT * FROM unnest($1::text[], $2::text[])) AND status = 'held' AND expires_at > $3
"""

OrderKey = tuple[str, str]


async def read(orders: Sequence[Order], *, now: datetime) -> list[Customer]:
    """The member of each order as that order sees them: what it has reserved itself is still theirs to use on it."""
    member_ids = sorted({order.member_id for order in orders})
    held = await coupons.held_by(member_ids, at=now, limit=COUPONS_MAX)
    locks = await _locks([coupon.id for each in held.values() for coupon in each], now)
    reserved = await _reserved(orders, now)
    points = await balances.balances(member_ids, at=now)
    benefits = await tiers.benefits_at([(member_id, now) for member_id in member_ids], now=now)
    return [
        Customer(
            coupons=[_offered(coupon, order, locks) for coupon in held[order.member_id]],
            points=max(0, points[order.member_id].points + reserved.get(order.key, 0)),
            member_price_percent=benefits[order.member_id, now].member_price_percent,
            multiplier_percent=benefits[order.member_id, now].multiplier_percent,
        )
        for order in orders
    ]


def _offered(coupon: CouponView, order: Order, locks: Mapping[int, OrderKey]) -> Offered:
    return Offered(
        id=coupon.id,
        template=coupon.template_code,
        worth=coupon.worth,
        min_spend_fen=coupon.min_spend_fen,
        store_ids=coupon.store_ids,
        expires_at=coupon.expires_at,
        is_locked=locks.get(coupon.id, order.key) != order.key,
    )


async def _locks(coupon_ids: Sequence[int], now: datetime) -> Mapping[int, OrderKey]:
    """Which order has reserved each coupon, of those that one has."""
    if not coupon_ids:
        return {}
    rows = await db.fetch(_LOCKS, list(coupon_ids), now)
    return {row["coupon_id"]: (row["source"], row["order"]) for row in rows}


async def _reserved(orders: Sequence[Order], now: datetime) -> Mapping[OrderKey, int]:
    """The points that each order has reserved itself, of those that have any."""
    rows = await db.fetch(_RESERVED, [order.source for order in orders], [order.number for order in orders], now)
    return {(row["source"], row["order"]): row["points"] for row in rows}
