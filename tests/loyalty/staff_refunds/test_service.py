"""Refunds by staff: what the preview shows is what happens, once; above a limit another agrees to exactly that."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import OwnMembership, OwnRequest, PartnerPrincipal, Role, StaffPrincipal
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown, PayloadChanged
from loyalty.decisions import service as decisions
from loyalty.errors import Forbidden
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.ledger import service as posting
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import Discount, Line, Receipt
from loyalty.refunds import service as straight
from loyalty.refunds.service import NewRefund, PurchaseUnknown, RefundTooLarge, RefundTooLate
from loyalty.staff_refunds import service as refunds
from loyalty.staff_refunds.service import Goods, NewReturn, Preview, QuoteChanged, Returned, ReturnKeyReused
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import NOW, bought, employee, store

pytestmark = pytest.mark.usefixtures("database")

LESS_50 = Receipt(
    lines=(
        Line(no=1, list_fen=20_000, amount_fen=17_143),
        Line(no=2, list_fen=15_000, amount_fen=12_857),
    ),
    discounts=(Discount(code="满300减50", off_fen=5_000, min_spend_fen=30_000),),
)


class Shop:
    store_id: int
    manager: StaffPrincipal
    other: StaffPrincipal


@pytest.fixture
async def shop() -> Shop:
    made = Shop()
    made.store_id = await store()
    made.manager = await employee(Role.MANAGER, made.store_id)
    made.other = await employee(Role.MANAGER, made.store_id)
    return made


async def sold(shop: Shop, amount_fen: int = 10_000, **values: Any) -> PurchaseView:
    return await bought(await guest(), amount_fen, store_id=shop.store_id, **values)


async def look(purchase: PurchaseView, principal: StaffPrincipal, **goods: object) -> list[Preview]:
    async with db.unit_of_work():
        return await refunds.preview(Goods(purchase_id=purchase.id, **goods), principal=principal, now=NOW)  # type: ignore[arg-type]


def a_return(purchase: PurchaseView, money_fen: int, **goods: object) -> NewReturn:
    return NewReturn(
        goods=Goods(purchase_id=purchase.id, **goods),  # type: ignore[arg-type]
        method="readjudicate",
        money_fen=money_fen,
        reason="质量问题",
    )


async def give_back(new: NewReturn, principal: StaffPrincipal, key: str = "k") -> Returned:
    async with db.unit_of_work():
        return await refunds.refund(new, principal=principal, key=key, now=NOW)


async def decide(approval_id: str | None, principal: StaffPrincipal, *, approve: bool = True) -> ApprovalView:
    assert approval_id is not None
    async with db.unit_of_work():
        return await decisions.decide(approval_id, principal, approve=approve, now=NOW)


async def sound() -> None:
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []


async def count_refunds() -> int:
    found: int = await db.fetch_value("SELECT count(*) FROM refund")
    return found


async def test_case_54_both_methods_are_shown_before_anything_happens(shop: Shop) -> None:
    purchase = await sold(shop, 30_000, receipt=LESS_50)
    points = (await ledger.balances([purchase.member_id], at=NOW))[purchase.member_id].points
    judged, shared = await look(purchase, shop.manager, lines={2: 1})
    assert (judged.method, judged.done.money_fen) == ("readjudicate", 10_000)
    assert [(one.code, one.fate) for one in judged.discounts] == [("满300减50", "lost")]
    assert (shared.method, shared.done.money_fen) == ("proportional", 12_857)
    assert [one.fate for one in shared.discounts] == ["kept"]
    assert await count_refunds() == 0
    assert await db.fetch_value("SELECT count(*) FROM audit_entry WHERE action = 'purchase.refund'") == 0
    assert (await ledger.balances([purchase.member_id], at=NOW))[purchase.member_id].points == points
    done = await give_back(a_return(purchase, 10_000, lines={2: 1}), shop.manager)
    assert done.refund is not None
    assert (done.refund.money_fen, done.refund.points_taken) == (10_000, judged.done.points_taken)
    whole = await look(purchase, shop.manager)
    assert [one.fate for one in whole[0].discounts] == ["used_up"]
    await sound()


async def test_the_preview_says_what_the_policy_will_forgive(shop: Shop) -> None:
    purchase = await sold(shop)
    async with db.unit_of_work():
        await straight_spend(purchase.member_id, 70)
    first, _ = await look(purchase, shop.manager)
    assert (first.done.points_taken, first.done.points_forgiven) == (30, 70)
    done = await give_back(a_return(purchase, 10_000), shop.manager)
    assert done.refund is not None
    assert (done.refund.points_taken, done.refund.points_forgiven) == (30, 70)
    await sound()


async def straight_spend(member_id: int, points: int) -> None:
    await posting.post_one(
        posting.Spend(
            member_id=member_id, asset=posting.Asset.POINTS, amount=points, key="s", kind="test", occurred_at=NOW
        ),
        now=NOW,
    )


async def test_above_the_limit_it_waits_and_is_carried_out_exactly(shop: Shop) -> None:
    purchase = await sold(shop, 60_000)
    assert (await look(purchase, shop.manager))[0].needs_another
    waiting = await give_back(a_return(purchase, 60_000), shop.manager)
    assert (waiting.status, waiting.refund) == ("pending", None)
    assert await count_refunds() == 0
    with pytest.raises(OwnRequest):
        await decide(waiting.approval, shop.manager)
    await decide(waiting.approval, shop.other)
    again = await give_back(a_return(purchase, 60_000), shop.manager)
    assert (again.status, again.replayed) == ("posted", True)
    assert again.refund is not None
    assert again.refund.money_fen == 60_000
    assert await count_refunds() == 1
    await sound()


async def test_refused_nothing_is_refunded_and_the_day_is_free_again(shop: Shop) -> None:
    purchase = await sold(shop, 500_000)
    waiting = await give_back(a_return(purchase, 500_000), shop.manager)
    await decide(waiting.approval, shop.other, approve=False)
    assert (await give_back(a_return(purchase, 500_000), shop.manager)).status == "refused"
    small = await sold(shop, 10_000)
    assert (await give_back(a_return(small, 10_000), shop.manager, "small")).status == "posted"
    async with db.unit_of_work():
        assert await decisions.expire_due(now=NOW + timedelta(days=2), batch_max=5) == 0
    await sound()


async def test_an_approval_is_void_when_other_goods_came_back_meanwhile(shop: Shop) -> None:
    purchase = await sold(shop, 60_000)
    waiting = await give_back(a_return(purchase, 60_000), shop.manager)
    assert (await give_back(a_return(purchase, 10_000, amount_fen=10_000), shop.other, "part")).status == "posted"
    with pytest.raises(RefundTooLarge):
        await decide(waiting.approval, shop.other)
    assert await count_refunds() == 1
    await decide(waiting.approval, shop.other, approve=False)
    await sound()


async def test_a_request_that_was_altered_cannot_be_approved(shop: Shop) -> None:
    purchase = await sold(shop, 100_000)
    waiting = await give_back(a_return(purchase, 60_000, amount_fen=60_000), shop.manager)
    await db.execute("UPDATE approval SET payload = jsonb_set(payload, '{amount_fen}', '100000')")
    with pytest.raises(PayloadChanged):
        await decide(waiting.approval, shop.other)
    assert await count_refunds() == 0


async def test_what_is_confirmed_is_what_was_shown_or_nothing(shop: Shop) -> None:
    purchase = await sold(shop, 30_000, receipt=LESS_50)
    for key, money_fen in (("at once", 12_857), ("over the limit", 60_000)):
        with pytest.raises(QuoteChanged) as refused:
            await give_back(a_return(purchase, money_fen, lines={2: 1}), shop.manager, key)
        assert refused.value.params == {"shown_fen": money_fen, "money_fen": 10_000}
    assert await count_refunds() == 0
    assert await db.fetch_value("SELECT count(*) FROM refund_request") == 0


async def test_splitting_ends_at_the_day(shop: Shop) -> None:
    purchase = await sold(shop, 1_000_000)
    statuses = [
        (await give_back(a_return(purchase, 50_000, amount_fen=50_000), shop.manager, f"{n}")).status for n in range(12)
    ]
    assert Counter(statuses) == {"posted": 10, "pending": 2}
    await sound()


async def test_one_key_at_once_from_four_processes_refunds_once(database_url: str, shop: Shop) -> None:
    purchase = await sold(shop)
    arguments = [(shop.manager.staff_id, shop.store_id, purchase.id, ["same"] * 20) for _ in range(4)]
    assert tally(await at_once(database_url, give_back_often, arguments)) == {"posted": 1, "posted!": 79}
    assert await count_refunds() == 1
    await sound()


async def test_many_keys_at_once_refund_no_more_than_was_paid(database_url: str, shop: Shop) -> None:
    purchase = await sold(shop)
    arguments = [
        (shop.manager.staff_id, shop.store_id, purchase.id, [f"{part}-{n}" for n in range(4)]) for part in range(4)
    ]
    heard = tally(await at_once(database_url, give_back_often, arguments))
    assert heard == {"posted": 1, "RefundTooLarge": 15}
    assert await count_refunds() == 1
    await sound()


async def give_back_often(staff_id: int, store_id: int, purchase_id: int, keys: list[str]) -> dict[str, int]:
    """What one process of the race hears."""
    manager = StaffPrincipal(staff_id=staff_id, role=Role.MANAGER, store_id=store_id)
    new = NewReturn(
        goods=Goods(purchase_id=purchase_id, amount_fen=10_000), method="readjudicate", money_fen=10_000, reason="r"
    )

    async def once(key: str) -> str:
        try:
            done = await give_back(new, manager, key)
        except RefundTooLarge as refused:
            return type(refused).__name__
        return f"{done.status}{'!' if done.replayed else ''}"

    return Counter(await side_by_side(once(key) for key in keys))


async def test_who_may_not_and_what_is_not_there(shop: Shop) -> None:
    purchase = await sold(shop)
    elsewhere = await employee(Role.MANAGER, await store())
    for stranger in (elsewhere, shop.manager):
        unknown = replace(purchase, id=purchase.id if stranger is elsewhere else 999)
        with pytest.raises(PurchaseUnknown):
            await look(unknown, stranger)
    with pytest.raises(OwnMembership):
        await look(purchase, await employee(Role.MANAGER, shop.store_id, member_id=purchase.member_id))
    with pytest.raises(Forbidden):
        await look(purchase, await employee(Role.CLERK, shop.store_id))
    waiting = await give_back(a_return(await sold(shop, 60_000), 60_000), shop.manager)
    with pytest.raises(ApprovalUnknown):
        await decide(waiting.approval, elsewhere)
    with pytest.raises(RefundTooLarge):
        await look(purchase, shop.manager, amount_fen=10_001)


async def test_too_late_is_said_before_it_is_confirmed(shop: Shop) -> None:
    purchase = await sold(shop)
    async with db.unit_of_work():
        with pytest.raises(RefundTooLate):
            await refunds.preview(
                Goods(purchase_id=purchase.id), principal=shop.manager, now=NOW + timedelta(days=3_661)
            )


async def test_a_key_stands_for_one_refund(shop: Shop) -> None:
    purchase = await sold(shop)
    await give_back(a_return(purchase, 5_000, amount_fen=5_000), shop.manager)
    with pytest.raises(ReturnKeyReused):
        await give_back(a_return(purchase, 4_000, amount_fen=4_000), shop.manager)


async def test_tills_do_not_wait_and_are_on_record(shop: Shop) -> None:
    purchase = await sold(shop, 6_000_000)
    till = PartnerPrincipal(7, shop.store_id)
    new = NewRefund(
        source="till",
        external_id="r",
        purchase_source=purchase.source,
        purchase_external_id=purchase.external_id,
        occurred_at=NOW,
        amount_fen=6_000_000,
    )
    async with db.unit_of_work():
        await straight.refund(new, principal=till, now=NOW)
    row = await db.fetch_one("SELECT actor_kind, actor_id FROM audit_entry WHERE action = 'purchase.refund'")
    assert row is not None
    assert tuple(row) == ("partner", 7)
