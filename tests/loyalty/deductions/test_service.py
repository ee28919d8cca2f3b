"""Points taken by staff: limits that splitting does not get around, four eyes above them, the policy as the end."""

from collections import Counter
from datetime import timedelta

import pytest

from loyalty import db
from loyalty.access import OwnMembership, OwnRequest, Role, StaffPrincipal
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import AlreadyDecided, PayloadChanged
from loyalty.decisions import service as decisions
from loyalty.deductions import service as deductions
from loyalty.deductions.service import Deduction, DeductionInvalid, DeductionKeyReused
from loyalty.errors import Forbidden
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.merges import service as merges
from loyalty.program import queries as program
from loyalty.program import service as publishing
from loyalty.program.terms import ClawBackTerms, StaffLimits, Terms
from tests.loyalty.people import give_points, guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import NOW, employee, store

pytestmark = pytest.mark.usefixtures("database")

LATER = NOW + timedelta(hours=24)


async def take(principal: StaffPrincipal, member_id: int, points: int, key: str = "k") -> Deduction:
    async with db.unit_of_work():
        return await deductions.deduct(principal, member_id, points, reason="上次多记", key=key, now=NOW)


async def decide(approval_id: str | None, principal: StaffPrincipal, *, approve: bool = True) -> ApprovalView:
    assert approval_id is not None
    async with db.unit_of_work():
        return await decisions.decide(approval_id, principal, approve=approve, now=NOW)


async def rich(points: int = 10_000) -> int:
    member_id = await guest()
    await give_points(member_id, points)
    return member_id


async def balance(member_id: int) -> int:
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    return (await ledger.balances([member_id], at=NOW))[member_id].points


async def people() -> tuple[StaffPrincipal, StaffPrincipal, StaffPrincipal]:
    """A clerk and two managers of one store."""
    at = await store()
    return await employee(Role.CLERK, at), await employee(Role.MANAGER, at), await employee(Role.MANAGER, at)


async def publish(terms: Terms) -> None:
    async with db.unit_of_work():
        await publishing.publish(terms, by="test", effective_from=NOW - timedelta(days=1), now=NOW)
    program.forget()


async def test_within_the_limit_points_leave_at_once_as_a_movement_of_their_own() -> None:
    member_id, (_, manager, _) = await rich(), await people()
    done = await take(manager, member_id, 500)
    assert (done.status, done.taken, done.owed, done.forgiven) == ("posted", 500, 0, 0)
    assert await balance(member_id) == 9_500
    assert await db.fetch_value("SELECT kind FROM ledger_entry ORDER BY id DESC LIMIT 1") == "staff_deduction"
    row = await db.fetch_one("SELECT outcome, reason FROM audit_entry WHERE action = 'points.deduct'")
    assert row is not None
    assert tuple(row) == ("done", "上次多记")
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'points.deducted'") == 1


async def test_above_the_limit_another_person_decides() -> None:
    member_id, (clerk, manager, other) = await rich(), await people()
    for asker, points in ((clerk, 1), (manager, 501)):
        waiting = await take(asker, member_id, points)
        assert waiting.status == "pending"
        with pytest.raises(Forbidden if asker is clerk else OwnRequest):
            await decide(waiting.approval, asker)
        before = await balance(member_id)
        await decide(waiting.approval, other)
        assert await balance(member_id) == before - points
        with pytest.raises(AlreadyDecided):
            await decide(waiting.approval, other)
        again = await take(asker, member_id, points)
        assert (again.status, again.taken, again.replayed) == ("posted", points, True)


async def test_a_refused_or_late_request_takes_nothing_and_frees_the_day() -> None:
    member_id, (_, manager, other) = await rich(), await people()
    refused = await take(manager, member_id, 2_000, "refused")
    assert refused.status == "pending"
    assert (await take(manager, member_id, 500, "over the day")).status == "pending"
    await decide(refused.approval, other, approve=False)
    async with db.unit_of_work():
        assert await decisions.expire_due(now=LATER, batch_max=10) == 1
    assert (await take(manager, member_id, 500, "now")).status == "posted"
    assert await balance(member_id) == 9_500


async def test_case_29_what_is_out_of_reach_is_written_down() -> None:
    member_id, (_, manager, _) = await rich(10), await people()
    done = await take(manager, member_id, 50)
    assert (done.taken, done.owed, done.forgiven) == (10, 0, 40)
    assert await balance(member_id) == 0
    assert (await take(manager, member_id, 5, "again")).forgiven == 5


