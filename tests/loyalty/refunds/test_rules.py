"""Shares of a refund add up, whatever the sizes and their order."""

from hypothesis import given
from hypothesis import strategies as st

from loyalty.refunds import rules
from loyalty.refunds.rules import Shares


def test_three_thirds_take_exactly_all() -> None:
    # ¥33.33, ¥33.33 and ¥33.34 of ¥100 that earned 2,000.
    taken, before = [], 0
    for part in (3_333, 3_333, 3_334):
        share = rules.shares(amount_fen=10_000, refunded_before_fen=before, refund_fen=part, points=2_000, growth=100)
        taken.append(share)
        before += part
    assert taken == [Shares(667, 33), Shares(666, 34), Shares(667, 33)]
    assert (sum(share.points for share in taken), sum(share.growth for share in taken)) == (2_000, 100)


@given(
    parts=st.lists(st.integers(1, 10**9), min_size=1, max_size=12),
    kept=st.integers(0, 10**9),
    points=st.integers(0, 10**9),
)
def test_no_order_of_refunds_takes_more_or_less(parts: list[int], kept: int, points: int) -> None:
    amount_fen, before, taken = sum(parts) + kept, 0, 0
    for part in parts:
        share = rules.shares(
            amount_fen=amount_fen, refunded_before_fen=before, refund_fen=part, points=points, growth=points
        )
        assert share.points == share.growth >= 0
        before += part
        taken += share.points
        assert abs(taken * amount_fen - points * before) <= amount_fen
    assert kept > 0 or taken == points
