"""What a purchase earns. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from loyalty.program.terms import Terms

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


def fingerprint(
    *, member_id: int, amount_fen: int, currency: str, lines: Sequence[Mapping[str, Any]], occurred_at: datetime
) -> bytes:
    """What makes two purchases under one key the same fact."""
    fact = [member_id, amount_fen, currency, [dict(line) for line in lines], occurred_at.astimezone(UTC)]
    return hashlib.blake2b(orjson.dumps(fact, option=orjson.OPT_SORT_KEYS), digest_size=FINGERPRINT_BYTES).digest()
