"""What a payment buys is carried out with it, once, however many tell of it at once."""

from collections import Counter

import pytest

from loyalty import db
from loyalty.errors import Refusal
from loyalty.payments import service as payments
from loyalty.payments.rules import Receipt
from loyalty.payments.service import PaymentUnknown
from loyalty.takings import service as takings
from tests.loyalty.payments.test_service import asked_for, receipt
from tests.loyalty.processes import at_once, side_by_side
from tests.loyalty.shop import NOW
from tests.loyalty.stored_value.wallets import halves, keeps_stored_value

pytestmark = pytest.mark.usefixtures("database")


async def test_a_paid_top_up_is_stored_with_its_bonus() -> None:
    await keeps_stored_value()
    payment = await asked_for(100_000)
    async with db.unit_of_work():
        await takings.take(receipt(payment), now=NOW)
    assert await halves(payment.member_id) == (100_000, 20_000)


async def test_an_amount_that_differs_is_told_and_stores_nothing() -> None:
    await keeps_stored_value()
    payment = await asked_for(100_000)
    async with db.unit_of_work():
        heard = await takings.take(receipt(payment, amount_fen=1), now=NOW)
    assert isinstance(heard, Refusal)
    assert (await payments.find(payment.number)).alert == "amount_fen"
    assert await halves(payment.member_id) == (0, 0)


async def take_often(of: Receipt, times: int) -> Counter[str]:
    async def one() -> None:
        async with db.unit_of_work():
            await takings.take(of, now=NOW)

    await side_by_side([one() for _ in range(times)])
    return Counter(taken=times)


async def test_callback_and_query_from_four_processes_store_once(database_url: str) -> None:
    await keeps_stored_value()
    payment = await asked_for(100_000)
    await at_once(database_url, take_often, [(receipt(payment), 20) for _ in range(4)])
    assert await halves(payment.member_id) == (100_000, 20_000)


async def _taken_and_failed(of: Receipt) -> None:
    async with db.unit_of_work():
        await takings.take(of, now=NOW)
        raise PaymentUnknown


async def test_a_unit_of_work_that_fails_between_payment_and_credit_leaves_neither() -> None:
    await keeps_stored_value()
    payment = await asked_for(100_000)
    with pytest.raises(PaymentUnknown):
        await _taken_and_failed(receipt(payment))
    assert (await payments.find(payment.number)).paid_at is None
    assert await halves(payment.member_id) == (0, 0)
    async with db.unit_of_work():
        await takings.take(receipt(payment), now=NOW)
    assert await halves(payment.member_id) == (100_000, 20_000)
