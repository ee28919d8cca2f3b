"""Shares add up exactly, whatever the weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.money import AMOUNT_MAX, split, yuan

weights = st.lists(st.integers(0, AMOUNT_MAX), max_size=12)


@pytest.mark.parametrize(
    ("total", "shares", "parts"),
    [
        (100, [1, 1, 1], [34, 33, 33]),
        (10, [1, 2, 3], [2, 3, 5]),
        (1, [1, 1], [1, 0]),
        (5, [0, 1, 0], [0, 5, 0]),
        (7, [0, 0], [0, 0]),
        (7, [], []),
        (0, [3, 4], [0, 0]),
    ],
)
def test_hand_computed_splits(total: int, shares: list[int], parts: list[int]) -> None:
    assert split(total, shares) == parts


@given(total=st.integers(0, AMOUNT_MAX), shares=weights)
def test_parts_add_up_and_differ_from_the_exact_share_by_less_than_one(total: int, shares: list[int]) -> None:
    parts = split(total, shares)
    whole = sum(shares)
    assert sum(parts) == (total if whole else 0)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part * whole - total * share) < max(whole, 1)


@given(total=st.integers(0, AMOUNT_MAX), shares=weights)
def test_nobody_without_weight_gets_anything(total: int, shares: list[int]) -> None:
    assert all(part == 0 for part, share in zip(split(total, shares), shares, strict=True) if share == 0)


@pytest.mark.parametrize(
    ("fen", "read"), [(0, "0.00"), (5, "0.05"), (12345, "123.45"), (-5, "-0.05"), (-12345, "-123.45"), (100, "1.00")]
)
def test_fen_as_people_read_them(fen: int, read: str) -> None:
    assert yuan(fen) == read
