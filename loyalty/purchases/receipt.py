"""What was bought and how it was paid, as a till reports it. Values only; money in fen.

`amount_fen` of a purchase is the price of what was bought, after discounts, whatever it was paid with. Lines and
tenders are optional; where they are given they add up to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from loyalty.errors import Invalid
from loyalty.money import AMOUNT_MAX, split

POINTS: Final = "points"
STORED_VALUE: Final = "stored_value"
LINES_MAX: Final = 200
Fen = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Tender = Literal["cash", "wechat", "alipay", "card", "stored_value", "points", "coupon", "other"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Line(_Part):
    """One line: `list_fen` before and `amount_fen` after discounts, for all of its `quantity`.

    A voided line was taken off the receipt: it costs and earns nothing. `no` is the line's own number on the receipt.
    """

    no: Annotated[int, Field(ge=1, le=10_000)]
    sku: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    category: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    tags: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=20)] = ()
    quantity: Annotated[int, Field(ge=1, le=100_000)] = 1
    list_fen: Fen | None = None
    amount_fen: Fen
    voided: bool = False

    @property
    def before_fen(self) -> int:
        """The price before discounts of the whole order."""
        return self.amount_fen if self.list_fen is None else self.list_fen


class Discount(_Part):
    """Less to pay on the order from `min_spend_fen` on (满减): what a partial return may lose."""

    code: Annotated[str, Field(min_length=1, max_length=64)]
    off_fen: Fen
    min_spend_fen: Fen = 0


class ReceiptUneven(Invalid):
    """The receipt does not add up: `field` says what, `sum_fen` what its parts come to, `amount_fen` what was said."""

    code = "purchases.uneven"


class LineRepeated(Invalid):
    """Two lines have the same number: `line`."""

    code = "purchases.line_repeated"


@dataclass(frozen=True, slots=True)
class Receipt:
    """Lines, tenders and discounts of one purchase."""

    lines: tuple[Line, ...] = ()
    tenders: Mapping[str, int] | None = None
    discounts: tuple[Discount, ...] = ()

    @property
    def live(self) -> tuple[Line, ...]:
        """The lines that were bought."""
        return tuple(line for line in self.lines if not line.voided)

    @property
    def points_fen(self) -> int:
        """How much of the price was paid with points."""
        return (self.tenders or {}).get(POINTS, 0)

    def listed_fen(self, amount_fen: int) -> int:
        """What the whole purchase of `amount_fen` cost before any discount."""
        if self.lines:
            return max(amount_fen, sum(line.before_fen for line in self.live))
        return amount_fen + sum(discount.off_fen for discount in self.discounts)

    def document(self) -> dict[str, Any]:
        """The receipt as it is stored."""
        return {
            "lines": [line.model_dump(mode="json", exclude_defaults=True) for line in self.lines],
            "tenders": dict(self.tenders or {}),
            "discounts": [discount.model_dump(mode="json") for discount in self.discounts],
        }


def check(receipt: Receipt, amount_fen: int) -> None:
    """Refuse a receipt that does not add up.

    Raises:
        LineRepeated, ReceiptUneven
    """
    seen: set[int] = set()
    for line in receipt.lines:
        if line.no in seen:
            raise LineRepeated(line=line.no)
        seen.add(line.no)
    if receipt.lines:
        _adds_up("lines", sum(line.amount_fen for line in receipt.live), amount_fen)
    if receipt.tenders:
        _adds_up("tenders", sum(receipt.tenders.values()), amount_fen)


def _adds_up(field: str, parts_fen: int, amount_fen: int) -> None:
    if parts_fen != amount_fen:
        raise ReceiptUneven(field=field, sum_fen=parts_fen, amount_fen=amount_fen)


def apportioned(lines: Sequence[Line], total_fen: int) -> dict[int, int]:
    """`total_fen` shared out over lines by their prices, by largest remainder; the shares add up exactly."""
    weights = [line.amount_fen for line in lines]
    shares = split(total_fen, weights if any(weights) else [1] * len(lines))
    return {line.no: share for line, share in zip(lines, shares, strict=True)}
