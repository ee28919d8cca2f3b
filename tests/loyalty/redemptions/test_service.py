"""Redeeming: once, in the right store, by the right person, and no oracle for guessers."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from loyalty import codes, db
from loyalty.access import OtherStore, OwnMembership, Role, StaffPrincipal
from loyalty.attempts.service import TooManyMisses
from loyalty.codes import CodeMistyped
from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, PercentOff, discount_fen
from loyalty.coupons import queries
from loyalty.coupons import service as coupons
from loyalty.coupons.rules import code_of
from loyalty.coupons.service import ClaimRequest
from loyalty.errors import Forbidden, Refusal
from loyalty.redemptions import service as redemptions
from loyalty.redemptions.service import (
    AlreadyRedeemed,
    CouponOver,
    CouponUnknown,
    CouponVoid,
    Redeemed,
    RedemptionInvalid,
    RedemptionKeyReused,
    SpendTooLow,
    Till,
    UndoTooLate,
    WrongStore,
)
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import NOW, employee, store, template

pytestmark = pytest.mark.usefixtures("database")

MEMBER = 1


async def a_coupon(member_id: int = MEMBER, **values: Any) -> int:
    """The id of a member's new coupon."""
    offer = await template(**values)
    async with db.unit_of_work():
        claimed = await coupons.claim_one(ClaimRequest(member_id=member_id, template_id=offer.id), now=NOW)
    return claimed.coupon_id


async def a_till(key: str = "order-1", role: Role = Role.CLERK, **values: Any) -> Till:
    store_id = await store()
    principal = await employee(role, store_id, member_id=values.pop("member_id", None))
    return Till(principal=principal, store_id=store_id, key=key, **values)


async def typed(code: str, till: Till, *, now: Any = NOW) -> Redeemed | CouponUnknown:
    async with db.unit_of_work():
        return await redemptions.redeem_code(code, till, now=now)


async def shown(coupon_id: int, till: Till, *, member_id: int = MEMBER) -> Redeemed:
    async with db.unit_of_work():
        return await redemptions.redeem(coupon_id, till, member_id=member_id, now=NOW)


async def test_a_code_redeems_once_and_leaves_event_and_audit() -> None:
    coupon_id, till = await a_coupon(), await a_till(order_fen=5_000)
    done = await typed(code_of(coupon_id).lower(), till)
    assert isinstance(done, Redeemed)
    assert (done.coupon.status, done.discount_fen, done.replayed) == ("redeemed", 1_000, False)
    with pytest.raises(AlreadyRedeemed) as refused:
        await typed(code_of(coupon_id), replace(till, key="order-2"))
    assert refused.value.params["redeemed_at"] == NOW
    assert refused.value.params["store"]
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'coupon.redeemed'") == 1
    assert isinstance(till.principal, StaffPrincipal)
    row = await db.fetch_one("SELECT actor_id, member_id, store_id FROM audit_entry WHERE action = 'coupon.redeem'")
    assert row is not None
    assert tuple(row) == (till.principal.staff_id, MEMBER, till.store_id)


async def test_the_same_order_again_gets_the_same_answer() -> None:
    coupon_id, till = await a_coupon(), await a_till()
    await typed(code_of(coupon_id), till)
    again = await typed(code_of(coupon_id), till)
    assert isinstance(again, Redeemed)
    assert again.replayed
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'coupon.redeemed'") == 1


async def test_one_order_key_does_not_redeem_two_coupons() -> None:
    till = await a_till()
    await typed(code_of(await a_coupon()), till)
    with pytest.raises(RedemptionKeyReused):
        await typed(code_of(await a_coupon()), till)


async def test_two_stores_may_have_orders_of_the_same_number() -> None:
    await typed(code_of(await a_coupon()), await a_till("1001"))
    assert isinstance(await typed(code_of(await a_coupon()), await a_till("1001")), Redeemed)


