"""What goes back of a purchase: hand-computed returns, by either method, and sums that are exact in any order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty.program.terms import Terms
from loyalty.purchases.receipt import Discount, Line, Receipt, apportioned
from loyalty.refunds import rules
from loyalty.refunds.rules import Earlier, LineReturned, LineUnknown, Method, Quote, Sold

TERMS = Terms()
BARE = Receipt()


def purchase(amount_fen: int, *, receipt: Receipt = BARE, points_spent: int = 0) -> Sold:
    """A purchase that earned one point and one growth per yuan paid."""
    earned = (amount_fen - receipt.points_fen) // 100
    return Sold(amount_fen, receipt, earned, earned, points_spent=points_spent)


def after(earlier: Earlier, quote: Quote, lines: dict[int, int] | None = None) -> Earlier:
    counted = dict(earlier.lines or {})
    for no, pieces in (lines or {}).items():
        counted[no] = counted.get(no, 0) + pieces
    return Earlier(
        earlier.amount_fen + quote.amount_fen,
        earlier.money_fen + quote.money_fen,
        earlier.points_returned + quote.points_returned,
        earlier.points_taken + quote.points_taken,
        earlier.growth_taken + quote.growth_taken,
        earlier.stored_fen + quote.stored_fen,
        counted,
    )


def lines(*prices: int, quantity: int = 1) -> tuple[Line, ...]:
    return tuple(Line(no=no, amount_fen=price, quantity=quantity) for no, price in enumerate(prices, 1))


def test_case_32_points_come_back_by_share() -> None:
    # ¥100 paid with 2,000 points (¥20) and ¥80; a line of ¥50 comes back.
    bought = purchase(10_000, receipt=Receipt(lines(5000, 5000), {"points": 2000, "cash": 8000}), points_spent=2000)
    price = rules.price_fen(bought, {1: 1}, Earlier(), "readjudicate")
    quote = rules.quote(bought, price, Earlier(), method="readjudicate", terms=TERMS)
    assert (quote.money_fen, quote.points_returned) == (4000, 1000)


@pytest.mark.parametrize("order", [(3333, 3333, 3334), (3334, 3333, 3333), (1, 9998, 1)])
def test_case_32_three_returns_come_to_exactly_all(order: tuple[int, ...]) -> None:
    bought = purchase(10_000, receipt=Receipt((), {"points": 2000, "cash": 8000}), points_spent=2000)
    earlier = Earlier()
    for price in order:
        earlier = after(earlier, rules.quote(bought, price, earlier, method="proportional", terms=TERMS))
    assert (earlier.money_fen, earlier.points_returned) == (8000, 2000)
    assert (earlier.points_taken, earlier.growth_taken) == (80, 80)


def test_case_54_a_return_below_the_threshold_loses_the_discount() -> None:
    # 满300减50 on 200 + 150: 300 paid. The 150 comes back.
    split = {1: 17_143, 2: 12_857}
    receipt = Receipt(
        (
            Line(no=1, list_fen=20_000, amount_fen=split[1]),
            Line(no=2, list_fen=15_000, amount_fen=split[2]),
        ),
        None,
        (Discount(code="300-50", off_fen=5000, min_spend_fen=30_000),),
    )
    bought = purchase(30_000, receipt=receipt)
    assert rules.price_fen(bought, {2: 1}, Earlier(), "proportional") == 12_857
    assert rules.price_fen(bought, {2: 1}, Earlier(), "readjudicate") == 10_000
    first = rules.quote(bought, 10_000, Earlier(), method="readjudicate", terms=TERMS)
    # Then the rest: everything that is left, and not the list price.
    assert rules.price_fen(bought, {1: 1}, after(Earlier(), first, {2: 1}), "readjudicate") == 20_000


@pytest.mark.parametrize(
    ("total", "weights", "shares"),
    [
        (1000, (1000, 1000, 1000), (334, 333, 333)),
        (98, (1000, 1000, 1000), (33, 33, 32)),
        (1, (1000, 1000, 1000), (1, 0, 0)),
    ],
)
def test_case_52_shares_by_largest_remainder(total: int, weights: tuple[int, ...], shares: tuple[int, ...]) -> None:
    assert tuple(apportioned(lines(*weights), total).values()) == shares


def test_case_30_what_was_earned_counts_and_not_todays_rule() -> None:
    bought = purchase(5000)
    twice = Terms.model_validate({"points": {"per_yuan": 2}})
    # The terms given are those of the purchase; with others the earn is not theirs and goes back by its part.
    quote = rules.quote(bought, 2500, Earlier(), method="readjudicate", terms=twice)
    assert quote.points_taken == 25


def test_case_36_rounding_down_once_per_order_survives_a_partial_return() -> None:
    # 1,197 fen earn 11; 399 come back; what is kept would have earned 7, so 4 go: floors, not rounded shares.
    bought = purchase(1197)
    quote = rules.quote(bought, 399, Earlier(), method="readjudicate", terms=TERMS)
    assert quote.points_taken == 4


def test_pieces_are_counted() -> None:
    bought = purchase(1000, receipt=Receipt(lines(1000, quantity=3)))
    first = rules.price_fen(bought, {1: 1}, Earlier(), "proportional")
    earlier = Earlier(amount_fen=first, lines={1: 1})
    assert (first, rules.price_fen(bought, {1: 2}, earlier, "proportional")) == (333, 667)
    with pytest.raises(LineReturned) as refused:
        rules.price_fen(bought, {1: 3}, earlier, "proportional")
    assert refused.value.params == {"line": 1, "left": 2}
    with pytest.raises(LineUnknown):
        rules.price_fen(bought, {9: 1}, earlier, "proportional")


@given(
    price=st.integers(1, 5000),
    paid_in_points=st.integers(0, 100),
    cuts=st.lists(st.integers(1, 2000), min_size=1, max_size=6),
    methods=st.lists(st.sampled_from(["readjudicate", "proportional"]), min_size=7, max_size=7),
)
def test_any_returns_in_any_order_come_to_exactly_all(
    price: int, paid_in_points: int, cuts: list[int], methods: list[Method]
) -> None:
    points_fen = price * paid_in_points // 100
    receipt = Receipt((), {"points": points_fen, "cash": price - points_fen})
    bought = purchase(price, receipt=receipt, points_spent=points_fen)
    earlier = Earlier()
    for cut, method in zip([*cuts, price], methods, strict=False):
        part = min(cut, price - earlier.amount_fen)
        if not part:
            continue
        quote = rules.quote(bought, part, earlier, method=method, terms=TERMS)
        assert min(quote.money_fen, quote.points_returned, quote.points_taken, quote.growth_taken) >= 0
        earlier = after(earlier, quote)
    whole = (price - points_fen, points_fen, bought.points, bought.growth)
    assert (earlier.money_fen, earlier.points_returned, earlier.points_taken, earlier.growth_taken) == whole
