"""Stored value: every fen comes in once, goes out once, and back where it came from."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import OwnMembership, Role
from loyalty.errors import Forbidden, Refusal
from loyalty.merges import service as merges
from loyalty.purchases.receipt import Line, Receipt
from loyalty.purchases.service import record
from loyalty.refunds.service import NewRefund, refund
from loyalty.stored_value import payouts, permits, returning
from loyalty.stored_value import queries as read
from loyalty.stored_value import service as stored
from loyalty.stored_value.payouts import Asked, PaidOut, Waiting
from loyalty.stored_value.permits import PinWrong
from loyalty.stored_value.returning import NothingToReturn, Return
from loyalty.stored_value.rules import Cause
from loyalty.stored_value.service import (
    PermitNeeded,
    PhoneNeeded,
    StoredValueFrozen,
    StoredValueShort,
    TopUpKeyReused,
    TopUpsClosed,
    TopUpTooLarge,
    Use,
)
from tests.loyalty.people import guest, registered
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import ADMIN, NOW, a_purchase, bought, employee, store
from tests.loyalty.stored_value.wallets import a_top_up, halves, keeps_stored_value, topped_up, used

pytestmark = pytest.mark.usefixtures("database")


async def test_a_top_up_is_a_slice_of_two_halves_once_per_receipt() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    first = await topped_up(member_id, key="r1")
    assert (first.paid_fen, first.bonus_fen, first.principal_left_fen, first.bonus_left_fen) == (100_000, 20_000) * 2
    assert (await topped_up(member_id, key="r1")).id == first.id
    with pytest.raises(TopUpKeyReused):
        await topped_up(member_id, 50_000, key="r1")
    assert await halves(member_id) == (100_000, 20_000)


async def test_limits_and_names_of_the_law() -> None:
    await keeps_stored_value()
    clerk = await employee(Role.CLERK, await store())
    named, nameless = await registered("13800138000"), await guest()
    where: dict[str, Any] = {"principal": clerk, "store_id": clerk.store_id}
    await topped_up(nameless, 100_000, **where)
    with pytest.raises(PhoneNeeded):
        await topped_up(nameless, 1_00, **where)
    await topped_up(named, 500_000, **where)
    with pytest.raises(TopUpTooLarge) as much:
        await topped_up(named, 1_00, **where)
    assert much.value.params == {"most_fen": 500_000, "has_fen": 500_000}
    await keeps_stored_value(accepts_top_ups=False)
    await used(named, 100_000)
    with pytest.raises(TopUpsClosed):
        await topped_up(named, 1_00, **where)
    assert await halves(named) == (400_000, 0)


async def test_a_clerk_tops_up_in_their_store_and_never_themselves() -> None:
    await keeps_stored_value()
    member_id, own = await registered("13800138000"), await registered("13800138001")
    clerk = await employee(Role.CLERK, await store(), member_id=own)
    with pytest.raises(OwnMembership):
        await topped_up(own, principal=clerk, store_id=clerk.store_id)
    with pytest.raises(Forbidden):
        await topped_up(member_id, principal=clerk, store_id=await store())
    marketer = await employee(Role.MARKETER)
    with pytest.raises(Forbidden):
        await topped_up(member_id, principal=marketer)


async def test_a_use_takes_both_halves_in_proportion_and_a_return_gives_them_back() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id)
    key = await used(member_id, 30_000)
    assert await halves(member_id) == (75_000, 15_000)
    for number, part in enumerate((9_999, 1, 20_000)):
        back = Return(member_id=member_id, key=key, amount_fen=part, return_key=f"back:{number}", occurred_at=NOW)
        async with db.unit_of_work():
            await returning.give_back(back, now=NOW)
    assert await halves(member_id) == (100_000, 20_000)
    more = Return(member_id=member_id, key=key, amount_fen=1, return_key="more", occurred_at=NOW)
    with pytest.raises(NothingToReturn):
        async with db.unit_of_work():
            await returning.give_back(more, now=NOW)
    (only,) = await read.slices(member_id)
    assert (only.consumed_fen, only.list_fen) == (0, 0)


async def test_more_than_is_stored_is_refused() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id, 10_000)
    with pytest.raises(StoredValueShort) as short:
        await used(member_id, 10_001)
    assert short.value.params == {"has_fen": 10_000, "needs_fen": 10_001}


async def test_frozen_money_pays_nothing_and_stays() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id)
    manager = await employee(Role.MANAGER, await store())
    async with db.unit_of_work():
        await stored.freeze(member_id, reason="手机丢了", principal=manager, now=NOW)
    with pytest.raises(StoredValueFrozen):
        await used(member_id, 1)
    clerk = await employee(Role.CLERK, manager.store_id)
    with pytest.raises(Forbidden):
        async with db.unit_of_work():
            await stored.unfreeze(member_id, reason="找到了", principal=clerk, now=NOW)
    async with db.unit_of_work():
        await stored.unfreeze(member_id, reason="找到了", principal=manager, now=NOW)
    await used(member_id, 1)


async def test_a_larger_payment_needs_the_members_yes_once() -> None:
    await keeps_stored_value(permit_above_fen=20_000)
    member_id = await registered("13800138000")
    await topped_up(member_id)
    till = await employee(Role.CLERK, await store())
    await used(member_id, 20_000)
    with pytest.raises(PermitNeeded):
        await used(member_id, 20_001, key="large")
    async with db.unit_of_work():
        assert await permits.set_pin(member_id, "271828", old=None, now=NOW) is None
        assert isinstance(await permits.set_pin(member_id, "314159", old="000000", now=NOW), PinWrong)
    async with db.unit_of_work():
        wrong = await permits.permit_by_pin(member_id, "large", 20_001, "314159", server=till, now=NOW)
        assert isinstance(wrong, PinWrong)
        await permits.permit_by_pin(member_id, "large", 20_001, "271828", server=till, now=NOW)
    with pytest.raises(PermitNeeded):
        await used(member_id, 20_002, key="large")
    await used(member_id, 20_001, key="large")
    with pytest.raises(PermitNeeded):
        await used(member_id, 20_001, key="larger")


async def test_five_wrong_pins_and_the_right_one_waits() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    till = await employee(Role.CLERK, await store())
    async with db.unit_of_work():
        await permits.set_pin(member_id, "271828", old=None, now=NOW)
    for number in range(5):
        async with db.unit_of_work():
            await permits.permit_by_pin(member_id, "k", 1, f"10000{number}", server=till, now=NOW)
    with pytest.raises(Refusal) as locked:
        async with db.unit_of_work():
            await permits.permit_by_pin(member_id, "k", 1, "271828", server=till, now=NOW)
    assert locked.value.code == "attempts.too_many"


async def paid_with_stored_value(member_id: int, **values: Any) -> Any:
    lines = (
        Line(no=1, list_fen=12_000, amount_fen=10_000),
        Line(no=2, list_fen=24_000, amount_fen=20_000),
    )
    receipt = Receipt(lines, {"stored_value": 24_000, "cash": 6_000})
    return await bought(member_id, 30_000, receipt=receipt, **values)


async def test_a_purchase_paid_with_stored_value_and_its_returns() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id)
    purchase = await paid_with_stored_value(member_id)
    assert await halves(member_id) == (80_000, 16_000)
    (only,) = await read.slices(member_id)
    # Of 360 yuan list price, stored value paid four fifths.
    assert (only.consumed_fen, only.list_fen) == (24_000, 28_800)
    for number, (line, back) in enumerate(((1, 8_000), (2, 16_000))):
        new = NewRefund(
            source="till",
            external_id=f"r{number}",
            purchase_source=purchase.source,
            purchase_external_id=purchase.external_id,
            occurred_at=NOW,
            lines={line: 1},
        )
        async with db.unit_of_work():
            done = await refund(new, principal=ADMIN, now=NOW)
        assert (done.money_fen, done.stored_fen) == (back * 5 // 4, back)
    assert await halves(member_id) == (100_000, 20_000)


async def test_what_stored_value_cannot_pay_is_not_recorded() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id, 10_000)
    receipt = Receipt((), {"stored_value": 10_001})
    async with db.unit_of_work():
        short, fine = await record(
            [a_purchase(member_id, 10_001, receipt=receipt), a_purchase(member_id, 500)], principal=ADMIN, now=NOW
        )
    assert isinstance(short, StoredValueShort)
    assert not isinstance(fine, Refusal)
    assert await db.fetch_value("SELECT count(*) FROM purchase") == 1
    assert await halves(member_id) == (10_000, 0)


async def test_stored_value_comes_back_when_the_points_of_the_same_purchase_are_missing() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id, 10_000)
    receipt = Receipt((), {"stored_value": 9_000, "points": 1_000})
    async with db.unit_of_work():
        (refused,) = await record([a_purchase(member_id, 10_000, receipt=receipt)], principal=ADMIN, now=NOW)
    assert isinstance(refused, Refusal)
    assert await halves(member_id) == (10_000, 0)


async def test_without_stored_value_of_its_own_a_programme_only_notes_the_tender() -> None:
    member_id = await registered("13800138000")
    await bought(member_id, 10_000, receipt=Receipt((), {"stored_value": 10_000}))
    assert await halves(member_id) == (0, 0)


async def paid_out(member_id: int, slice_id: int, cause: Cause, principal: Any, **values: Any) -> Any:
    asked = Asked(slice_id=slice_id, cause=cause, reason="搬家", **values)
    async with db.unit_of_work():
        return await payouts.pay_out(asked, member_id, principal=principal, now=NOW)


@pytest.mark.parametrize(("cause", "back"), [(Cause.MERCHANT, 75_000), (Cause.CONSUMER, 70_000)])
async def test_case_63_is_paid_out_once_and_by_two(cause: Cause, back: int) -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    one = await topped_up(member_id, paid_at=NOW - timedelta(days=30))
    await used(member_id, 30_000)
    manager, finance = await employee(Role.MANAGER, await store()), await employee(Role.FINANCE)
    waiting = await paid_out(member_id, one.id, cause, manager)
    assert isinstance(waiting, Waiting)
    assert waiting.calculation.principal_fen == back
    assert await halves(member_id) == (75_000, 15_000)
    with pytest.raises(Refusal) as own:
        async with db.unit_of_work():
            await payouts.decide(waiting.approval_id, manager, approve=True, now=NOW)
    assert own.value.code == "access.own_request"
    async with db.unit_of_work():
        await payouts.decide(waiting.approval_id, finance, approve=True, now=NOW)
    assert await halves(member_id) == (0, 0)
    row = await db.fetch_one("SELECT * FROM stored_payout")
    assert row is not None
    assert (row["principal_fen"], row["principal_taken_fen"], row["bonus_taken_fen"]) == (back, 75_000, 15_000)
    with pytest.raises(Refusal) as again:
        await paid_out(member_id, one.id, cause, finance)
    assert again.value.code == "stored_value.paid_out"


async def test_what_was_used_meanwhile_is_not_paid_out() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    one = await topped_up(member_id, paid_at=NOW - timedelta(days=30))
    manager, finance = await employee(Role.MANAGER, await store()), await employee(Role.FINANCE)
    waiting = await paid_out(member_id, one.id, Cause.CONSUMER, manager)
    await used(member_id, 10_000)
    with pytest.raises(Refusal) as changed:
        async with db.unit_of_work():
            await payouts.decide(waiting.approval_id, finance, approve=True, now=NOW)
    assert changed.value.code == "stored_value.payout_changed"
    assert await halves(member_id) == (91_667, 18_333)


async def test_small_payouts_need_one_person_and_the_seven_days_no_reason() -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    manager = await employee(Role.MANAGER, await store())
    fresh, old = await topped_up(member_id, 20_000), await topped_up(member_id, 30_000, paid_at=NOW - timedelta(days=8))
    assert [one.cause for one in await payouts.preview(fresh.id, member_id, now=NOW)] == [
        Cause.WITHDRAWAL,
        Cause.MERCHANT,
        Cause.CONSUMER,
    ]
    with pytest.raises(Refusal) as late:
        await paid_out(member_id, old.id, Cause.WITHDRAWAL, manager)
    assert late.value.code == "stored_value.withdrawal_over"
    done = await paid_out(member_id, fresh.id, Cause.WITHDRAWAL, manager)
    assert isinstance(done, PaidOut)
    assert done.calculation.total_fen == 20_000
    assert await halves(member_id) == (30_000, 0)


async def test_members_who_become_one_keep_everything_and_returns_find_their_way() -> None:
    await keeps_stored_value()
    gone, stays = await registered("13800138000"), await registered("13800138001")
    first = await topped_up(gone)
    await topped_up(stays, 50_000)
    purchase = await paid_with_stored_value(gone)
    async with db.unit_of_work():
        await merges.merge(gone, stays, reason="test", now=NOW)
    assert await halves(stays) == (130_000, 26_000)
    new = NewRefund(
        source="till",
        external_id="r",
        purchase_source=purchase.source,
        purchase_external_id=purchase.external_id,
        occurred_at=NOW,
        amount_fen=30_000,
    )
    async with db.unit_of_work():
        assert (await refund(new, principal=ADMIN, now=NOW)).stored_fen == 24_000
    assert await halves(stays) == (150_000, 30_000)
    whole = {one.id: one for one in await read.slices(stays)}[first.id]
    assert (whole.consumed_fen, whole.principal_left_fen, whole.bonus_left_fen) == (0, 100_000, 20_000)


async def use_often(member_id: int, place: int, times: int) -> Counter[str]:
    heard: Counter[str] = Counter()

    async def one(number: int) -> None:
        key = f"u:{place}:{number}"
        asked = Use(member_id=member_id, key=key, amount_fen=999, list_fen=999, permit_key=key, occurred_at=NOW)
        try:
            async with db.unit_of_work():
                await stored.use(asked, now=NOW)
        except StoredValueShort:
            heard["short"] += 1
        else:
            heard["paid"] += 1

    await side_by_side([one(number) for number in range(times)])
    return heard


async def credit_often(member_id: int, times: int) -> Counter[str]:
    async def one() -> None:
        async with db.unit_of_work():
            await stored.credit(a_top_up(member_id, 100_000, key="same"), now=NOW)

    await side_by_side([one() for _ in range(times)])
    return Counter(credited=times)


async def test_a_storm_of_payments_from_four_processes_never_spends_more_than_there_is(database_url: str) -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await topped_up(member_id)
    heard = tally(await at_once(database_url, use_often, [(member_id, place, 50) for place in range(4)]))
    assert heard == Counter(paid=120, short=80)
    assert sum(await halves(member_id)) == 120_000 - 120 * 999


async def test_one_receipt_from_four_processes_is_one_top_up(database_url: str) -> None:
    await keeps_stored_value()
    member_id = await registered("13800138000")
    await at_once(database_url, credit_often, [(member_id, 20) for _ in range(4)])
    assert await halves(member_id) == (100_000, 20_000)
