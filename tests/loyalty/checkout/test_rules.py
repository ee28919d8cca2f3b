"""What an order comes to: member price, the coupon that saves most, points; lines always add up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.checkout import rules
from loyalty.checkout.rules import Customer, Offered, Price, Unusable, Wish
from loyalty.coupon_templates.rules import AmountOff, Gift, PercentOff
from loyalty.program.terms import RedemptionTerms, Terms
from loyalty.purchases.receipt import Line

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
TERMS = Terms()


def lines(*prices: int) -> tuple[Line, ...]:
    return tuple(Line(no=no, amount_fen=price) for no, price in enumerate(prices, 1))


def coupon(number: int, worth: Any, **more: Any) -> Offered:
    values: dict[str, Any] = {"min_spend_fen": 0, "store_ids": (), "expires_at": NOW + timedelta(days=number)}
    return Offered(id=number, template=f"t{number}", worth=worth, **{**values, **more})


def priced(
    order: tuple[Line, ...],
    *coupons: Offered,
    points: int = 0,
    pct: int = 100,
    wish: Wish | None = None,
    terms: Terms = TERMS,
) -> Price:
    customer = Customer(coupons, points, pct, 100)
    made = rules.price(order, customer, wish or Wish(), store_id=1, terms=terms, now=NOW)
    assert sum(line.due_fen for line in made.lines) == made.due_fen
    assert min([made.money_fen, *(line.due_fen for line in made.lines)]) >= 0
    return made


def test_the_coupon_that_saves_most_and_of_equals_the_one_that_ends_first() -> None:
    three = (
        coupon(3, AmountOff(off_fen=3000)),
        coupon(1, PercentOff(percent_off=10)),
        coupon(2, AmountOff(off_fen=3000)),
    )
    made = priced(lines(20_000), *three)
    assert (made.coupon_id, made.due_fen) == (2, 17_000)


def test_case_55_a_percentage_stops_at_its_cap() -> None:
    made = priced(lines(20_000), coupon(1, PercentOff(percent_off=20, cap_fen=3000)))
    assert made.coupon_off_fen == 3000


def test_case_52_a_discount_is_shared_by_largest_remainder() -> None:
    made = priced(lines(1000, 1000, 1000), coupon(1, AmountOff(off_fen=1000)))
    assert [line.coupon_off_fen for line in made.lines] == [334, 333, 333]


def test_a_coupon_is_measured_after_the_member_price() -> None:
    made = priced(lines(10_000), coupon(1, AmountOff(off_fen=1000), min_spend_fen=9_500), pct=90)
    assert (made.member_off_fen, made.coupon_id) == (1000, None)
    assert made.coupons[0].unusable is Unusable.SPEND_TOO_LOW


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"store_ids": (2,)}, Unusable.OTHER_STORE),
        ({"min_spend_fen": 10_001}, Unusable.SPEND_TOO_LOW),
        ({"is_locked": True}, Unusable.LOCKED),
        ({"expires_at": NOW}, Unusable.OVER),
    ],
)
def test_why_a_coupon_does_not_count(more: dict[str, Any], reason: Unusable) -> None:
    made = priced(lines(10_000), coupon(1, AmountOff(off_fen=1000), **more))
    assert (made.coupon_id, made.coupons[0].unusable) == (None, reason)


def test_what_the_customer_asks_for_counts() -> None:
    two = (coupon(1, AmountOff(off_fen=500)), coupon(2, AmountOff(off_fen=900)))
    assert priced(lines(10_000), *two, wish=Wish(coupon_id=1)).coupon_id == 1
    assert priced(lines(10_000), *two, wish=Wish(best_coupon=False)).coupon_id is None
    assert priced(lines(10_000), coupon(3, Gift(item={"en": "a cup"})), wish=Wish(coupon_id=3)).coupon_id == 3


def test_case_38_points_pay_and_do_not_earn() -> None:
    made = priced(lines(10_000), points=5000, wish=Wish(points_fen=2000))
    assert (made.points, made.points_fen, made.money_fen, made.earns_points) == (2000, 2000, 8000, 80)
    half = Terms(redemption=RedemptionTerms(max_percent=50, multiple=100, min_points=1000))
    assert priced(lines(10_000), points=9950, terms=half).most_points == 5000
    assert priced(lines(1000), points=9950, terms=half).most_points == 0
    assert priced(lines(10_000), points=5000, wish=Wish(points_fen=2055), terms=half).points == 2000


def test_voided_lines_cost_nothing() -> None:
    order = (*lines(1000), Line(no=2, amount_fen=500, voided=True))
    assert priced(order).due_fen == 1000


@given(
    prices=st.lists(st.integers(0, 50_000), min_size=1, max_size=6),
    offs=st.lists(st.integers(1, 60_000), max_size=4),
    pct=st.integers(50, 100),
    points=st.integers(0, 100_000),
    wish=st.integers(0, 100_000),
)
def test_the_best_coupon_is_the_best_of_all_and_nothing_falls_below_zero(
    prices: list[int], offs: list[int], pct: int, points: int, wish: int
) -> None:
    offered = [coupon(number, AmountOff(off_fen=off)) for number, off in enumerate(offs, 1)]
    made = priced(lines(*prices), *offered, points=points, pct=pct, wish=Wish(points_fen=wish))
    others = [
        priced(lines(*prices), *offered, points=points, pct=pct, wish=Wish(coupon_id=one.id)).due_fen for one in offered
    ]
    assert made.due_fen == min([*others, made.list_fen - made.member_off_fen])
    assert made.points <= points
    assert made.points_fen <= min(wish, made.due_fen)
