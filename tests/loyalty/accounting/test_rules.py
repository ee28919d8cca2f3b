"""Deferred revenue, worked: the published example to the unit, its variants, and sums that always close."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.accounting import rules
from loyalty.accounting.rules import EstimateImpossible, Period


def whole(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


def test_case_66_the_allocation_is_exact() -> None:
    # Sales 100,000 with 10,000 points worth 1 each, 97 % of them expected to be redeemed.
    shared = rules.allocate(Decimal(100_000), 10_000, value=Decimal(1), expected_percent=Decimal(97))
    assert rules.shown(shared.points) == Decimal("8842.30")
    assert shared.goods + shared.points == 100_000
    at_95 = rules.allocate(Decimal(100_000), 10_000, value=Decimal(1), expected_percent=Decimal(95))
    assert whole(at_95.points) == 8676


@pytest.mark.parametrize(
    ("deferred", "expected", "revenues"),
    [
        # 9,000 is the rounded liability of the worked example; the estimate moves to 9,900 in the second period.
        ("9000", ((4500, 9700), (4000, 9900)), (4175, 3552)),
        # The estimate moves down to 9,200 instead: more is caught up at once.
        ("9000", ((4500, 9700), (4000, 9200)), (4175, 4140)),
        ("8675.79908", ((4500, 9500), (4000, 9700)), (4110, 3493)),
    ],
)
def test_case_66_revenue_is_released_with_a_cumulative_catch_up(
    deferred: str, expected: tuple[tuple[int, int], ...], revenues: tuple[int, ...]
) -> None:
    released = rules.release(Decimal(deferred), [Period(*period) for period in expected])
    assert tuple(whole(one.revenue) for one in released) == revenues
    assert released[-1].cumulative + released[-1].deferred == Decimal(deferred)


def test_an_estimate_below_what_was_redeemed_is_impossible() -> None:
    with pytest.raises(EstimateImpossible) as refused:
        rules.release(Decimal(9000), [Period(4500, 9700), Period(5000, 9400)])
    assert refused.value.params == {"expected": 9400, "redeemed": 9500}


@given(
    deferred=st.decimals(0, 10**9, places=2),
    redeemed=st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
    spare=st.integers(1, 10**6),
)
def test_what_is_released_and_what_is_deferred_is_the_whole(deferred: Decimal, redeemed: list[int], spare: int) -> None:
    total = sum(redeemed) + spare
    released = rules.release(deferred, [Period(points, total) for points in redeemed])
    assert abs(sum(one.revenue for one in released) + released[-1].deferred - deferred) < Decimal("1e-9")
