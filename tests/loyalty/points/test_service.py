"""Grants by staff: limits that splitting does not get around, and four eyes above them."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import OwnMembership, OwnRequest, Role, StaffPrincipal
from loyalty.approvals import queries as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import AlreadyDecided, ApprovalExpired, ApprovalUnknown, PayloadChanged
from loyalty.decisions import service as decisions
from loyalty.errors import Forbidden, Refusal
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger
from loyalty.merges import service as merges
from loyalty.points import service as points
from loyalty.points.service import AwaitingApproval, Granted, GrantInvalid, GrantKeyReused, GrantOutcome
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once, side_by_side, tally
from tests.loyalty.shop import NOW, employee, store

pytestmark = pytest.mark.usefixtures("database")

LATER = NOW + timedelta(hours=24)


async def grant(
    principal: StaffPrincipal, member_id: int, amount: int, key: str, *, reason: str = "商品破损补偿", now: Any = NOW
) -> GrantOutcome:
    async with db.unit_of_work():
        return await points.grant_points(principal, member_id, amount, reason=reason, key=key, now=now)


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool = True, now: Any = NOW) -> ApprovalView:
    async with db.unit_of_work():
        return await points.decide_grant(approval_id, principal, approve=approve, now=now)


async def asked(principal: StaffPrincipal, member_id: int, amount: int = 101, key: str = "big") -> AwaitingApproval:
    outcome = await grant(principal, member_id, amount, key)
    assert isinstance(outcome, AwaitingApproval)
    return outcome


async def balance(member_id: int) -> int:
    assert [row async for finding in fsck.check_all() for row in finding.broken] == []
    return (await ledger.balances([member_id], at=NOW))[member_id].points


async def test_within_the_limit_points_are_given_at_once_and_audited() -> None:
    member_id, clerk = await guest(), await employee(Role.CLERK, await store())
    done = await grant(clerk, member_id, 100, "k")
    assert isinstance(done, Granted)
    assert done.balance == 100 == await balance(member_id)
    row = await db.fetch_one("SELECT outcome, reason, store_id FROM audit_entry WHERE action = 'points.grant'")
    assert row is not None
    assert tuple(row) == ("done", "商品破损补偿", clerk.store_id)
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'points.accrued'") == 1


async def test_above_the_limit_another_person_decides() -> None:
    member_id, store_id = await guest(), await store()
    clerk, manager = await employee(Role.CLERK, store_id), await employee(Role.MANAGER, store_id)
    waiting = await asked(clerk, member_id)
    assert await balance(member_id) == 0
    assert [view.public_id for view in await approvals.waiting_for(manager, now=NOW)] == [waiting.approval_id]
    decided = await decide(waiting.approval_id, manager)
    assert (decided.status, decided.decided_by) == ("approved", manager.staff_id)
    assert await balance(member_id) == 101
    assert await approvals.waiting_for(manager, now=NOW) == []
    names = [row["name"] for row in await db.fetch("SELECT name FROM event WHERE name LIKE 'approval.%' ORDER BY id")]
    assert names == ["approval.requested", "approval.decided"]


async def test_a_refused_request_gives_nothing_and_frees_the_day() -> None:
    member_id, store_id = await guest(), await store()
    clerk, manager = await employee(Role.CLERK, store_id), await employee(Role.MANAGER, store_id)
    waiting = await asked(clerk, member_id, 500)
    assert isinstance(await grant(clerk, member_id, 1, "one"), AwaitingApproval)
    assert (await decide(waiting.approval_id, manager, approve=False)).status == "refused"
    assert isinstance(await grant(clerk, member_id, 2, "two"), Granted)
    assert await balance(member_id) == 2


async def test_splitting_a_large_grant_ends_at_the_day_limit() -> None:
    member_id, clerk = await guest(), await employee(Role.CLERK, await store())
    outcomes = [await grant(clerk, member_id, 100, f"k{n}") for n in range(10)]
    assert [type(outcome) for outcome in outcomes] == [Granted] * 5 + [AwaitingApproval] * 5
    assert await balance(member_id) == 500
    assert isinstance(await grant(clerk, member_id, 100, "tomorrow", now=LATER), Granted)


async def test_splitting_at_the_same_moment_from_four_processes_gains_nothing(database_url: str) -> None:
    member_id, clerk = await guest(), await employee(Role.CLERK, await store())
    arguments = [(clerk.staff_id, clerk.store_id, member_id, [f"{part}-{n}" for n in range(10)]) for part in range(4)]
    heard = tally(await at_once(database_url, grant_often, arguments))
    assert heard == {"Granted": 5, "AwaitingApproval": 35}
    assert await balance(member_id) == 500


async def grant_often(staff_id: int, store_id: int, member_id: int, keys: list[str]) -> dict[str, int]:
    """What one process of the race hears."""
    clerk = StaffPrincipal(staff_id=staff_id, role=Role.CLERK, store_id=store_id)
    outcomes = await side_by_side(grant(clerk, member_id, 100, key) for key in keys)
    return Counter(f"{type(outcome).__name__}{'!' if outcome.replayed else ''}" for outcome in outcomes)


async def test_a_thousand_equal_keys_at_once_give_once(database_url: str) -> None:
    member_id, clerk = await guest(), await employee(Role.CLERK, await store())
    arguments = [(clerk.staff_id, clerk.store_id, member_id, ["same"] * 250) for _ in range(4)]
    heard = tally(await at_once(database_url, grant_often, arguments))
    assert heard == {"Granted": 1, "Granted!": 999}
    assert await balance(member_id) == 100


async def test_the_same_key_answers_the_same_and_refuses_another_grant() -> None:
    member_id, store_id = await guest(), await store()
    clerk, manager = await employee(Role.CLERK, store_id), await employee(Role.MANAGER, store_id)
    first, again = await grant(clerk, member_id, 10, "k"), await grant(clerk, member_id, 10, "k")
    assert isinstance(first, Granted)
    assert isinstance(again, Granted)
    assert (again.grant_id, again.balance, again.replayed) == (first.grant_id, first.balance, True)
    with pytest.raises(GrantKeyReused):
        await grant(clerk, member_id, 11, "k")
    waiting = await asked(clerk, member_id)
    await decide(waiting.approval_id, manager)
    repeated = await grant(clerk, member_id, 101, "big")
    assert isinstance(repeated, AwaitingApproval)
    assert (repeated.approval_id, repeated.status, repeated.replayed) == (waiting.approval_id, "posted", True)
    assert await balance(member_id) == 111


@pytest.mark.parametrize(
    ("amount", "reason", "key", "field"),
    [
        (0, "r", "k", "points"),
        (-5, "r", "k", "points"),
        (10**6 + 1, "r", "k", "points"),
        (1, " ", "k", "reason"),
        (1, "r" * 201, "k", "reason"),
        (1, "r", "", "key"),
    ],
)
async def test_values_that_are_out_of_range(amount: int, reason: str, key: str, field: str) -> None:
    clerk = await employee(Role.CLERK, await store())
    with pytest.raises(GrantInvalid) as refused:
        await grant(clerk, 1, amount, key, reason=reason)
    assert refused.value.params == {"field": field}


async def test_nobody_gives_to_themselves_nor_approves_for_themselves() -> None:
    member_id, store_id = await guest(), await store()
    clerk = await employee(Role.CLERK, store_id, member_id=member_id)
    with pytest.raises(OwnMembership):
        await grant(clerk, member_id, 1, "k")
    beneficiary = await employee(Role.MANAGER, store_id, member_id=member_id)
    waiting = await asked(await employee(Role.CLERK, store_id), member_id)
    with pytest.raises(OwnMembership):
        await decide(waiting.approval_id, beneficiary)
    assert await approvals.waiting_for(beneficiary, now=NOW) == []
    manager = await employee(Role.MANAGER, store_id)
    own = await asked(manager, await guest(), 1_001)
    with pytest.raises(OwnRequest):
        await decide(own.approval_id, manager)
    assert [view.public_id for view in await approvals.asked_by(manager.staff_id)] == [own.approval_id]
    assert (await decide(own.approval_id, await employee(Role.FINANCE))).status == "approved"


@pytest.mark.parametrize("role", [Role.CLERK, Role.MARKETER, Role.AUDITOR, Role.SECURITY_ADMIN, Role.SYSTEM_ADMIN])
async def test_roles_that_decide_nothing(role: Role) -> None:
    store_id = await store()
    waiting = await asked(await employee(Role.CLERK, store_id), await guest())
    with pytest.raises(Forbidden):
        await decide(waiting.approval_id, await employee(role, store_id))


async def test_another_store_does_not_know_the_request() -> None:
    waiting = await asked(await employee(Role.CLERK, await store()), await guest())
    other = await employee(Role.MANAGER, await store())
    with pytest.raises(ApprovalUnknown):
        await decide(waiting.approval_id, other)
    with pytest.raises(ApprovalUnknown):
        await decide("nothing", other)
    assert await approvals.waiting_for(other, now=NOW) == []


async def test_what_nobody_decided_in_time_is_over_before_and_after_the_sweep() -> None:
    member_id, store_id = await guest(), await store()
    clerk, manager = await employee(Role.CLERK, store_id), await employee(Role.MANAGER, store_id)
    waiting = await asked(clerk, member_id, 500)
    with pytest.raises(ApprovalExpired):
        await decide(waiting.approval_id, manager, now=LATER)
    for swept in (1, 0):
        async with db.unit_of_work():
            assert await decisions.expire_due(now=LATER, batch_max=10) == swept
    with pytest.raises(ApprovalExpired):
        await decide(waiting.approval_id, manager, now=LATER)
    assert isinstance(await grant(clerk, member_id, 100, "k"), Granted)


async def test_a_request_that_was_altered_cannot_be_approved() -> None:
    member_id, store_id = await guest(), await store()
    clerk, manager = await employee(Role.CLERK, store_id), await employee(Role.MANAGER, store_id)
    waiting = await asked(clerk, member_id)
    await db.execute("UPDATE approval SET amount = 100000 WHERE public_id = $1", waiting.approval_id)
    with pytest.raises(PayloadChanged):
        await decide(waiting.approval_id, manager)
    assert (await decide(waiting.approval_id, manager, approve=False)).status == "refused"
    assert await balance(member_id) == 0


async def test_a_grant_follows_its_member_through_a_merge_and_so_does_the_refusal_to_serve_oneself() -> None:
    source_id, target_id, store_id = await guest(), await guest(), await store()
    manager = await employee(Role.MANAGER, store_id)
    beneficiary = await employee(Role.MANAGER, store_id, member_id=target_id)
    waiting = await asked(await employee(Role.CLERK, store_id), source_id)
    async with db.unit_of_work():
        await merges.merge(source_id, target_id, reason="link_code", now=NOW)
    with pytest.raises(OwnMembership):
        await decide(waiting.approval_id, beneficiary)
    await decide(waiting.approval_id, manager)
    assert (await balance(source_id), await balance(target_id)) == (0, 101)


async def decide_once(approval_id: str, staff_id: int, store_id: int, approve: bool) -> str:  # noqa: FBT001
    """What one manager of the race hears."""
    manager = StaffPrincipal(staff_id=staff_id, role=Role.MANAGER, store_id=store_id)
    try:
        return (await decide(approval_id, manager, approve=approve)).status
    except Refusal as refusal:
        return type(refusal).__name__


async def test_of_managers_who_decide_at_once_one_does(database_url: str) -> None:
    member_id, store_id = await guest(), await store()
    clerk = await employee(Role.CLERK, store_id)
    managers = [await employee(Role.MANAGER, store_id) for _ in range(4)]
    for approve in (True, False):
        waiting = await asked(clerk, member_id, key=f"big-{approve}")
        arguments = [(waiting.approval_id, manager.staff_id, store_id, approve) for manager in managers]
        heard = Counter(await at_once(database_url, decide_once, arguments))
        assert heard == {"approved" if approve else "refused": 1, AlreadyDecided.__name__: 3}
    assert await balance(member_id) == 101
