"""What goes back of stored value (储值), by law and not by what the books happen to show. Pure; fen throughout.

Source: 最高人民法院关于审理预付式消费民事纠纷案件适用法律若干问题的解释 (法释〔2025〕4号), in force since 2025-05-01,
articles 14 to 20. Fractions of a fen are settled for the member. A brand should have its lawyer read the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from loyalty.money import split

BASIS_POINTS: Final = 10_000
DAYS_A_YEAR: Final = 365
WITHDRAWAL_DAYS: Final = 7


class Cause(StrEnum):
    """Whose the reason is that stored value goes back."""

    MERCHANT = "merchant"
    CONSUMER = "consumer"
    WITHDRAWAL = "withdrawal"  # within seven days of paying, without a reason (article 14)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One top-up: `paid_fen` was paid and `bonus_fen` given on top. Of both together `consumed_fen` was used, on goods
    whose price before any discount was `list_fen`."""

    paid_fen: int
    bonus_fen: int
    consumed_fen: int
    list_fen: int
    paid_on: date


@dataclass(frozen=True, slots=True)
class Rate:
    """A yearly rate in hundredths of a percent, from a day on."""

    since: date
    basis_points: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calculation:
    """What goes back, with every number of the arithmetic. `price_fen` is what the used part is counted at;
    `principal_fen` goes back, with `interest_fen` for `interest_days` at `rate`. `articles` are the law's."""

    cause: Cause
    paid_fen: int
    bonus_fen: int
    consumed_fen: int
    list_fen: int
    price_fen: int
    principal_fen: int
    interest_fen: int = 0
    interest_days: int = 0
    rate: Rate | None = None
    articles: tuple[int, ...] = ()

    @property
    def total_fen(self) -> int:
        """What is paid out."""
        return self.principal_fen + self.interest_fen


def within_withdrawal(paid_on: date, today: date) -> bool:
    """Whether the seven days of article 14 run still; the day of paying does not count (Civil Code, article 201)."""
    return (today - paid_on).days <= WITHDRAWAL_DAYS


def calculate(one: Slice, cause: Cause, *, ended_on: date, paid_out_on: date, rates: Sequence[Rate]) -> Calculation:
    """What goes back of one top-up whose contract ended on `ended_on` and that is paid out on `paid_out_on`.

    The merchant's reason: what was used counts at its discounted price, which a bonus lowers to the paid part of
    paid and bonus (article 18), and interest is that of the loan prime rate. The consumer's: it counts at list price
    (article 19), with the deposit rate. Never below zero: the merchant may not claim more (article 20).
    `rates` are those that apply to the cause; interest runs from the end of the contract (article 17).
    """
    whole = one.paid_fen + one.bonus_fen
    articles: tuple[int, ...]
    if cause is Cause.MERCHANT:
        price, articles = one.consumed_fen * one.paid_fen // whole if whole else 0, (15, 16, 17, 18)
    elif cause is Cause.CONSUMER:
        price, articles = max(one.list_fen, 0), (15, 16, 17, 19, 20)
    else:
        price, articles = max(one.list_fen, 0), (14, 15, 19, 20)
    principal = max(0, one.paid_fen - price)
    days = 0 if cause is Cause.WITHDRAWAL else max(0, (paid_out_on - ended_on).days)
    rate = rate_on(rates, one.paid_on) if days else None
    return Calculation(
        cause=cause,
        paid_fen=one.paid_fen,
        bonus_fen=one.bonus_fen,
        consumed_fen=one.consumed_fen,
        list_fen=one.list_fen,
        price_fen=price,
        principal_fen=principal,
        interest_fen=interest_fen(principal, days, rate.basis_points) if rate else 0,
        interest_days=days,
        rate=rate,
        articles=articles,
    )


def rate_on(rates: Sequence[Rate], day: date) -> Rate | None:
    """The rate in force on a day: that of the contract's day counts, whatever it became later (article 16)."""
    return max((rate for rate in rates if rate.since <= day), key=lambda rate: rate.since, default=None)


def interest_fen(principal_fen: int, days: int, basis_points: int) -> int:
    """Simple interest over a year of 365 days, a fraction of a fen rounded up."""
    return -(-principal_fen * basis_points * days // (BASIS_POINTS * DAYS_A_YEAR))


def share_of_return(taken: tuple[int, int], before: int, after: int) -> tuple[int, int]:
    """The principal and bonus of a return that brings what came back from `before` to `after`; whatever the sizes of
    several returns, together they give back exactly what was taken of each."""
    whole = sum(taken)
    principal = split(taken[0], [after, whole - after])[0] - split(taken[0], [before, whole - before])[0]
    return principal, after - before - principal
