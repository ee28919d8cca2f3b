"""Money that came by a payment platform, and what it buys: the literal table of purposes."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.payments import service as payments
from loyalty.payments.rules import PaymentDiffers, Receipt
from loyalty.payments.service import PaymentView
from loyalty.stored_value import service as stored_value
from loyalty.stored_value.service import TopUp

TOP_UP: Final = "top_up"


async def take(receipt: Receipt, *, now: datetime) -> PaymentView | PaymentDiffers:
    """Note what the platform vouches for, and carry out what a new payment buys, in one unit of work. A receipt that
    differs from what was asked for is returned and not raised, because the alert must be committed.

    Raises:
        PaymentUnknown: never asked for.
    """
    try:
        settled = await payments.settle(receipt, now=now)
    except PaymentDiffers as differs:
        return differs
    if settled.is_new:
        await PURPOSES[settled.payment.purpose](settled.payment, now)
    return settled.payment


async def take_alone(receipt: Receipt, *, now: datetime) -> PaymentView | PaymentDiffers:
    """`take` in a unit of work of its own, for edges that are told of payments."""
    async with db.unit_of_work():
        return await take(receipt, now=now)


async def _top_up(payment: PaymentView, now: datetime) -> None:
    paid = TopUp(
        member_id=payment.member_id,
        paid_fen=payment.amount_fen,
        key=f"payment:{payment.number}",
        source=payment.platform,
        paid_at=payment.paid_at or now,
        evidence={"number": payment.number, "transaction": payment.transaction, "merchant": payment.merchant},
    )
    await stored_value.credit(paid, now=now)


PURPOSES: Final[Mapping[str, Callable[[PaymentView, datetime], Awaitable[None]]]] = {TOP_UP: _top_up}
