"""What a purchase earns. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from loyalty.program.terms import RedemptionTerms, Terms

FEN_PER_YUAN: Final = 100
PERCENT: Final = 100
FINGERPRINT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Earned:
    """Points and growth value of one purchase."""

    points: int
    growth: int
    multiplier_percent: int


def earned(amount_fen: int, *, multiplier_percent: int, terms: Terms) -> Earned:
    """Points and growth for `amount_fen` paid, rounded down once per order and not per line. The multiplier is that of
    the member's tiers."""
    return Earned(
        points=amount_fen * terms.points.per_yuan * multiplier_percent // (FEN_PER_YUAN * PERCENT),
        growth=amount_fen * terms.growth.per_yuan // FEN_PER_YUAN,
        multiplier_percent=multiplier_percent,
    )


def points_for(fen: int, terms: RedemptionTerms) -> int:
    """How many points pay `fen`, rounded up to whole points."""
    return -(-fen * terms.points_per_yuan // FEN_PER_YUAN)


def worth_fen(points: int, terms: RedemptionTerms) -> int:
    """How much `points` pay, rounded down to whole fen."""
    return points * FEN_PER_YUAN // terms.points_per_yuan


def may_pay(fen: int, price_fen: int, terms: RedemptionTerms) -> bool:
    """Whether `fen` of an order of `price_fen` may be paid with points."""
    points = points_for(fen, terms)
    return (
        worth_fen(points, terms) == fen
        and points % terms.multiple == 0
        and points >= terms.min_points
        and fen * PERCENT <= price_fen * terms.max_percent
    )


def most_points(usable: int, price_fen: int, terms: RedemptionTerms) -> int:
    """The most points that a member with `usable` ones can pay an order with; 0 when that is below the minimum."""
    most = min(usable, price_fen * terms.max_percent // PERCENT * terms.points_per_yuan // FEN_PER_YUAN)
    most -= most % terms.multiple
    while most > 0 and points_for(worth_fen(most, terms), terms) != most:
        most -= terms.multiple
    return most if most >= max(1, terms.min_points) else 0


def fingerprint(*, amount_fen: int, currency: str, receipt: Mapping[str, Any], occurred_at: datetime) -> bytes:
    """What makes two purchases under one key the same fact. Whose it was is not part of it: a till that repeats a
    report after its member was merged into another tells the same fact."""
    fact = [amount_fen, currency, receipt, occurred_at.astimezone(UTC)]
    return hashlib.blake2b(orjson.dumps(fact, option=orjson.OPT_SORT_KEYS), digest_size=FINGERPRINT_BYTES).digest()
