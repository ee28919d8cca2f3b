"""What one person may set alone. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from loyalty.ladders.rules import Ladder


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one person may move a member without another: steps up or down, and days."""

    steps: int
    days: int


def needs_another(ladder: Ladder, held: str, tier: str, *, now: datetime, ends_at: datetime, limits: Limits) -> bool:
    """Whether setting `tier` in place of `held` until `ends_at` waits for another person."""
    far = abs(ladder.place(tier) - ladder.place(held)) > limits.steps
    return far or ends_at - now > timedelta(days=limits.days)
