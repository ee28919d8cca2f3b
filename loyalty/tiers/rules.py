"""The ladder of tiers. Pure."""

from dataclasses import dataclass

from loyalty.errors import ensure
from loyalty.program.terms import TierTerms

Ladder = tuple[TierTerms, ...]


@dataclass(frozen=True, slots=True)
class NextStep:
    """The tier above and the growth value still missing to it."""

    tier: TierTerms
    missing: int


def earned(growth: int, ladder: Ladder) -> TierTerms:
    """The highest step that `growth` reaches."""
    reached = [step for step in ladder if step.growth_from <= growth]
    ensure(bool(reached), "the first step starts at zero and growth is never negative")
    return reached[-1]


def held(code: str | None, ladder: Ladder) -> TierTerms:
    """The step a member holds; without a row, or with a tier that the terms dropped, it is the lowest."""
    return next((step for step in ladder if step.code == code), ladder[0])


def step_above(holding: TierTerms, growth: int, ladder: Ladder) -> NextStep | None:
    """The next step up from `holding`; None at the top."""
    above = next((step for step in ladder if step.growth_from > holding.growth_from), None)
    return None if above is None else NextStep(above, max(0, above.growth_from - growth))


def raised(code: str | None, growth: int, ladder: Ladder) -> TierTerms | None:
    """The step to raise a member to; None while what they hold is at least what they earned.

    A member whose growth fell after a refund keeps the tier until the periodic review.
    """
    reached = earned(growth, ladder)
    return reached if reached.growth_from > held(code, ladder).growth_from else None