async def test_case_26_the_member_owes_no_more_than_the_policy_permits() -> None:
    await publish(Terms(claw_back=ClawBackTerms(mode="allow", cap=10)))
    member_id, (_, manager, _) = await rich(50), await people()
    done = await take(manager, member_id, 100)
    assert (done.taken, done.owed, done.forgiven) == (50, 10, 40)
    assert await balance(member_id) == -10


async def test_a_policy_about_pending_points_does_not_stop_a_correction() -> None:
    await publish(Terms(claw_back=ClawBackTerms(mode="only_pending")))
    member_id, (_, manager, _) = await rich(50), await people()
    assert (await take(manager, member_id, 20)).taken == 20


async def test_the_limits_are_those_of_the_terms() -> None:
    await publish(Terms(staff=StaffLimits(clerk_deduct=5, clerk_deduct_day=8)))
    member_id, (clerk, _, _) = await rich(), await people()
    assert [(await take(clerk, member_id, 4, f"{n}")).status for n in range(3)] == ["posted", "posted", "pending"]


async def test_splitting_at_the_same_moment_from_four_processes_gains_nothing(database_url: str) -> None:
    member_id, (_, manager, _) = await rich(), await people()
    arguments = [
        (manager.staff_id, manager.store_id, member_id, [f"{part}-{n}" for n in range(5)]) for part in range(4)
    ]
    assert tally(await at_once(database_url, take_often, arguments)) == {"posted": 4, "pending": 16}
    assert await balance(member_id) == 8_000


async def test_one_key_many_times_at_once_takes_once(database_url: str) -> None:
    member_id, (_, manager, _) = await rich(), await people()
    arguments = [(manager.staff_id, manager.store_id, member_id, ["same"] * 50) for _ in range(4)]
    assert tally(await at_once(database_url, take_often, arguments)) == {"posted": 1, "posted!": 199}
    assert await balance(member_id) == 9_500


async def take_often(staff_id: int, store_id: int, member_id: int, keys: list[str]) -> dict[str, int]:
    """What one process of the race hears."""
    manager = StaffPrincipal(staff_id=staff_id, role=Role.MANAGER, store_id=store_id)
    outcomes = await side_by_side(take(manager, member_id, 500, key) for key in keys)
    return Counter(f"{done.status}{'!' if done.replayed else ''}" for done in outcomes)


async def test_nobody_takes_from_themselves_and_marketers_from_nobody() -> None:
    member_id, at = await rich(), await store()
    with pytest.raises(OwnMembership):
        await take(await employee(Role.MANAGER, at, member_id=member_id), member_id, 1)
    with pytest.raises(Forbidden):
        await take(await employee(Role.MARKETER), member_id, 1)
    assert (await take(await employee(Role.FINANCE), member_id, 500)).status == "posted"


async def test_a_request_that_was_altered_cannot_be_approved() -> None:
    member_id, (clerk, manager, _) = await rich(), await people()
    waiting = await take(clerk, member_id, 5)
    await db.execute("UPDATE approval SET amount = 5000")
    with pytest.raises(PayloadChanged):
        await decide(waiting.approval, manager)
    assert await balance(member_id) == 10_000


async def test_a_request_follows_its_member_through_a_merge() -> None:
    source_id, target_id, (clerk, manager, _) = await rich(100), await rich(200), await people()
    waiting = await take(clerk, source_id, 150)
    async with db.unit_of_work():
        await merges.merge(source_id, target_id, reason="link_code", now=NOW)
    await decide(waiting.approval, manager)
    assert await balance(target_id) == 150


@pytest.mark.parametrize(("points", "key", "field"), [(0, "k", "points"), (10**6 + 1, "k", "points"), (1, "", "key")])
async def test_values_that_are_out_of_range(points: int, key: str, field: str) -> None:
    manager = await employee(Role.MANAGER, await store())
    with pytest.raises(DeductionInvalid) as refused:
        await take(manager, 1, points, key)
    assert refused.value.params["field"] == field


async def test_a_key_stands_for_one_deduction() -> None:
    member_id, (_, manager, _) = await rich(), await people()
    await take(manager, member_id, 5)
    with pytest.raises(DeductionKeyReused):
        await take(manager, member_id, 6)
