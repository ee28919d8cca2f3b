"""What `fsck` says of members: nothing while the verbs are used, the row when somebody went around them."""

import pytest

from loyalty import db
from loyalty.datarights import service as datarights
from loyalty.fsck import queries as fsck
from loyalty.merges import service as merges
from tests.loyalty.people import NOW, guest, registered

pytestmark = pytest.mark.usefixtures("database")


async def broken() -> dict[str, tuple[str, ...]]:
    return {finding.invariant.name: finding.broken async for finding in fsck.check_all() if finding.broken}


async def test_members_made_merged_and_closed_by_verbs_are_sound() -> None:
    one, two, three = await registered("+8613800138000", name="甲"), await guest(), await guest()
    async with db.unit_of_work():
        await merges.merge(two, one, reason="test", now=NOW)
        await datarights.close(three, now=NOW)
    assert await broken() == {}


async def test_a_row_changed_by_hand_is_named() -> None:
    member_id = await registered("+8613800138000", name="甲")
    await db.execute("UPDATE member SET status = 'closed' WHERE id = $1", member_id)
    found = await broken()
    assert found["identities_lead_to_living_members"][0].endswith(f"leads to closed member {member_id}")
    assert found["closed_members_hold_nothing_personal"] == (f"member {member_id}",)
    await db.execute("DELETE FROM ledger_balance")
    assert f"member {member_id}: key t, accounts 0" in (await broken())["members_have_key_and_accounts"]
