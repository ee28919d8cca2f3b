"""Life goes on after a merge: facts of the two lead to one set of books."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.access import SystemPrincipal
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import AlreadyCheckedIn
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.merges import service as merges
from loyalty.purchases import service as purchases
from loyalty.purchases.service import NewPurchase
from tests.loyalty.people import NOW, registered

pytestmark = pytest.mark.usefixtures("database")


async def test_one_set_of_books_and_one_check_in_a_day() -> None:
    source, target = await registered(), await registered()
    sale = NewPurchase(source="pos", external_id="1", member_id=source, amount_fen=10000, occurred_at=NOW)
    async with db.unit_of_work():
        await check_ins.check_in(target, now=NOW - timedelta(days=1))
        await check_ins.check_in(source, now=NOW)
        await purchases.record_one(sale, principal=SystemPrincipal("test"), now=NOW)
    before = await ledger.balances([source, target], at=NOW)
    async with db.unit_of_work():
        await merges.merge(source, target, reason="test", now=NOW)
    after = await ledger.balances([source, target], at=NOW)
    assert after[target].points == before[source].points + before[target].points
    assert after[target].growth == before[source].growth + before[target].growth
    assert (after[source].points, after[source].growth) == (0, 0)
    with pytest.raises(AlreadyCheckedIn):
        await check_ins.check_in(target, now=NOW)
    async with db.unit_of_work():
        assert (await check_ins.check_in(target, now=NOW + timedelta(days=1))).streak == 3
    assert not [finding.broken async for finding in fsck.check_all() if finding.broken]