async def test_every_reason_against_it() -> None:
    till = await a_till(order_fen=900)
    over = await a_coupon(valid_days=1)
    with pytest.raises(CouponOver):
        await typed(code_of(over), till, now=NOW + timedelta(days=1))
    with pytest.raises(WrongStore):
        await typed(code_of(await a_coupon(store_ids=(till.store_id + 1,))), till)
    with pytest.raises(SpendTooLow) as low:
        await typed(code_of(await a_coupon(min_spend_fen=1_000)), till)
    assert low.value.params == {"min_spend_fen": 1_000}
    void = await a_coupon(member_id=77)
    await coupons.void_all([77])
    with pytest.raises(CouponVoid):
        await typed(code_of(void), till)
    for wrong in (replace(till, key=""), replace(till, key="x" * 97), replace(till, order_fen=-1)):
        with pytest.raises(RedemptionInvalid):
            await typed(code_of(await a_coupon()), wrong)


async def test_a_coupon_of_this_store_is_taken_here() -> None:
    till = await a_till()
    assert isinstance(await typed(code_of(await a_coupon(store_ids=(till.store_id,))), till), Redeemed)


async def test_who_may_not() -> None:
    coupon_id = await a_coupon()
    own = await a_till(member_id=MEMBER)
    with pytest.raises(OwnMembership):
        await typed(code_of(coupon_id), own)
    with pytest.raises(OwnMembership):
        await shown(coupon_id, own)
    elsewhere = replace(await a_till(), store_id=own.store_id)
    with pytest.raises(OtherStore):
        await typed(code_of(coupon_id), elsewhere)
    with pytest.raises(Forbidden):
        await typed(code_of(coupon_id), await a_till(role=Role.FINANCE))
    assert (await queries.mine(MEMBER, at=NOW))[0].status == "issued"


async def test_a_foreign_coupon_is_as_unknown_as_none() -> None:
    till = await a_till()
    answers = []
    for coupon_id in (await a_coupon(member_id=2), 10**9):
        with pytest.raises(CouponUnknown) as refused:
            await shown(coupon_id, till)
        answers.append((refused.value.code, refused.value.params, refused.value.status))
    assert answers[0] == answers[1]


async def test_guessing_stops_after_five_misses_even_for_a_right_code() -> None:
    till, coupon_id = await a_till(), await a_coupon()
    for number in range(5):
        assert isinstance(await typed(codes.encode(10**12 + number, use="coupon"), till), CouponUnknown)
    with pytest.raises(TooManyMisses):
        await typed(code_of(coupon_id), till)
    assert isinstance(await typed(code_of(coupon_id), till, now=NOW + timedelta(minutes=10)), Redeemed)


async def test_a_burst_of_thirty_guesses_at_one_moment_counts_like_thirty_in_a_row() -> None:
    till = await a_till()

    async def guess(number: int) -> str:
        try:
            return type(await typed(codes.encode(10**12 + number, use="coupon"), till)).__name__
        except TooManyMisses as refusal:
            return type(refusal).__name__

    heard = Counter(await side_by_side(guess(number) for number in range(30)))
    assert heard == {"CouponUnknown": 5, "TooManyMisses": 25}


async def test_a_slip_of_the_hand_is_no_guess_and_asks_no_database() -> None:
    till, code = await a_till(), code_of(await a_coupon())
    wrong = ("0" if code[0] != "0" else "1") + code[1:]
    for _ in range(10):
        with pytest.raises(CodeMistyped):
            await typed(wrong, till)
    assert isinstance(await typed(code, till), Redeemed)


async def test_a_hundred_thousand_random_codes_hit_nothing() -> None:
    coupon_id = await a_coupon()
    opened = {codes.decode(codes.encode(number, use="guess"), use="guess") for number in range(1000)}
    assert len(opened) == 1000
    live = {code_of(known) for known in range(1, coupon_id + 1)}
    assert not live & {codes.encode(number, use="guess") for number in range(100_000)}


