"""Payments: settled once by whatever way is heard of them; what differs is told and never credited."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.payments import service as payments
from loyalty.payments.rules import PaymentDiffers, Receipt, State, difference
from loyalty.payments.service import ASK_AFTER, NewPayment, PaymentUnknown, PaymentView, Settled
from tests.loyalty.people import guest
from tests.loyalty.processes import side_by_side
from tests.loyalty.shop import NOW

pytestmark = pytest.mark.usefixtures("database")


async def asked_for(amount_fen: int = 10_000, **values: Any) -> PaymentView:
    given: dict[str, Any] = {
        "platform": "wechat_pay",
        "account": "main",
        "merchant": "1230000109",
        "app_id": "wxd678efh567hg6787",
        "member_id": values.pop("member_id", None) or await guest(),
        "purpose": "top_up",
        "amount_fen": amount_fen,
    }
    async with db.unit_of_work():
        return await payments.ask(NewPayment(**{**given, **values}), now=NOW)


def receipt(payment: PaymentView, **values: Any) -> Receipt:
    given: dict[str, Any] = {
        "number": payment.number,
        "merchant": payment.merchant,
        "app_id": payment.app_id,
        "state": State.PAID,
        "amount_fen": payment.amount_fen,
        "currency": "CNY",
        "transaction": "4200000000000000000000000001",
        "paid_at": NOW,
    }
    return Receipt(**{**given, **values})


async def settle(of: Receipt) -> Settled:
    async with db.unit_of_work():
        return await payments.settle(of, now=NOW)


async def test_the_first_receipt_settles_and_the_others_find_it_settled() -> None:
    payment = await asked_for()
    first, second = await settle(receipt(payment)), await settle(receipt(payment))
    assert (first.is_new, second.is_new) == (True, False)
    assert (first.payment.status, first.payment.transaction) == (State.PAID, "4200000000000000000000000001")


@pytest.mark.parametrize(
    "wrong",
    [{"amount_fen": 1}, {"merchant": "1"}, {"app_id": "wx1"}, {"currency": "USD"}, {"amount_fen": 10_001}],
)
async def test_what_differs_is_noted_and_not_paid(wrong: dict[str, Any]) -> None:
    payment = await asked_for()
    async with db.unit_of_work():
        with pytest.raises(PaymentDiffers):
            await payments.settle(receipt(payment, **wrong), now=NOW)
    (field,) = wrong
    found = await payments.find(payment.number)
    assert (found.status, found.alert) == (State.OPEN, field)
    assert (await settle(receipt(payment))).payment.alert is None


async def test_money_that_came_after_we_gave_up_is_money() -> None:
    payment = await asked_for()
    assert (await settle(receipt(payment, state=State.CLOSED))).payment.status is State.CLOSED
    assert (await settle(receipt(payment))).is_new
    assert not (await settle(receipt(payment, state=State.CLOSED))).is_new
    assert (await payments.find(payment.number)).status is State.PAID


async def test_nobody_asked_for_it() -> None:
    payment = await asked_for()
    with pytest.raises(PaymentUnknown):
        await settle(replace(receipt(payment), number="XH1"))


async def test_who_heard_nothing_asks_again_and_again_with_longer_waits() -> None:
    payment = await asked_for()
    await settle(receipt(await asked_for()))
    at, waits = NOW, []
    for _ in range(6):
        before = at
        while True:
            at += timedelta(seconds=10)
            async with db.unit_of_work():
                due = await payments.due(now=at, batch_max=10)
            if due:
                break
        assert [one.id for one in due] == [payment.id]
        waits.append(at - before)
    assert waits == [*ASK_AFTER, ASK_AFTER[-1]]
    await settle(receipt(payment, state=State.CLOSED))
    async with db.unit_of_work():
        assert await payments.due(now=at + timedelta(days=1), batch_max=10) == []


async def test_of_many_receipts_at_the_same_moment_one_is_the_first() -> None:
    payment = await asked_for()
    settled = await side_by_side([settle(receipt(payment)) for _ in range(12)])
    assert [one.is_new for one in settled].count(True) == 1


async def test_nothing_differs_when_it_is_that_payment() -> None:
    payment = await asked_for()
    assert difference(payment.asked, receipt(payment)) is None
