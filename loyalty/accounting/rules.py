"""Deferred revenue of a points programme (IFRS 15, 新收入准则): what of a sale is owed in points, when it is earned.

A sale with points has two promises: the goods, and the points. The price is shared out by their stand-alone prices;
points count with the share of them that is expected to be redeemed. Revenue of points is what was allocated to them
times the part redeemed of all that will be, counted cumulatively, so that a changed estimate is caught up at once.
Exact decimal arithmetic; money is rounded when it is shown, and once more never.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from loyalty.errors import Invalid

CENT: Final = Decimal("0.01")


class EstimateImpossible(Invalid):
    """Fewer points are expected to be redeemed in all (`expected`) than were redeemed already (`redeemed`)."""

    code = "accounting.estimate_impossible"


@dataclass(frozen=True, slots=True)
class Allocation:
    """A sale's price, shared out over goods and points."""

    goods: Decimal
    points: Decimal


@dataclass(frozen=True, slots=True)
class Period:
    """What a period adds: `redeemed` points, and the estimate at its end of how many will be redeemed in all."""

    redeemed: int
    expected: int


@dataclass(frozen=True, slots=True)
class Released:
    """Revenue of points recognised in one period and up to its end, and what is still deferred."""

    revenue: Decimal
    cumulative: Decimal
    deferred: Decimal


def allocate(sales: Decimal, points: int, *, value: Decimal, expected_percent: Decimal) -> Allocation:
    """Share `sales` out by stand-alone prices: the goods at `sales`, the points at their `value` each times the
    percentage that is expected to be redeemed."""
    stand_alone = points * value * expected_percent / 100
    share = sales * stand_alone / (sales + stand_alone)
    return Allocation(goods=sales - share, points=share)


def release(deferred: Decimal, periods: Iterable[Period]) -> list[Released]:
    """Recognise what was deferred, period by period.

    Raises:
        EstimateImpossible
    """
    redeemed, before = 0, Decimal(0)
    released = []
    for period in periods:
        redeemed += period.redeemed
        if not period.expected > 0 or redeemed > period.expected:
            raise EstimateImpossible(expected=period.expected, redeemed=redeemed)
        cumulative = deferred * redeemed / period.expected
        released.append(Released(cumulative - before, cumulative, deferred - cumulative))
        before = cumulative
    return released


def shown(amount: Decimal) -> Decimal:
    """An amount of money as it is written: to the cent, half up."""
    return amount.quantize(CENT, ROUND_HALF_UP)
