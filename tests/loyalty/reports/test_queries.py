"""A store's day, as its manager sees it and nobody else's."""

from datetime import date, timedelta

import pytest

from loyalty import db
from loyalty.access import OtherStore, Role
from loyalty.coupons import service as coupons
from loyalty.coupons.service import ClaimRequest
from loyalty.errors import Forbidden
from loyalty.points import service as points
from loyalty.redemptions import service as redemptions
from loyalty.redemptions.service import Till
from loyalty.refunds import service as refunds
from loyalty.refunds.service import NewRefund
from loyalty.reports import queries
from loyalty.reports.queries import StoreDay
from tests.loyalty.people import guest
from tests.loyalty.shop import ADMIN, NOW, bought, employee, store, template

pytestmark = pytest.mark.usefixtures("database")


async def test_a_day_of_a_store() -> None:
    store_id, member_id, offer = await store(), await guest(), await template()
    manager, clerk = await employee(Role.MANAGER, store_id), await employee(Role.CLERK, store_id)
    await bought(member_id, 10_000, store_id=store_id)
    second = await bought(member_id, 5_000, store_id=store_id)
    await bought(await guest(), 7_000, store_id=store_id, occurred_at=NOW - timedelta(hours=13))
    await bought(member_id, 9_000, store_id=await store())
    async with db.unit_of_work():
        claimed = await coupons.claim_one(ClaimRequest(member_id=member_id, template_id=offer.id), now=NOW)
        till = Till(principal=clerk, store_id=store_id, key="o1")
        await redemptions.redeem(claimed.coupon_id, till, member_id=member_id, now=NOW)
        await points.grant_points(clerk, member_id, 60, reason="r", key="k", now=NOW)
        await points.grant_points(clerk, member_id, 600, reason="r", key="big", now=NOW)
        await refunds.refund(
            NewRefund(
                source="till",
                external_id="r1",
                purchase_source=second.source,
                purchase_external_id=second.external_id,
                amount_fen=2_000,
                occurred_at=NOW,
            ),
            principal=ADMIN,
            now=NOW,
        )
    assert await queries.store_day(store_id, principal=manager, now=NOW) == StoreDay(
        store_id=store_id,
        day=date(2026, 11, 21),
        purchases=2,
        members=1,
        paid_fen=15_000,
        refunded_fen=2_000,
        redemptions=1,
        points_granted=60,
        approvals_waiting=1,
    )
    yesterday = await queries.store_day(store_id, date(2026, 11, 20), principal=manager, now=NOW)
    assert (yesterday.purchases, yesterday.paid_fen) == (1, 7_000)


async def test_who_may_not_look() -> None:
    store_id = await store()
    with pytest.raises(Forbidden):
        await queries.store_day(store_id, principal=await employee(Role.CLERK, store_id), now=NOW)
    with pytest.raises(OtherStore):
        await queries.store_day(store_id, principal=await employee(Role.MANAGER, await store()), now=NOW)
