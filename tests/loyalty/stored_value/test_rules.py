"""The statutory arithmetic, to the fen."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.stored_value.rules import (
    Cause,
    Rate,
    Slice,
    calculate,
    interest_fen,
    rate_on,
    share_of_return,
    within_withdrawal,
)

PAID_ON = date(2026, 1, 1)
TODAY = date(2026, 11, 21)
LOAN = [Rate(date(2024, 10, 21), 310), Rate(date(2025, 5, 20), 300), Rate(date(2026, 2, 20), 290)]


def topped_up(
    consumed_fen: int, list_fen: int | None = None, *, paid_fen: int = 100_000, bonus_fen: int = 20_000
) -> Slice:
    listed = consumed_fen if list_fen is None else list_fen
    return Slice(paid_fen=paid_fen, bonus_fen=bonus_fen, consumed_fen=consumed_fen, list_fen=listed, paid_on=PAID_ON)


def principal(one: Slice, cause: Cause) -> int:
    return calculate(one, cause, ended_on=TODAY, paid_out_on=TODAY, rates=LOAN).principal_fen


@pytest.mark.parametrize(
    ("consumed", "listed", "cause", "price", "back"),
    [
        (30_000, 30_000, Cause.MERCHANT, 25_000, 75_000),
        (30_000, 30_000, Cause.CONSUMER, 30_000, 70_000),
        (90_000, 90_000, Cause.MERCHANT, 75_000, 25_000),
        (90_000, 90_000, Cause.CONSUMER, 90_000, 10_000),
        (90_000, 110_000, Cause.CONSUMER, 110_000, 0),
        (90_000, 110_000, Cause.MERCHANT, 75_000, 25_000),
        (120_000, 120_000, Cause.MERCHANT, 100_000, 0),
        (0, 0, Cause.WITHDRAWAL, 0, 100_000),
    ],
)
def test_case_63_what_goes_back(consumed: int, listed: int, cause: Cause, price: int, back: int) -> None:
    done = calculate(topped_up(consumed, listed), cause, ended_on=TODAY, paid_out_on=TODAY, rates=LOAN)
    assert (done.price_fen, done.principal_fen, done.interest_fen) == (price, back, 0)


def test_five_hundred_and_a_hundred_on_top() -> None:
    """充 500 送 100, 240 used: 200 of them paid for."""
    assert principal(topped_up(24_000, paid_fen=50_000, bonus_fen=10_000), Cause.MERCHANT) == 30_000
    assert principal(topped_up(24_000, paid_fen=50_000, bonus_fen=10_000), Cause.CONSUMER) == 26_000


def test_a_fraction_of_a_fen_is_the_members() -> None:
    # 100 × 2/3 is 66.67 fen of what was paid: 66 are counted.
    assert principal(topped_up(100, paid_fen=200, bonus_fen=100), Cause.MERCHANT) == 134


def test_interest_runs_from_the_end_of_the_contract_at_the_rate_of_its_day() -> None:
    ended = TODAY - timedelta(days=73)
    done = calculate(topped_up(30_000), Cause.MERCHANT, ended_on=ended, paid_out_on=TODAY, rates=LOAN)
    # 75,000 fen × 3.00 % × 73 / 365: the rate was lowered in February 2026, and this contract is of January.
    assert (done.rate, done.interest_days, done.interest_fen) == (LOAN[1], 73, 450)
    assert done.total_fen == 75_450


def test_within_seven_days_the_day_of_paying_does_not_count() -> None:
    assert within_withdrawal(PAID_ON, PAID_ON + timedelta(days=7))
    assert not within_withdrawal(PAID_ON, PAID_ON + timedelta(days=8))


def test_without_a_rate_for_that_day_there_is_no_interest() -> None:
    assert rate_on(LOAN, date(2020, 1, 1)) is None
    old = Slice(paid_fen=100, bonus_fen=0, consumed_fen=0, list_fen=0, paid_on=date(2020, 1, 1))
    assert calculate(old, Cause.MERCHANT, ended_on=PAID_ON, paid_out_on=TODAY, rates=LOAN).interest_fen == 0


def test_interest_is_rounded_up() -> None:
    assert interest_fen(1, 1, 300) == 1
    assert interest_fen(0, 100, 300) == 0


@given(
    paid=st.integers(1, 10**7),
    bonus=st.integers(0, 10**7),
    data=st.data(),
    cause=st.sampled_from(Cause),
)
def test_what_goes_back_lies_between_nothing_and_what_was_paid(
    paid: int, bonus: int, data: st.DataObject, cause: Cause
) -> None:
    consumed = data.draw(st.integers(0, paid + bonus))
    listed = data.draw(st.integers(consumed, consumed * 3))
    back = principal(topped_up(consumed, listed, paid_fen=paid, bonus_fen=bonus), cause)
    assert 0 <= back <= paid
    assert back <= principal(topped_up(0, paid_fen=paid, bonus_fen=bonus), cause) == paid


@given(
    taken=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)).filter(any),
    cuts=st.lists(st.integers(0, 2 * 10**6), max_size=8),
)
def test_returns_of_any_sizes_together_give_back_exactly_what_was_taken(
    taken: tuple[int, int], cuts: list[int]
) -> None:
    whole = sum(taken)
    stops = sorted({cut % whole for cut in cuts} | {0, whole})
    given_back = [0, 0]
    for before, after in pairwise(stops):
        halves = share_of_return(taken, before, after)
        assert all(half >= 0 for half in halves)
        given_back = [had + half for had, half in zip(given_back, halves, strict=True)]
        assert all(had <= half for had, half in zip(given_back, taken, strict=True))
    assert tuple(given_back) == taken
