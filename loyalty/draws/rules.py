"""What a draw promises: prizes, odds, chances, and the legal cap on what one win may be worth. Pure.

A published draw is one frozen document. Its odds are integer weights; what happens to a prize that has
run out is part of the promise (its weight goes to the fallback prize), so that nothing is decided later.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from loyalty.clock import business_day
from loyalty.money import AMOUNT_MAX

PRIZE_CAP_FEN: Final = 5_000_000
"""反不正当竞争法 (2025) art. 11: the highest prize of a draw is worth at most 50,000 yuan."""
DAYS_MAX: Final = 400
PRIZES_MAX: Final = 50

Fen = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Count = Annotated[int, Field(ge=1, le=10**9)]
Words = Annotated[dict[str, Annotated[str, Field(min_length=1, max_length=80)]], Field(min_length=1)]
Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Form(StrEnum):
    """In what form a prize is worth something; each is valued in money
    (规范促销行为暂行规定, SAMR order 32, art. 17, whose cases these are)."""

    GOODS = "goods"
    USE = "use"
    VIRTUAL = "virtual"
    DISCOUNT = "discount"
    TICKET = "ticket"
    EMPLOYMENT = "employment"
    OTHER = "other"
    NONE = "none"


class PointsPrize(_Part):
    """Points, granted at once."""

    kind: Literal["points"] = "points"
    points: Count


class CouponPrize(_Part):
    """A coupon of `template`, issued at once."""

    kind: Literal["coupon"] = "coupon"
    template: Code


class HandedOver(_Part):
    """Something that a clerk hands over in a store, against the win's code."""

    kind: Literal["handed_over"] = "handed_over"


class Nothing(_Part):
    """No prize (谢谢参与)."""

    kind: Literal["nothing"] = "nothing"


Award = Annotated[PointsPrize | CouponPrize | HandedOver | Nothing, Field(discriminator="kind")]


class Prize(_Part):
    """One sector of the wheel.

    `worth_fen` is the market value of one win: of goods their price; of a right of use, a service or a virtual
    thing its price; of a discount what it saves; of a ticket the highest prize it can bring; of employment all
    that is paid. `stock` None never runs out.
    """

    code: Code
    name: Words
    form: Form
    award: Award
    worth_fen: Fen
    weight: Count
    stock: Count | None = None

    @model_validator(mode="after")
    def _means_what_it_says(self) -> Self:
        if (self.form is Form.NONE) != isinstance(self.award, Nothing):
            raise PydanticCustomError("nothing_is_no_prize", "form 'none' and award 'nothing' go together")
        if isinstance(self.award, Nothing) and self.worth_fen:
            raise PydanticCustomError("nothing_is_worth_nothing", "nothing is worth 0")
        return self


class Chances(_Part):
    """How often a member may draw: free ones a day, further ones for points or granted by rules.

    `per_ticket` is how many wins one occasion (a purchase, a ticket) can bring: they count together.
    """

    free_per_day: Annotated[int, Field(ge=0, le=100)] = 1
    points_per_draw: Annotated[int, Field(ge=0, le=10**6)] = 0
    max_per_day: Annotated[int, Field(ge=1, le=1000)] = 10
    max_total: Annotated[int, Field(ge=1, le=10**5)] | None = None
    per_ticket: Annotated[int, Field(ge=1, le=1000)] = 1


