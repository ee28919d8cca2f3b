"""Ids as outsiders see them: a sequence number would let people count and guess, a code does neither."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from loyalty import codes
from loyalty.codes import CodeMistyped
from loyalty.errors import NotFound

PublicId = Annotated[str, Field(pattern=r"^[0-9A-HJKMNP-TV-Z]{13}$", examples=["3F7ZK0Q2M9XWB"])]

LENGTH: Final = codes.CODE_LENGTH


class Kind(StrEnum):
    """What an id stands for; each kind has codes of its own, so an id of one is never one of another."""

    MOVEMENT = "api.movement"
    COUPON = "api.coupon"
    PURCHASE = "api.purchase"
    REFUND = "api.refund"
    CLAIM = "api.claim"
    WIN = "api.win"
    MALL_ORDER = "api.mall_order"
    OVERRIDE = "api.override"
    LADDER_MOVE = "api.ladder_move"
    TOP_UP = "api.top_up"
    REPLAYED = "api.replayed"


def public_id(kind: Kind, number: int) -> str:
    """The public form of row `number`."""
    return codes.encode(number, use=kind.value)


def row_id(kind: Kind, public: str) -> int:
    """The row number behind `public`; whether the row exists and whose it is, is asked afterwards.

    Raises:
        NotFound: it cannot be an id of this kind.
    """
    try:
        return codes.decode(public, use=kind.value)
    except CodeMistyped:
        raise NotFound from None
