"""The proof over the audit trail, for those who read it."""

from loyalty import db
from loyalty.access import Role
from loyalty.audit import chain
from tests.miniapp_api.people import Api, new_staff, new_store

PATH = "/v1/console/audit/proof"


async def test_auditors_see_the_head_and_that_it_holds(api: Api) -> None:
    auditor = api.by((await new_staff(Role.AUDITOR)).token)
    before = (await auditor.get(PATH)).json
    assert (before["holds"], before["heads"]) == (True, [])
    assert before["waiting"] > 0
    async with db.unit_of_work():
        await chain.seal(now=await db.now(), batch_max=100)
    head = await chain.head()
    assert head is not None
    after = (await auditor.get(PATH)).json
    assert after["heads"] == [{"day": None, "position": head.position, "hash": head.hash}]
    await db.execute("ALTER TABLE audit_entry DISABLE TRIGGER ALL")
    await db.execute("UPDATE audit_entry SET reason = 'never happened' WHERE id = (SELECT min(id) FROM audit_entry)")
    await db.execute("ALTER TABLE audit_entry ENABLE TRIGGER ALL")
    changed = (await auditor.get(PATH)).json
    assert changed["holds"] is False
    assert "at position 1 is not what was sealed" in changed["broken"][0]
    clerk = api.by((await new_staff(Role.CLERK, store_id=await new_store())).token)
    assert (await clerk.get(PATH)).status == 403
