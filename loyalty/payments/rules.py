"""What a platform says of a payment, and whether it is the payment that we asked for. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loyalty.errors import Conflict


class State(StrEnum):
    """Where a payment stands: asked for, paid, or given up without money."""

    OPEN = "open"
    PAID = "paid"
    CLOSED = "closed"


class PaymentDiffers(Conflict):
    """What was paid is not what was asked for: `field` differs. Nothing is credited; somebody has to look."""

    code = "payments.differs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What the platform vouches for. `amount_fen` is what the order came to; a payer may have paid less because the
    platform's own coupons paid the rest, and the merchant still gets all of it."""

    number: str
    merchant: str
    app_id: str
    state: State
    amount_fen: int | None = None
    currency: str | None = None
    transaction: str | None = None
    payer: str | None = None
    paid_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for."""

    number: str
    merchant: str
    app_id: str
    amount_fen: int


def difference(asked: Asked, receipt: Receipt) -> str | None:
    """The first field in which a receipt of a payment differs from what was asked; None when it is that payment."""
    pairs = {
        "number": (asked.number, receipt.number),
        "merchant": (asked.merchant, receipt.merchant),
        "app_id": (asked.app_id, receipt.app_id),
        "currency": ("CNY", receipt.currency),
        "amount_fen": (asked.amount_fen, receipt.amount_fen),
    }
    return next((name for name, (ours, theirs) in pairs.items() if ours != theirs), None)
