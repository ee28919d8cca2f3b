"""What goes back: the price of what is returned, in money and points, and what was earned with it. Pure.

Two methods. Proportional: the returned part of everything. Re-adjudication: what is kept is judged as if only that
had been bought; discounts that it no longer reaches are lost, and so are points that it would not have earned.
Whatever the order and the sizes of several returns, returning everything gives back and takes back exactly all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from loyalty.errors import Conflict, Invalid, NotFound
from loyalty.money import split
from loyalty.program.terms import Terms
from loyalty.purchases import rules as purchases
from loyalty.purchases.receipt import Line, Receipt

Method = Literal["readjudicate", "proportional"]


class LineUnknown(NotFound):
    """The receipt has no such line, or it was voided: `line`."""

    code = "refunds.line_unknown"


class LineReturned(Conflict):
    """Of line `line` only `left` can still be returned."""

    code = "refunds.line_returned"


class RefundTooLarge(Conflict):
    """More would go back than was paid; `left_fen` is what can still be refunded."""

    code = "refunds.too_large"


class RefundInvalid(Invalid):
    """A value of the refund is out of range; `field` names it."""

    code = "refunds.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """Goods come back of a purchase that its source knows as (`purchase_source`, `purchase_external_id`).

    Either `lines` says how many pieces of which line, or `amount_fen` the price of what comes back; with both, the
    reporter's price counts. `method` None is that of the terms.
    """

    source: str
    external_id: str
    purchase_source: str
    purchase_external_id: str
    occurred_at: datetime
    amount_fen: int | None = None
    lines: Mapping[int, int] = field(default_factory=dict)
    method: Method | None = None


@dataclass(frozen=True, slots=True)
class Sold:
    """A purchase as it was recorded: its price and receipt, what it earned by which multiplier, what points paid."""

    amount_fen: int
    receipt: Receipt
    points: int
    growth: int
    multiplier_percent: int = 100
    points_spent: int = 0
    stored_fen: int = 0

    @property
    def money_fen(self) -> int:
        """What was paid in money."""
        return self.amount_fen - self.receipt.points_fen


@dataclass(frozen=True, slots=True)
class Quote:
    """What a return comes to: `amount_fen` is the price of it, `money_fen` and `points_returned` what is given back
    (`stored_fen` of the money to stored value),
    `points_taken` and `growth_taken` what is to be taken back of what was earned."""

    method: Method
    amount_fen: int
    money_fen: int
    points_returned: int
    points_taken: int
    growth_taken: int
    stored_fen: int = 0


@dataclass(frozen=True, slots=True)
class Earlier:
    """What earlier returns of the purchase came to, together, `stored_fen` of the money to stored value;
    `lines` counts pieces by line number."""

    amount_fen: int = 0
    money_fen: int = 0
    points_returned: int = 0
    points_taken: int = 0
    growth_taken: int = 0
    stored_fen: int = 0
    lines: Mapping[int, int] | None = None

    def returned(self, line: int) -> int:
        """How many of a line came back already."""
        return (self.lines or {}).get(line, 0)


def price_fen(purchase: Sold, returning: Mapping[int, int], earlier: Earlier, method: Method) -> int:
    """The price of returning so many pieces of these lines.

    Raises:
        LineUnknown, LineReturned
    """
    live = {line.no: line for line in purchase.receipt.live}
    for no, pieces in returning.items():
        if no not in live:
            raise LineUnknown(line=no)
        left = live[no].quantity - earlier.returned(no)
        if not 0 < pieces <= left:
            raise LineReturned(line=no, left=left)
    gone = {no: earlier.returned(no) + returning.get(no, 0) for no in live}
    if method == "readjudicate" and purchase.receipt.discounts:
        due = _due_fen(list(live.values()), gone, purchase)
        return max(0, purchase.amount_fen - earlier.amount_fen - due)
    return sum(
        _part(live[no].amount_fen, gone[no], live[no].quantity)
        - _part(live[no].amount_fen, earlier.returned(no), live[no].quantity)
        for no in returning
    )


def _due_fen(lines: Sequence[Line], gone: Mapping[int, int], purchase: Sold) -> int:
    """What the pieces that are kept would have cost, with the discounts that they reach."""
    kept = sum(_part(line.before_fen, line.quantity - gone[line.no], line.quantity) for line in lines)
    off = sum(discount.off_fen for discount in purchase.receipt.discounts if kept >= discount.min_spend_fen)
    return max(0, kept - off)


def quote(
    purchase: Sold,
    amount_fen: int,
    earlier: Earlier,
    *,
    method: Method,
    terms: Terms,
    kept: tuple[int, int] | None = None,
) -> Quote:
    """What returning goods of this price comes to; `terms` are those the purchase was judged by, `kept` the points and
    growth that what is kept would have earned by the recorded rules, where they were asked."""
    after = earlier.amount_fen + amount_fen
    whole = purchase.amount_fen
    money = _part(purchase.money_fen, after, whole)
    taken = _earned_back(purchase, after, earlier, method, terms)
    if kept is not None:
        taken = (purchase.points - kept[0], purchase.growth - kept[1])
    return Quote(
        method=method,
        amount_fen=amount_fen,
        money_fen=money - earlier.money_fen,
        points_returned=_part(purchase.points_spent, after, whole) - earlier.points_returned,
        points_taken=max(0, taken[0] - earlier.points_taken),
        growth_taken=max(0, taken[1] - earlier.growth_taken),
        # A share of the money and not of the price: rounding never sends more to stored value than there is money.
        stored_fen=_part(purchase.stored_fen, money, purchase.money_fen) - earlier.stored_fen,
    )


def _earned_back(purchase: Sold, after_fen: int, earlier: Earlier, method: Method, terms: Terms) -> tuple[int, int]:
    """How much of points and growth is to be taken back in all, once so much has been returned."""
    whole = purchase.amount_fen
    if method == "proportional" or after_fen == whole:
        return _part(purchase.points, after_fen, whole), _part(purchase.growth, after_fen, whole)
    bought = purchases.earned(purchase.money_fen, multiplier_percent=purchase.multiplier_percent, terms=terms)
    if (bought.points, bought.growth) != (purchase.points, purchase.growth):
        # Earned by more than the price: what is kept keeps its part.
        return _part(purchase.points, after_fen, whole), _part(purchase.growth, after_fen, whole)
    kept_fen = purchase.money_fen - _part(purchase.money_fen, after_fen, whole)
    rest = purchases.earned(kept_fen, multiplier_percent=purchase.multiplier_percent, terms=terms)
    return max(0, purchase.points - rest.points), max(0, purchase.growth - rest.growth)


def _part(units: int, part: int, whole: int) -> int:
    return split(units, [part, whole - part])[0] if whole else 0
