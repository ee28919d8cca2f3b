"""Tiers set by hand: with a reason and an end, alone within limits, above them by another person's approval."""

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from loyalty import db
from loyalty.access import OwnMembership, OwnRequest, Role, StaffPrincipal
from loyalty.approvals.service import AlreadyDecided
from loyalty.decisions import service as decisions
from loyalty.errors import Forbidden
from loyalty.ladders.rules import Fixed
from loyalty.members.service import MemberGone
from loyalty.merges import service as merges
from loyalty.tier_overrides import queries, rules, service
from loyalty.tier_overrides.rules import Limits
from loyalty.tier_overrides.service import (
    NewOverride,
    Overridden,
    OverrideInvalid,
    OverrideKeyReused,
    OverrideUnknown,
)
from tests.loyalty.people import at_once
from tests.loyalty.shop import employee, publish_ladder, store
from tests.loyalty.tiers.scene import course, events, grow, ladder, member, on, stands, sweep, tier

pytestmark = pytest.mark.usefixtures("database")

START = on("2025-01-01")
NOW = on("2026-03-10", 12)
UNTIL = on("2026-05-01")
_serial = count(1)


async def programme() -> None:
    steps: tuple[tuple[str, int], ...] = (("silver", 500), ("gold", 2000), ("diamond", 9000))
    await publish_ladder(ladder(*steps, validity=Fixed(months=12)), now=START)


async def override(
    principal: StaffPrincipal, member_id: int, tier: str, *, at: datetime = NOW, key: str = "", **more: Any
) -> Overridden:
    new = NewOverride(**{"ladder": "main", "tier": tier, "ends_at": UNTIL, "reason": "complaint", **more})
    async with db.unit_of_work():
        return await service.set_tier(new, member_id, principal=principal, key=key or f"k{next(_serial)}", now=at)


async def test_within_the_limits_it_counts_at_once_and_ends_by_itself() -> None:
    await programme()
    manager, member_id = await employee(Role.MANAGER, await store()), await member(START)
    done = await override(manager, member_id, "silver")
    assert (done.approval, done.override.status) == (None, "active")
    standing = await stands(member_id, NOW)
    assert (standing.tier.code, standing.pin and standing.pin.until) == ("silver", UNTIL)
    # Shown before the sweep, written by it at the very instant.
    assert await tier(member_id, UNTIL) == "basic"
    await sweep(UNTIL + timedelta(days=2))
    assert await course(member_id) == [("silver", "override", NOW), ("basic", "override_ended", UNTIL)]
    assert await events(member_id) == ["tier.raised", "tier.lowered"]


async def test_where_the_member_stands_goes_on_underneath() -> None:
    await programme()
    manager, member_id = await employee(Role.MANAGER, await store()), await member(START)
    await override(manager, member_id, "silver")
    await grow(member_id, 600, on("2026-03-20"))
    assert await course(member_id) == [("silver", "override", NOW)], "already held, nothing to tell"
    await grow(member_id, 2000, on("2026-03-21"))
    assert await tier(member_id, on("2026-03-21")) == "gold", "at least silver"
    await sweep(UNTIL)
    assert (await course(member_id))[-1] == ("gold", "growth", on("2026-03-21"))
    assert (await stands(member_id, UNTIL)).until == on("2027-03-21")


async def test_exactly_a_tier_holds_down_too() -> None:
    await programme()
    finance, member_id = await employee(Role.FINANCE), await member(START)
    await grow(member_id, 600, on("2026-03-01"))
    await override(finance, member_id, "basic", exactly=True)
    assert await tier(member_id, NOW) == "basic"
    await grow(member_id, 600, on("2026-03-20"))
    assert await tier(member_id, on("2026-03-20")) == "basic"
    await sweep(UNTIL)
    assert [held[:2] for held in await course(member_id)] == [
        ("silver", "growth"),
        ("basic", "override"),
        ("silver", "override_ended"),
    ]


@pytest.mark.parametrize(
    ("tier_wanted", "until"), [("gold", UNTIL), ("silver", on("2026-06-11", 12))], ids=["too far", "too long"]
)
async def test_above_the_limits_another_person_decides(tier_wanted: str, until: datetime) -> None:
    await programme()
    place = await store()
    manager, other = await employee(Role.MANAGER, place), await employee(Role.MANAGER, place)
    member_id = await member(START)
    asked = await override(manager, member_id, tier_wanted, ends_at=until)
    assert asked.override.status == "pending"
    assert await tier(member_id, NOW) == "basic"
    with pytest.raises(OwnRequest):
        async with db.unit_of_work():
            await decisions.decide(str(asked.approval), manager, approve=True, now=NOW)
    async with db.unit_of_work():
        await decisions.decide(str(asked.approval), other, approve=True, now=NOW + timedelta(hours=1))
    assert await tier(member_id, NOW + timedelta(hours=1)) == tier_wanted
    (found,) = await queries.of_member(member_id)
    assert (found.status, found.staff_id, found.approved_by) == ("active", manager.staff_id, other.staff_id)
    with pytest.raises(AlreadyDecided):
        async with db.unit_of_work():
            await decisions.decide(str(asked.approval), other, approve=True, now=NOW + timedelta(hours=2))


