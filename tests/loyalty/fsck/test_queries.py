"""Every invariant holds after a full day of the product's own verbs, and names the row that somebody broke by hand."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.audit import chain
from loyalty.check_ins import service as check_ins
from loyalty.coupons import service as coupons
from loyalty.fsck import queries as fsck
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Hold, Reverse, Spend
from loyalty.refunds import service as refunds
from loyalty.refunds.service import NewRefund
from loyalty.takings import service as takings
from loyalty.tiers import service as tiers
from tests.loyalty import shop
from tests.loyalty.mall.goods import codes_on_offer, exchanged, on_offer
from tests.loyalty.payments.test_service import asked_for, receipt
from tests.loyalty.people import NOW, registered
from tests.loyalty.stored_value.wallets import keeps_stored_value, used

pytestmark = pytest.mark.usefixtures("database")

# What somebody with all rights would have to do, per invariant; triggers are switched off for it.
BREAKS = {
    "balance_equals_postings": "UPDATE ledger_balance SET available = available + 1 WHERE asset = 'points'",
    "balance_equals_holds": "UPDATE ledger_hold SET state = 'voided', resolved_at = created_at",
    "hold_equals_postings": "UPDATE ledger_hold SET amount = amount + 1",
    "debts_are_paid_first": "UPDATE ledger_balance SET arrears = 1 WHERE asset = 'growth'",
    "balance_equals_lots": "UPDATE ledger_lot SET state = 'pending', event = 'never' WHERE remaining > 0",
    "lot_equals_postings": "UPDATE ledger_lot SET remaining = remaining - 1 WHERE remaining > 0",
    "entry_equals_postings": "DELETE FROM ledger_posting",
    "statement_readds": "UPDATE ledger_entry SET balance_after = balance_after + 1 WHERE asset = 'points'",
    "statement_ends_at_balance": "UPDATE ledger_balance SET available = available + 1",
    "ends_equal_plan": "UPDATE ledger_lot SET remaining = remaining - 1 WHERE remaining > 0",
    "unused_equals_postings": "UPDATE ledger_lot SET unused = 1 WHERE remaining < original",
    "transfers_arrive": "UPDATE ledger_posting SET source = 'transfer' WHERE source = 'issued'",
    "reversals_within_original": "UPDATE ledger_entry SET amount = 1 WHERE key = 'test:spend'",
    "coupons_equal_issued": "DELETE FROM coupon",
    "check_ins_paid_once": "UPDATE ledger_entry SET key = key || '?' WHERE kind = 'check_in'",
    "refunds_equal_purchase": "UPDATE purchase SET refunded_fen = 1",
    "one_open_tier": (
        "ALTER TABLE tier_interval DROP CONSTRAINT tier_held_once;"
        " UPDATE tier_interval SET ends_at = starts_at - interval '1 day'"
    ),
    "tiers_held_are_stood": "UPDATE tier_standing SET tier = 'nobody'",
    "identities_lead_to_living_members": "UPDATE channel_identity SET member_id = 999999",
    "members_have_key_and_accounts": "UPDATE member_key SET wrapped_key = NULL",
    "closed_members_hold_nothing_personal": "UPDATE member SET status = 'closed'",
    "stored_uses_equal_parts": "UPDATE stored_use SET returned_fen = 1",
    "stored_slices_equal_lots": "UPDATE stored_slice SET paid_fen = paid_fen + 1",
    "payments_bought_once": "UPDATE stored_slice SET key = key || '?'",
    "mall_stock_is_its_orders": "UPDATE mall_item SET taken = taken - 1 WHERE taken > 0",
    "mall_codes_have_one_order": "UPDATE mall_code SET order_id = NULL",
    "mall_points_are_booked": "UPDATE mall_order SET points = points + 1",
    "pending_events_exist": "INSERT INTO event_pending (event_id, due_at, attempts) VALUES (999999, now(), 0)",
    "audit_chain_holds": "INSERT INTO audit_pending (id) VALUES (999999)",
    "requests_and_approvals_agree": (
        "INSERT INTO point_deduction (id, staff_id, key, member_id, points, reason, day, status, created_at)"
        " VALUES (999999, 1, 'k', 1, 1, 'r', '2026-11-21', 'pending', now())"
    ),
}


# What they name is not of a member.
NAMELESS = {
    "audit_chain_holds",
    "coupons_equal_issued",
    "mall_codes_have_one_order",
    "mall_points_are_booked",
    "mall_stock_is_its_orders",
    "payments_bought_once",
    "pending_events_exist",
    "refunds_equal_purchase",
    "stored_uses_equal_parts",
    "transfers_arrive",
}


class UndoneOnPurpose(Exception):
    """Takes the damage back."""


async def a_day() -> int:
    """A member who checked in, bought, got money back, claimed, spent, got that back, and rose."""
    member_id = await registered("+8613800138000", name="甲")
    template = await shop.template(stock=10)
    async with db.unit_of_work():
        await check_ins.check_in(member_id, now=NOW)
        await coupons.claim([coupons.ClaimRequest(member_id=member_id, template_id=template.id, key="k")], now=NOW)
    bought = await shop.bought(member_id, 60_000)
    given_back = NewRefund(
        source="till",
        external_id="r1",
        purchase_source=bought.source,
        purchase_external_id=bought.external_id,
        amount_fen=10_000,
        occurred_at=NOW,
    )
    async with db.unit_of_work():
        await refunds.refund(given_back, principal=shop.ADMIN, now=NOW)
        for movement in _movements(member_id):
            await ledger.post_one(movement, now=NOW + timedelta(minutes=1))
        await tiers.review([member_id], now=NOW + timedelta(minutes=2))
    await _stores_and_uses(member_id)
    await _exchanges(member_id)
    async with db.unit_of_work():
        assert await chain.seal(now=NOW, batch_max=100) > 0
    return member_id


async def _stores_and_uses(member_id: int) -> None:
    await keeps_stored_value()
    payment = await asked_for(100_000, member_id=member_id)
    async with db.unit_of_work():
        await takings.take(receipt(payment), now=NOW)
    await used(member_id, 30_000)


async def _exchanges(member_id: int) -> None:
    await on_offer()
    await codes_on_offer("ABCD-1234")
    for item in ("mug", "vip"):
        await exchanged(member_id, item, key=item)


def _movements(member_id: int) -> list[ledger.Operation]:
    points: dict[str, Any] = {"member_id": member_id, "asset": Asset.POINTS, "kind": "test", "occurred_at": NOW}
    return [
        Grant(key="test:grant", amount=100, **points),
        Spend(key="test:spend", amount=60, **points),
        Reverse(key="test:reverse", reverses_key="test:spend", **points),
        Hold(key="test:hold", amount=10, expires_at=NOW + timedelta(hours=1), **points),
    ]


async def broken() -> dict[str, tuple[str, ...]]:
    return {finding.invariant.name: finding.broken async for finding in fsck.check_all() if finding.broken}


async def broken_by(statement: str) -> dict[str, tuple[str, ...]]:
    """What fsck finds after `statement`, which is then undone."""
    found: dict[str, tuple[str, ...]] = {}
    with suppress(UndoneOnPurpose):
        async with db.unit_of_work():
            await db.execute("SET LOCAL session_replication_role = replica")
            assert await db.execute(statement) > 0, "nothing was there to break"
            found = await broken()
            raise UndoneOnPurpose
    return found


async def test_a_day_of_verbs_breaks_nothing_and_each_break_is_named() -> None:
    member_id = await a_day()
    assert await broken() == {}
    for name, statement in BREAKS.items():
        found = await broken_by(statement)
        assert name in found, name
        assert name in NAMELESS or f"member {member_id}" in found[name][0] or "999999" in found[name][0], found[name]
    assert await broken() == {}


async def test_a_sample_finds_the_same_of_some_members() -> None:
    member_id = await a_day()
    looked_at, findings = await fsck.check_some(members_max=50)
    assert (looked_at, findings) == (1, [])
    alone = {invariant.name for invariant in fsck.INVARIANTS if invariant.of_members is not None}
    for name in alone:
        with suppress(UndoneOnPurpose):
            async with db.unit_of_work():
                await db.execute("SET LOCAL session_replication_role = replica")
                await db.execute(BREAKS[name])
                _, findings = await fsck.check_some(members_max=50)
                raise UndoneOnPurpose
        rows = {finding.invariant.name: finding.broken for finding in findings}
        assert f"member {member_id}" in rows[name][0]


def test_every_invariant_is_broken_once() -> None:
    assert {invariant.name for invariant in fsck.INVARIANTS} == set(BREAKS)


async def test_history_cannot_be_changed_without_switching_the_guard_off() -> None:
    await a_day()
    for table in ("ledger_entry", "ledger_posting", "event"):
        with pytest.raises(Exception, match="never changed or removed"):
            await db.execute(f"DELETE FROM {table}")


async def test_no_more_rows_are_named_than_asked() -> None:
    for _ in range(3):
        await registered()
    await db.execute("UPDATE member SET status = 'closed'")
    counts = [len(finding.broken) async for finding in fsck.check_all(limit=2)]
    assert max(counts) == 2
