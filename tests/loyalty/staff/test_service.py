"""Staff: recognised by corp and account, gone at once when they leave, changes by who may."""

import pytest

from loyalty import db
from loyalty.access import NeedsAnother, PartnerPrincipal, Role, StaffPrincipal
from loyalty.audit import queries as audit
from loyalty.errors import Forbidden
from loyalty.sessions import service as sessions
from loyalty.sessions.service import SessionEnded
from loyalty.staff import queries
from loyalty.staff import service as staff
from tests.loyalty.shop import ADMIN, CORP, NOW, employee, store

pytestmark = pytest.mark.usefixtures("database")


async def add(user_id: str = "zhang", role: Role = Role.CLERK, store_id: int | None = None) -> queries.StaffView:
    async with db.unit_of_work():
        return await staff.add_staff(
            corp_id=CORP, user_id=user_id, name="张三", role=role, store_id=store_id, principal=ADMIN, now=NOW
        )


async def remove(user_id: str) -> bool:
    async with db.unit_of_work():
        return await staff.remove_staff(CORP, user_id, principal=ADMIN, now=NOW)


async def test_recognised_by_corp_and_account_alone() -> None:
    store_id = await store()
    view = await add(store_id=store_id)
    assert await queries.recognise(CORP, "zhang") == StaffPrincipal(view.id, Role.CLERK, store_id)
    assert await queries.recognise("another corp", "zhang") is None
    assert await queries.recognise(CORP, "Zhang") is None


async def test_who_leaves_has_no_rights_and_no_sessions_and_may_come_back() -> None:
    view = await add()
    async with db.unit_of_work():
        opened = await sessions.open_for_staff(view.id, now=NOW)
    assert await remove("zhang")
    assert await queries.recognise(CORP, "zhang") is None
    assert await queries.principal(view.id) is None
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW)
    assert not await remove("zhang")
    assert not await remove("a stranger to us")
    again = await add(role=Role.MANAGER)
    assert (again.id, again.role) == (view.id, Role.MANAGER)
    with pytest.raises(SessionEnded):
        await sessions.principal(opened.token, now=NOW)


async def test_an_account_is_staff_once() -> None:
    await add()
    with pytest.raises(staff.StaffKnown):
        await add()


async def test_a_change_counts_from_the_next_question_on() -> None:
    view, store_id = await add(), await store()
    async with db.unit_of_work():
        await staff.change_staff(view.id, role=Role.MANAGER, store_id=store_id, member_id=7, principal=ADMIN, now=NOW)
    assert await queries.recognise(CORP, "zhang") == StaffPrincipal(view.id, Role.MANAGER, store_id, 7)
    with pytest.raises(staff.StaffUnknown):
        async with db.unit_of_work():
            await staff.change_staff(
                view.id + 1, role=Role.CLERK, store_id=None, member_id=None, principal=ADMIN, now=NOW
            )
    with pytest.raises(staff.StoreUnknown):
        await add("li", store_id=store_id + 1)


async def test_a_partner_is_known_by_its_key_which_is_not_stored() -> None:
    store_id = await store()
    async with db.unit_of_work():
        made = await staff.add_partner(name="POS", store_id=store_id, principal=ADMIN, now=NOW)
    assert await queries.partner_by_key(made.key) == PartnerPrincipal(made.principal.partner_id, store_id)
    assert await queries.partner_by_key(made.key + "x") is None
    assert made.key not in str(await db.fetch("SELECT * FROM partner"))
    await db.execute("UPDATE partner SET status = 'off'")
    assert await queries.partner_by_key(made.key) is None


async def test_stores() -> None:
    async with db.unit_of_work():
        view = await staff.add_store(code="sh01", name="静安店", city="上海", principal=ADMIN, now=NOW)
    assert await queries.store_by_code("sh01") == view == await queries.store(view.id)
    assert await queries.stores() == [view]
    assert await queries.store(404) is None
    with pytest.raises(staff.StoreCodeTaken):
        async with db.unit_of_work():
            await staff.add_store(code="sh01", name="x", city="y", principal=ADMIN, now=NOW)


async def test_who_decides_over_a_request() -> None:
    store_id, other = await store(), await store()
    asker, manager = await employee(Role.MANAGER, store_id), await employee(Role.MANAGER, store_id)
    finance = await employee(Role.FINANCE)
    await employee(Role.MANAGER, other)
    clerk = await employee(Role.CLERK, store_id)
    found = {view.id for view in await queries.deciders(store_id, but=asker.staff_id)}
    assert found == {manager.staff_id, finance.staff_id}
    colleagues = {view.id for view in await queries.colleagues(store_id)}
    assert colleagues == {asker.staff_id, manager.staff_id, clerk.staff_id}


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.SECURITY_ADMIN])
async def test_roles_that_change_no_staff(role: Role) -> None:
    principal = await employee(role, await store())
    with pytest.raises(Forbidden):
        async with db.unit_of_work():
            await staff.add_store(code="x", name="x", city="x", principal=principal, now=NOW)


async def test_the_security_administrator_does_not_act_alone() -> None:
    principal = await employee(Role.SECURITY_ADMIN)
    with pytest.raises(NeedsAnother):
        async with db.unit_of_work():
            await staff.remove_staff(CORP, "zhang", principal=principal, now=NOW)


async def test_every_change_is_on_record() -> None:
    await add(store_id=await store())
    await remove("zhang")
    actions = [row.action for row in await audit.by_actor("system", None)]
    assert actions == ["staff.remove", "staff.add", "store.add"]
