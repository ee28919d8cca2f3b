"""What becomes of a receipt's discounts when goods come back. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from loyalty.money import split
from loyalty.purchases.receipt import Receipt
from loyalty.refunds.rules import Method

Fate = Literal["kept", "lost", "used_up"]


@dataclass(frozen=True, slots=True)
class DiscountFate:
    """A discount or coupon of the order: `kept` on what the member keeps, `lost` because what is kept no longer
    reaches its minimum, or `used_up` with an order that comes back whole."""

    code: str
    off_fen: int
    fate: Fate


def fates(receipt: Receipt, gone: Mapping[int, int], *, method: Method, is_whole: bool) -> tuple[DiscountFate, ...]:
    """The fate of each discount once `gone` pieces by line number have come back in all."""
    kept_fen = sum(_kept(line.before_fen, gone.get(line.no, 0), line.quantity) for line in receipt.live)

    def fate_of(min_spend_fen: int) -> Fate:
        if is_whole:
            return "used_up"
        judged = method == "readjudicate" and bool(gone)
        return "lost" if judged and kept_fen < min_spend_fen else "kept"

    return tuple(DiscountFate(one.code, one.off_fen, fate_of(one.min_spend_fen)) for one in receipt.discounts)


def _kept(before_fen: int, gone: int, quantity: int) -> int:
    return split(before_fen, [quantity - gone, gone])[0]
