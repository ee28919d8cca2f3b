"""What an order comes to for this member: their tier's price, the coupon that saves most, points as money. Pure.

Applied in this order: member price line by line, one coupon on what that leaves, then points pay part of what is due.
Each discount is shared out over the lines by largest remainder, so that lines always add up to the order and no line
falls below zero.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, PercentOff, discount_fen
from loyalty.money import split
from loyalty.program.terms import Terms
from loyalty.purchases import rules as purchases
from loyalty.purchases.receipt import Line

PERCENT: Final = 100


class Unusable(StrEnum):
    """Why a coupon does not count on this order."""

    OTHER_STORE = "other_store"
    SPEND_TOO_LOW = "spend_too_low"
    LOCKED = "locked"
    OVER = "over"
    SAVES_NOTHING = "saves_nothing"


@dataclass(frozen=True, slots=True)
class Offered:
    """A coupon that the member holds; `is_locked` by another order."""

    id: int
    template: str
    worth: AmountOff | PercentOff | Gift | Exchange
    min_spend_fen: int
    store_ids: tuple[int, ...]
    expires_at: datetime
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class Customer:
    """What counts of the member: coupons, usable points, and what their tiers give."""

    coupons: Sequence[Offered]
    points: int
    member_price_percent: int
    multiplier_percent: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the customer wants: a coupon by its id, the best one, or none; how much to pay with points."""

    coupon_id: int | None = None
    best_coupon: bool = True
    points_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as a till has it before it is paid; `amount_fen` of a line is its list price."""

    source: str
    number: str
    member_id: int
    lines: tuple[Line, ...]
    wish: Wish = field(default_factory=Wish)

    @property
    def key(self) -> tuple[str, str]:
        """What names the order among those of all tills."""
        return self.source, self.number


@dataclass(frozen=True, slots=True)
class CouponResult:
    """A coupon on this order: what it takes off, or why it does not count."""

    coupon_id: int
    off_fen: int
    unusable: Unusable | None


@dataclass(frozen=True, slots=True)
class LinePrice:
    """One line after everything that was taken off."""

    no: int
    list_fen: int
    member_off_fen: int
    coupon_off_fen: int

    @property
    def due_fen(self) -> int:
        """What the line costs."""
        return self.list_fen - self.member_off_fen - self.coupon_off_fen


@dataclass(frozen=True, slots=True)
class Price:
    """What the order comes to. `due_fen` is paid: `points_fen` of it with `points`, the rest in money."""

    list_fen: int
    member_off_fen: int
    coupon_off_fen: int
    coupon_id: int | None
    due_fen: int
    points: int
    points_fen: int
    most_points: int
    most_points_fen: int
    earns_points: int
    earns_growth: int
    lines: tuple[LinePrice, ...]
    coupons: tuple[CouponResult, ...]

    @property
    def money_fen(self) -> int:
        """What is left to pay in money."""
        return self.due_fen - self.points_fen

    def document(self) -> Mapping[str, Any]:
        """The price as it is stored."""
        return asdict(self)


def price(
    lines: Sequence[Line], customer: Customer, wish: Wish, *, store_id: int | None, terms: Terms, now: datetime
) -> Price:
    """Evaluate an order. Points beyond what may be paid with them are cut to the most that may."""
    live = [line for line in lines if not line.voided]
    listed = [line.amount_fen for line in live]
    member_off = [fen * (PERCENT - customer.member_price_percent) // PERCENT for fen in listed]
    subtotal = sum(listed) - sum(member_off)
    judged = [_judge(coupon, subtotal, store_id, now) for coupon in customer.coupons]
    chosen = _chosen(judged, customer.coupons, wish)
    off_fen = chosen.off_fen if chosen else 0
    shares = split(off_fen, [fen - off for fen, off in zip(listed, member_off, strict=True)]) if live else []
    due = subtotal - off_fen
    most = purchases.most_points(customer.points, due, terms.redemption)
    points = min(most, _wanted_points(wish, most, terms))
    points_fen = purchases.worth_fen(points, terms.redemption)
    earned = purchases.earned(due - points_fen, multiplier_percent=customer.multiplier_percent, terms=terms)
    return Price(
        list_fen=sum(listed),
        member_off_fen=sum(member_off),
        coupon_off_fen=off_fen,
        coupon_id=chosen.coupon_id if chosen else None,
        due_fen=due,
        points=points,
        points_fen=points_fen,
        most_points=most,
        most_points_fen=purchases.worth_fen(most, terms.redemption),
        earns_points=earned.points,
        earns_growth=earned.growth,
        lines=tuple(
            LinePrice(line.no, fen, off, share)
            for line, fen, off, share in zip(live, listed, member_off, shares, strict=True)
        ),
        coupons=tuple(judged),
    )


def _wanted_points(wish: Wish, most: int, terms: Terms) -> int:
    """The points that pay at most what was wished, in the programme's multiples."""
    whole = terms.redemption.model_copy(update={"max_percent": PERCENT})
    return purchases.most_points(most, wish.points_fen, whole)


def _judge(coupon: Offered, subtotal_fen: int, store_id: int | None, now: datetime) -> CouponResult:
    reason = _unusable(coupon, subtotal_fen, store_id, now)
    off = 0 if reason else discount_fen(coupon.worth, subtotal_fen)
    if reason is None and not off and isinstance(coupon.worth, AmountOff | PercentOff):
        reason = Unusable.SAVES_NOTHING
    return CouponResult(coupon.id, off, reason)


def _unusable(coupon: Offered, subtotal_fen: int, store_id: int | None, now: datetime) -> Unusable | None:
    if coupon.expires_at <= now:
        return Unusable.OVER
    if coupon.is_locked:
        return Unusable.LOCKED
    if coupon.store_ids and store_id not in coupon.store_ids:
        return Unusable.OTHER_STORE
    return Unusable.SPEND_TOO_LOW if subtotal_fen < coupon.min_spend_fen else None


def _chosen(judged: Sequence[CouponResult], coupons: Sequence[Offered], wish: Wish) -> CouponResult | None:
    """The coupon asked for, or the one that saves most; of equals the one that ends first."""
    usable = [result for result in judged if result.unusable is None]
    if wish.coupon_id is not None:
        return next((result for result in usable if result.coupon_id == wish.coupon_id), None)
    saving = [result for result in usable if result.off_fen]
    if not wish.best_coupon or not saving:
        return None
    ends = {coupon.id: coupon.expires_at for coupon in coupons}
    return min(saving, key=lambda result: (-result.off_fen, ends[result.coupon_id], result.coupon_id))


def fingerprint(member_id: int, lines: Sequence[Line], made: Price) -> str:
    """What binds a hold to what was evaluated: the order, whose it is, and what is due for it."""
    bound = {
        "member": member_id,
        "lines": [line.model_dump(mode="json") for line in lines],
        "due": made.due_fen,
        "coupon": made.coupon_id,
        "points": made.points,
        "each": [line.due_fen for line in made.lines],
    }
    return hashlib.sha256(orjson.dumps(bound, option=orjson.OPT_SORT_KEYS)).hexdigest()