async def test_a_manager_undoes_on_the_same_business_day() -> None:
    coupon_id, till = await a_coupon(), await a_till(role=Role.MANAGER)
    await typed(code_of(coupon_id), till)
    manager = till.principal
    assert isinstance(manager, StaffPrincipal)
    with pytest.raises(RedemptionInvalid):
        await undo(coupon_id, manager, reason=" ")
    with pytest.raises(Forbidden):
        await undo(coupon_id, await employee(Role.CLERK, till.store_id))
    with pytest.raises(CouponUnknown):
        await undo(coupon_id, await employee(Role.MANAGER, await store()))
    # 12:00 in Shanghai; the business day ends twelve hours later.
    with pytest.raises(UndoTooLate):
        await undo(coupon_id, manager, now=NOW + timedelta(hours=12))
    assert (await undo(coupon_id, manager)).status == "issued"
    with pytest.raises(UndoTooLate):
        await undo(coupon_id, manager)
    assert isinstance(await typed(code_of(coupon_id), replace(till, key="order-2")), Redeemed)
    assert await db.fetch_value("SELECT reason FROM audit_entry WHERE action = 'coupon.undo'") == "退单"


async def undo(
    coupon_id: int, principal: StaffPrincipal, *, reason: str = "退单", now: Any = NOW
) -> queries.CouponView:
    async with db.unit_of_work():
        return await redemptions.undo(coupon_id, principal=principal, reason=reason, now=now)


async def redeem_often(code: str, staff_id: int, store_id: int, keys: list[str]) -> dict[str, int]:
    """What one process of the race hears."""
    principal = StaffPrincipal(staff_id=staff_id, role=Role.CLERK, store_id=store_id)

    async def once(key: str) -> str:
        try:
            done = await typed(code, Till(principal=principal, store_id=store_id, key=key))
        except Refusal as refusal:
            return type(refusal).__name__
        return f"replayed={done.replayed}" if isinstance(done, Redeemed) else type(done).__name__

    return Counter(await side_by_side(once(key) for key in keys))


async def test_many_orders_at_once_from_four_processes_redeem_one_coupon_once(database_url: str) -> None:
    coupon_id, tills = await a_coupon(), [await a_till() for _ in range(4)]
    arguments = [
        (code_of(coupon_id), till.principal.staff_id, till.store_id, [f"{place}-{n}" for n in range(50)])
        for place, till in enumerate(tills)
        if isinstance(till.principal, StaffPrincipal)
    ]
    heard = tally(await at_once(database_url, redeem_often, arguments))
    assert heard == {"replayed=False": 1, "AlreadyRedeemed": 199}


async def test_a_thousand_equal_orders_at_once_have_one_effect(database_url: str) -> None:
    coupon_id, till = await a_coupon(), await a_till()
    assert isinstance(till.principal, StaffPrincipal)
    arguments = [(code_of(coupon_id), till.principal.staff_id, till.store_id, ["order"] * 250) for _ in range(4)]
    heard = tally(await at_once(database_url, redeem_often, arguments))
    assert heard == {"replayed=False": 1, "replayed=True": 999}
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'coupon.redeemed'") == 1


@pytest.mark.parametrize(
    ("worth", "order_fen", "off_fen"),
    [
        (PercentOff(percent_off=20, cap_fen=3_000), 20_000, 3_000),
        (PercentOff(percent_off=20), 20_000, 4_000),
        (PercentOff(percent_off=15), 99, 14),
        (PercentOff(percent_off=100), 500, 500),
        (AmountOff(off_fen=1_000), 900, 900),
        (AmountOff(off_fen=1_000), 0, 0),
        (Gift(item={"en": "Mug"}), 900, 0),
        (Exchange(item={"en": "Latte"}), 900, 0),
    ],
)
def test_what_a_coupon_takes_off(worth: AmountOff | PercentOff | Gift | Exchange, order_fen: int, off_fen: int) -> None:
    assert discount_fen(worth, order_fen) == off_fen