class NewDraw(_Part):
    """A draw as a marketer writes it and as everybody may read it."""

    code: Code
    name: Words
    kind: Literal["wheel", "scratch", "box"] = "wheel"
    organiser: Words
    claim_rules: Words
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    prizes: Annotated[tuple[Prize, ...], Field(min_length=1, max_length=PRIZES_MAX)]
    fallback: Code
    chances: Chances = Chances()

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        codes = [prize.code for prize in self.prizes]
        if len(set(codes)) != len(codes):
            raise PydanticCustomError("prize_code_twice", "every prize has a code of its own")
        if not any(prize.code == self.fallback and prize.stock is None for prize in self.prizes):
            raise PydanticCustomError("fallback_runs_out", "fallback names a prize whose stock is not limited")
        if not timedelta() < self.ends_at - self.starts_at <= timedelta(days=DAYS_MAX):
            raise PydanticCustomError("period_impossible", "a draw ends after it starts, and within 400 days")
        return self

    @property
    def total_weight(self) -> int:
        """What the weights are shares of."""
        return sum(prize.weight for prize in self.prizes)

    def days(self, zone: ZoneInfo) -> Iterator[date]:
        """The business days on which anything can be drawn."""
        day, last = business_day(self.starts_at, zone), business_day(self.ends_at - timedelta(microseconds=1), zone)
        while day <= last:
            yield day
            day += timedelta(days=1)

    def is_open(self, at: datetime) -> bool:
        """Half-open: the instant of `ends_at` is too late."""
        return self.starts_at <= at < self.ends_at


def most_fen(prize: Prize, chances: Chances) -> int:
    """The most that this prize can bring on one occasion, in fen."""
    return prize.worth_fen * chances.per_ticket


def over_cap(draw: NewDraw) -> Prize | None:
    """The first prize that one occasion may win more of than the law allows, if there is one."""
    return next((prize for prize in draw.prizes if most_fen(prize, draw.chances) > PRIZE_CAP_FEN), None)


def document_of(draw: NewDraw) -> str:
    """The canonical text of a draw: sorted keys, no spaces, so that everybody computes the same fingerprint."""
    return orjson.dumps(draw.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS).decode()


def fingerprint(document: str) -> str:
    """SHA-256 of the canonical text, in hexadecimal; published before the first draw."""
    return hashlib.sha256(document.encode()).hexdigest()


def budget_fen(draw: NewDraw) -> int | None:
    """What all limited prizes are worth together; None when a prize of value has no limit."""
    if any(prize.stock is None and prize.worth_fen for prize in draw.prizes):
        return None
    return sum(prize.worth_fen * (prize.stock or 0) for prize in draw.prizes)


def chance_fen(draw: NewDraw) -> int:
    """What one chance brings on average in prizes that never run out, in fen, rounded up."""
    unlimited = sum(prize.worth_fen * prize.weight for prize in draw.prizes if prize.stock is None)
    return -(-unlimited // draw.total_weight)


def needs_another(draw: NewDraw, *, alone_fen: int, alone_chance_fen: int) -> bool:
    """Whether one person may not publish it alone: its limited prizes are worth more than `alone_fen` together, or the
    odds of the others give more than `alone_chance_fen` a chance."""
    limited = sum(prize.worth_fen * (prize.stock or 0) for prize in draw.prizes)
    return limited > alone_fen or chance_fen(draw) > alone_chance_fen


class Refused(StrEnum):
    """Why a member cannot draw (once more)."""

    NO_CHANCE = "no_chance"
    DAY_LIMIT = "day_limit"
    TOTAL_LIMIT = "total_limit"


class PaidBy(StrEnum):
    """What a draw was paid with."""

    FREE = "free"
    GRANTED = "granted"
    POINTS = "points"


def payment(chances: Chances, *, today: Mapping[PaidBy, int], total: int, granted_left: int) -> PaidBy | Refused:
    """How the next draw is paid: a free chance first, then a granted one, then points.

    `today` counts the member's draws of this business day, `total` all of them.
    """
    if chances.max_total is not None and total >= chances.max_total:
        return Refused.TOTAL_LIMIT
    if sum(today.values()) >= chances.max_per_day:
        return Refused.DAY_LIMIT
    if today.get(PaidBy.FREE, 0) < chances.free_per_day:
        return PaidBy.FREE
    if granted_left > 0:
        return PaidBy.GRANTED
    return PaidBy.POINTS if chances.points_per_draw else Refused.NO_CHANCE
