"""Personal values in the clear leave a trace, and minors are protected."""

from datetime import date

import pytest

from loyalty import db
from loyalty.access import MemberPrincipal, Role, StaffPrincipal
from loyalty.audit import queries as audit
from loyalty.errors import Bug
from loyalty.members import service as members
from loyalty.members.service import MemberGone
from loyalty.reveals import service as reveals
from loyalty.reveals.service import MinorProtected
from tests.loyalty.people import NOW, registered

pytestmark = pytest.mark.usefixtures("database")
MANAGER = StaffPrincipal(staff_id=3, role=Role.MANAGER, store_id=1)


async def test_who_saw_what_and_why_is_on_record() -> None:
    member_id = await registered("+8613800138000")
    async with db.unit_of_work():
        assert await reveals.reveal(member_id, "phone", actor=MANAGER, purpose="parcel", now=NOW) == "+8613800138000"
    (row,) = await audit.about_member(member_id)
    assert (row.actor_kind, row.actor_id, row.action, row.reason) == ("staff", 3, "member.reveal", "parcel")
    assert "13800138000" not in str(row)


async def test_a_value_never_given_is_none() -> None:
    member_id = await registered()
    async with db.unit_of_work():
        assert await reveals.reveal(member_id, "name", actor=MANAGER, purpose="parcel", now=NOW) is None


async def test_nobody_looks_without_a_purpose() -> None:
    member_id = await registered()
    with pytest.raises(Bug):
        await reveals.reveal(member_id, "name", actor=MANAGER, purpose=" ", now=NOW)


async def test_a_member_sees_only_themselves() -> None:
    member_id, other = await registered(name="甲"), await registered(name="乙")
    with pytest.raises(MemberGone):
        await reveals.reveal(member_id, "name", actor=MemberPrincipal(other), purpose="look", now=NOW)


async def test_staff_see_a_minor_only_with_an_approval() -> None:
    member_id = await registered(name="小明")
    async with db.unit_of_work():
        await members.set_birthday(member_id, date(2014, 1, 1), now=NOW)
    async with db.unit_of_work():
        with pytest.raises(MinorProtected):
            await reveals.reveal(member_id, "name", actor=MANAGER, purpose="parcel", now=NOW)
        seen = await reveals.reveal(member_id, "name", actor=MANAGER, purpose="parcel", now=NOW, approval_id="a1")
    assert seen == "小明"
    assert (await audit.about_member(member_id))[0].details["approval"] == "a1"
