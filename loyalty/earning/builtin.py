"""The rules that hold where nobody published one of their code: the terms' own numbers as rules. Pure."""

from typing import Final

from loyalty.conditions.vocabulary import CHECK_IN, PURCHASE
from loyalty.earning.documents import Amount, BirthdayGift, Fixed, Nothing, PerYuan, Rule, Streak, TierMultiplier
from loyalty.earning.rules import Versioned
from loyalty.program.terms import Terms

BIRTHDAY: Final = "birthday"
VERSION: Final = 0
_FIRST: Final = -1000
CODES: Final = frozenset(
    {"purchase_points", "tier_bonus", "purchase_growth", "check_in_points", "check_in_growth", "birthday_points"}
)


def rules(terms: Terms) -> tuple[Versioned, ...]:
    """Every built-in rule; a published rule of the same code takes its place."""
    streak = {bonus.days: bonus.points for bonus in terms.check_in.bonuses}
    return (
        _rule("purchase_points", PURCHASE, _per_yuan(terms.points.per_yuan)),
        _rule("tier_bonus", PURCHASE, TierMultiplier(), order=_FIRST + 1),
        _rule("purchase_growth", PURCHASE, _per_yuan(terms.growth.per_yuan), asset="growth"),
        _rule("check_in_points", CHECK_IN, Streak(points=terms.check_in.points, bonuses=streak)),
        _rule("check_in_growth", CHECK_IN, _fixed(terms.growth.per_check_in), asset="growth"),
        _rule("birthday_points", BIRTHDAY, BirthdayGift(points=terms.birthday.points)),
    )


def _per_yuan(points: int) -> Amount:
    return PerYuan(points=points) if points else Nothing()


def _fixed(points: int) -> Amount:
    return Fixed(points=points) if points else Nothing()


def _rule(code: str, trigger: str, amount: Amount, *, asset: str = "points", order: int = _FIRST) -> Versioned:
    # What it is called stands in `templates/earning/`, in every language.
    return Versioned(
        VERSION, Rule(code=code, name={"en": code}, trigger=trigger, asset=asset, amount=amount, order=order)
    )
