"""What an item of the points mall (积分商城) promises, what it costs whom, and when an exchange may happen. Pure."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from loyalty import codes
from loyalty.clock import business_day, start_of
from loyalty.ledger.operations import Asset
from loyalty.money import AMOUNT_MAX

CODE_USE: Final = "mall_order"
PREFIX: Final = "mall:"
"""What the QR code of a collection code begins with, so that a scanner tells it from a coupon."""

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Words = Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1)]
Points = Annotated[int, Field(ge=1, le=AMOUNT_MAX)]
Fen = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Delivery = Literal["ship", "collect", "none"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class State(StrEnum):
    """Where an order stands. Virtual things are `delivered` at once."""

    AWAITING_PAYMENT = "awaiting_payment"
    TO_SHIP = "to_ship"
    TO_COLLECT = "to_collect"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COLLECTED = "collected"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class Goods(_Part):
    """Something to be sent or fetched."""

    kind: Literal["goods"] = "goods"
    delivery: Annotated[tuple[Literal["ship", "collect"], ...], Field(min_length=1, max_length=2)] = ("collect",)


class CouponGood(_Part):
    """A coupon of `template`, issued at once."""

    kind: Literal["coupon"] = "coupon"
    template: Code


class VirtualCode(_Part):
    """One code from the uploaded pool; the pool is the stock."""

    kind: Literal["code"] = "code"


class Limit(_Part):
    """How many a member may exchange: in all, and in each business day, week (from Monday) or month."""

    total: Annotated[int, Field(ge=1, le=10**6)] | None = None
    per_period: Annotated[int, Field(ge=1, le=10**6)] | None = None
    period: Literal["day", "week", "month"] = "month"


class NewItem(_Part):
    """An item. `tier_points` are prices of members of those tiers, the lowest counts; `tiers` are the only ones that
    may exchange, where given. `points_kind` names a further kind of points of the terms. `money_fen` is paid on top
    within `pay_minutes`. Open from `starts_at` until before `ends_at`. `low_stock` is when staff are warned."""

    code: Code
    name: Words
    about: dict[str, Annotated[str, Field(max_length=400)]] = {}
    picture: Annotated[str, Field(pattern=r"^https://[^\s\"'<>]{1,300}$")] | None = None
    good: Annotated[Goods | CouponGood | VirtualCode, Field(discriminator="kind")]
    points: Points
    points_kind: Code | None = None
    money_fen: Fen = 0
    pay_minutes: Annotated[int, Field(ge=1, le=7 * 24 * 60)] = 30
    tier_points: dict[Code, Points] = {}
    tiers: Annotated[tuple[Code, ...], Field(max_length=20)] = ()
    limit: Limit = Limit()
    stock: Annotated[int, Field(ge=0, le=10**9)] = 0
    low_stock: Annotated[int, Field(ge=0, le=10**9)] = 5
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime | None = None

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        if self.starts_at is not None and self.ends_at is not None and self.ends_at <= self.starts_at:
            raise PydanticCustomError("period_impossible", "an item ends after it starts")
        if isinstance(self.good, VirtualCode) and self.stock:
            raise PydanticCustomError("stock_is_the_pool", "the stock of codes is what was uploaded")
        return self

    @property
    def asset(self) -> Asset:
        """The points that it costs."""
        return Asset.POINTS if self.points_kind is None else Asset.points_of(self.points_kind)

    def is_open(self, at: datetime) -> bool:
        """Half-open: the instant of `ends_at` is too late."""
        begun = self.starts_at is None or self.starts_at <= at
        return begun and (self.ends_at is None or at < self.ends_at)

    def price(self, held: Collection[str]) -> int:
        """What it costs a member of the tiers `held`."""
        return min([self.points, *(points for tier, points in self.tier_points.items() if tier in held)])

    def may(self, held: Collection[str]) -> bool:
        """Whether a member of the tiers `held` may exchange."""
        return not self.tiers or not set(self.tiers).isdisjoint(held)

    def deliveries(self) -> tuple[Delivery, ...]:
        """How it comes to the member; the first one unless they say otherwise."""
        return self.good.delivery if isinstance(self.good, Goods) else ("none",)


def fulfilment(delivery: Delivery) -> State:
    """Where a paid order stands."""
    return {"ship": State.TO_SHIP, "collect": State.TO_COLLECT, "none": State.DELIVERED}[delivery]


def period_start(limit: Limit, now: datetime, zone: ZoneInfo) -> datetime:
    """The first instant of the period that `now` is in."""
    day = business_day(now, zone)
    first: date = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[limit.period]
    return start_of(first, zone)


def collection_code(order_id: int) -> str:
    """What a member shows in the store."""
    return codes.encode(order_id, use=CODE_USE)


def order_of(typed: str) -> int:
    """The order behind a typed or scanned collection code.

    Raises:
        CodeMistyped
    """
    return codes.decode(typed.strip().removeprefix(PREFIX), use=CODE_USE)


def hold_key(order_id: int) -> str:
    """The ledger key of the points that an order spends, or reserves while money is awaited."""
    return f"mall:{order_id}"


def spend_key(order_id: int, money_fen: int) -> str:
    """The ledger key of the entry that spent an order's points."""
    return f"mall:{order_id}:paid" if money_fen else hold_key(order_id)