async def test_refused_and_forgotten_requests_set_nothing() -> None:
    await programme()
    place = await store()
    manager, other = await employee(Role.MANAGER, place), await employee(Role.MANAGER, place)
    member_id = await member(START)
    refused = await override(manager, member_id, "gold")
    forgotten = await override(manager, member_id, "diamond")
    async with db.unit_of_work():
        await decisions.decide(str(refused.approval), other, approve=False, now=NOW)
    async with db.unit_of_work():
        assert await decisions.expire_due(now=NOW + timedelta(days=2), batch_max=10) == 1
    assert [one.status for one in await queries.of_member(member_id)] == ["expired", "refused"]
    assert await course(member_id) == []
    assert forgotten.override.status == "pending"


async def test_the_same_key_sets_once() -> None:
    await programme()
    manager, member_id = await employee(Role.MANAGER, await store()), await member(START)
    first = await override(manager, member_id, "silver", key="same")
    again = await override(manager, member_id, "silver", key="same")
    assert (again.override.id, again.replayed) == (first.override.id, True)
    with pytest.raises(OverrideKeyReused):
        await override(manager, member_id, "silver", key="same", reason="another")
    assert len(await course(member_id)) == 1


async def test_a_newer_one_takes_the_place_of_an_older() -> None:
    await programme()
    finance, member_id = await employee(Role.FINANCE), await member(START)
    await override(finance, member_id, "silver")
    await override(finance, member_id, "gold", at=NOW + timedelta(days=1), ends_at=on("2026-04-01"))
    assert [one.status for one in await queries.of_member(member_id)] == ["active", "replaced"]
    await sweep(UNTIL)
    assert [held[:2] for held in await course(member_id)] == [
        ("silver", "override"),
        ("gold", "override"),
        ("basic", "override_ended"),
    ]


async def test_it_can_be_taken_back_once() -> None:
    await programme()
    manager, member_id = await employee(Role.MANAGER, await store()), await member(START)
    done = await override(manager, member_id, "silver")
    async with db.unit_of_work():
        ended = await service.end(done.override.id, principal=manager, reason="mistaken", now=NOW + timedelta(days=1))
    assert (ended.status, ended.ended_by) == ("ended", manager.staff_id)
    assert await tier(member_id, NOW + timedelta(days=1)) == "basic"
    with pytest.raises(OverrideUnknown):
        async with db.unit_of_work():
            await service.end(done.override.id, principal=manager, reason="again", now=NOW + timedelta(days=1))
    outcomes = await db.fetch("SELECT action, reason FROM audit_entry WHERE action LIKE 'tier.%' ORDER BY id")
    assert [tuple(row) for row in outcomes] == [("tier.override", "complaint"), ("tier.override_end", "mistaken")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"tier": "platinum"},
        {"ladder": "none"},
        {"ends_at": NOW},
        {"ends_at": NOW + timedelta(days=3000)},
        {"reason": "  "},
    ],
)
async def test_what_nobody_may_set(wrong: dict[str, Any]) -> None:
    await programme()
    manager, member_id = await employee(Role.MANAGER, await store()), await member(START)
    with pytest.raises(OverrideInvalid):
        await override(manager, member_id, **{"tier": "silver", **wrong})


async def test_who_may_not() -> None:
    await programme()
    place = await store()
    member_id = await member(START)
    own = await employee(Role.MANAGER, place, member_id=member_id)
    for principal, refusal in ((await employee(Role.CLERK, place), Forbidden), (own, OwnMembership)):
        with pytest.raises(refusal):
            await override(principal, member_id, "silver")
    with pytest.raises(MemberGone):
        await override(await employee(Role.MANAGER, place), 987654, "silver")


async def test_two_managers_at_once_leave_one_that_counts() -> None:
    await programme()
    place = await store()
    one, other = await employee(Role.MANAGER, place), await employee(Role.MANAGER, place)
    member_id = await member(START)
    await at_once(override(one, member_id, "silver"), override(other, member_id, "silver"))
    assert sorted(found.status for found in await queries.of_member(member_id)) == ["active", "replaced"]
    await sweep(UNTIL)
    assert await tier(member_id, UNTIL) == "basic"


async def test_an_override_goes_along_when_members_are_joined_and_back() -> None:
    await programme()
    finance = await employee(Role.FINANCE)
    stays, goes = await member(START), await member(START)
    await override(finance, goes, "silver")
    async with db.unit_of_work():
        merged = await merges.merge(goes, stays, reason="test", now=NOW + timedelta(days=1))
    assert await tier(stays, NOW + timedelta(days=1)) == "silver"
    (moved,) = await queries.of_member(stays)
    assert moved.status == "active"
    assert merged.merge_id is not None
    async with db.unit_of_work():
        await merges.undo(merged.merge_id, now=NOW + timedelta(days=2))
    later = NOW + timedelta(days=2)
    assert (await tier(stays, later), await tier(goes, later)) == ("basic", "silver")
    assert [one.status for one in await queries.of_member(goes)] == ["active"]


@pytest.mark.parametrize(
    ("held", "wanted", "days", "expected"),
    [
        ("basic", "silver", 92, False),
        ("basic", "silver", 93, True),
        ("basic", "gold", 1, True),
        ("gold", "silver", 1, False),
        ("gold", "basic", 1, True),
        ("gold", "gold", 92, False),
    ],
)
def test_what_one_person_may_do_alone(held: str, wanted: str, days: int, *, expected: bool) -> None:
    steps = ladder(("silver", 500), ("gold", 2000))
    ends_at = NOW + timedelta(days=days)
    assert rules.needs_another(steps, held, wanted, now=NOW, ends_at=ends_at, limits=Limits(1, 92)) is expected
