"""The audit trail: who, what, whom; also refusals; never changed."""

import pytest
from tortoise.exceptions import IntegrityError

from loyalty import db
from loyalty.access import MemberPrincipal, PartnerPrincipal, Resource, Role, StaffPrincipal, SystemPrincipal
from loyalty.audit import queries
from loyalty.audit import service as audit
from loyalty.audit.service import Deed
from loyalty.errors import Forbidden
from tests.loyalty.shop import NOW

pytestmark = pytest.mark.usefixtures("database")

CLERK = StaffPrincipal(staff_id=3, role=Role.CLERK, store_id=1)


async def test_one_row_per_deed_in_order() -> None:
    async with db.unit_of_work():
        await audit.record(
            Deed(principal=CLERK, action="a", member_id=9, store_id=1, details={"points": 5}),
            Deed(principal=PartnerPrincipal(4), action="b", outcome="asked", member_id=9),
            Deed(principal=SystemPrincipal("import"), action="c", details={"rows": 2}),
            Deed(principal=MemberPrincipal(9), action="d", reason="字" * 300),
            now=NOW,
        )
    assert [(row.action, row.actor_kind, row.actor_id) for row in await queries.about_member(9)] == [
        ("b", "partner", 4),
        ("a", "staff", 3),
    ]
    (by_system,) = await queries.by_actor("system", None)
    assert by_system.details == {"by": "import", "rows": 2}
    (by_member,) = await queries.by_actor("member", 9)
    assert by_member.reason == "字" * 200


async def test_a_refusal_is_on_record() -> None:
    async with db.unit_of_work():
        await audit.record_refusal(
            CLERK, "coupon.undo", Forbidden(), resource=Resource(store_id=1, member_id=9), now=NOW
        )
    (row,) = await queries.by_actor("staff", 3)
    assert (row.action, row.outcome, row.reason, row.member_id, row.store_id) == (
        "coupon.undo",
        "refused",
        "forbidden",
        9,
        1,
    )


async def test_pages() -> None:
    async with db.unit_of_work():
        await audit.record(*(Deed(principal=CLERK, action=f"a{n}", member_id=9) for n in range(5)), now=NOW)
    first = await queries.about_member(9, limit=2)
    second = await queries.about_member(9, before_id=first[-1].id, limit=2)
    assert [row.action for row in (*first, *second)] == ["a4", "a3", "a2", "a1"]


async def test_what_is_undone_leaves_no_trace_and_what_is_written_stays() -> None:
    async def refused() -> None:
        async with db.unit_of_work():
            await audit.record(Deed(principal=CLERK, action="a"), now=NOW)
            raise Forbidden

    with pytest.raises(Forbidden):
        await refused()
    assert await queries.by_actor("staff", 3) == []
    async with db.unit_of_work():
        await audit.record(Deed(principal=CLERK, action="a"), now=NOW)
    for change in ("UPDATE audit_entry SET actor_id = 4", "DELETE FROM audit_entry"):
        with pytest.raises(IntegrityError, match="history"):
            await db.execute(change)
