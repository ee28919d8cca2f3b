"""No callback is no proof that nothing was paid: payments that nothing was heard of are asked about, and closed once
they are over."""

from typing import Final

import structlog

from bot.calls import CallFailed
from bot.wechat_pay.client import WechatPay
from loyalty import clock, db
from loyalty.payments import service as payments
from loyalty.payments.rules import Receipt, State
from loyalty.payments.service import PaymentView
from loyalty.takings import service as takings
from scheduler.duty import Hands

BATCH: Final = 20

log = structlog.get_logger("payments")


async def ask(hands: Hands) -> bool:
    """One batch; whether more are waiting."""
    async with db.unit_of_work():
        due = await payments.due(now=clock.now(), batch_max=BATCH)
    for payment in due:
        account = hands.pay.get(payment.account)
        if account is not None:
            await _ask_about(payment, account)
    return len(due) == BATCH


async def _ask_about(payment: PaymentView, account: WechatPay) -> None:
    try:
        receipt = await account.look_up(payment)
        if receipt.state is State.OPEN and payment.expires_at <= clock.now():
            receipt = await account.give_up(payment)
    except CallFailed as failed:
        # Asked again later, after a longer wait.
        log.info("payment_not_told", number=payment.number, result=type(failed.result).__name__)
        return
    await _take(receipt)


async def _take(receipt: Receipt) -> None:
    now = clock.now()
    outcome = await db.retried(lambda: takings.take_alone(receipt, now=now))
    if not isinstance(outcome, PaymentView):
        log.error("payment_differs", number=receipt.number, field=outcome.params["field"])
