"""The chain over the audit trail: what somebody does to it behind the triggers is named."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from tortoise.exceptions import IntegrityError

from loyalty import db
from loyalty.access import Role, StaffPrincipal
from loyalty.audit import chain
from loyalty.audit import service as audit
from loyalty.audit.chain import Head
from loyalty.fsck import queries as fsck
from tests.loyalty.people import at_once
from tests.loyalty.shop import NOW

pytestmark = pytest.mark.usefixtures("database")

CLERK = StaffPrincipal(staff_id=3, role=Role.CLERK, store_id=1)
ZONE = ZoneInfo("Asia/Shanghai")
TABLES = ("audit_entry", "audit_link", "audit_day")


async def written(count: int = 5) -> list[int]:
    deeds = [
        audit.Deed(principal=CLERK, action="points.grant", member_id=9, details={"points": n, "why": "补"})
        for n in range(count)
    ]
    async with db.unit_of_work():
        await audit.record(*deeds, now=NOW)
    return [row["id"] for row in await db.fetch("SELECT id FROM audit_entry ORDER BY id DESC LIMIT $1", count)][::-1]


async def sealed(count: int = 5, *, batch_max: int = 100) -> list[int]:
    ids = await written(count)
    async with db.unit_of_work():
        await chain.seal(now=NOW, batch_max=batch_max)
    return ids


@asynccontextmanager
async def behind_the_triggers() -> AsyncIterator[None]:
    """What an owner of the database can do."""
    for table in TABLES:
        await db.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
    yield
    for table in TABLES:
        await db.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


async def fsck_says() -> list[str]:
    return [row async for finding in fsck.check_all() for row in finding.broken]


async def test_what_is_sealed_holds_and_batches_go_on_from_each_other() -> None:
    ids = await written(5)
    assert (await chain.waiting(), await chain.head()) == (5, None)
    for left in (3, 1, 0):
        async with db.unit_of_work():
            await chain.seal(now=NOW, batch_max=2)
        assert await chain.waiting() == left
    rows = await db.fetch("SELECT position, entry_id FROM audit_link ORDER BY position")
    assert [(row["position"], row["entry_id"]) for row in rows] == list(enumerate(ids, start=1))
    assert await chain.broken() == [] == await fsck_says()


async def test_anybody_can_compute_a_link() -> None:
    """The content is spelled as docs/security.md says."""
    (entry_id,) = await sealed(1)
    content = (
        f'[{entry_id}, "2026-11-21T04:00:00.000000", "staff", 3, "points.grant", 9, null, "done", "",'
        ' {"why": "补", "points": 0}]'
    )
    assert await chain.head() == Head(1, chain.link(chain.BEFORE_ALL, 1, content))


@pytest.mark.parametrize(
    "changed",
    [
        "at = at + interval '1 microsecond'",
        "actor_kind = 'system'",
        "actor_id = 4",
        "action = 'points.grunt'",
        "member_id = NULL",
        "store_id = 2",
        "outcome = 'refused'",
        "reason = 'x'",
        """details = '{"points": 99, "why": "补"}'""",
    ],
)
async def test_a_row_changed_behind_the_triggers_is_named(changed: str) -> None:
    ids = await sealed()
    async with behind_the_triggers():
        await db.execute(f"UPDATE audit_entry SET {changed} WHERE id = $1", ids[2])
    assert await chain.broken() == [f"entry {ids[2]} at position 3 is not what was sealed"] == await fsck_says()


@pytest.mark.parametrize("place", [0, 2, 4])
async def test_a_removed_row_is_named(place: int) -> None:
    ids = await sealed()
    async with behind_the_triggers():
        await db.execute("DELETE FROM audit_entry WHERE id = $1", ids[place])
    assert await chain.broken() == [f"entry {ids[place]} at position {place + 1} is gone"]


async def test_a_row_and_its_link_removed_leave_a_gap() -> None:
    ids = await sealed()
    async with behind_the_triggers():
        await db.execute("DELETE FROM audit_entry WHERE id = $1", ids[2])
        await db.execute("DELETE FROM audit_link WHERE entry_id = $1", ids[2])
    assert await chain.broken() == ["position 4 follows position 2"]


async def test_a_row_put_in_behind_the_chain_is_named() -> None:
    await sealed()
    added = await db.fetch_value(
        "INSERT INTO audit_entry (at, actor_kind, actor_id, action, outcome, reason, details)"
        " VALUES ($1, 'staff', 3, 'x', 'done', '', '{}') RETURNING id",
        NOW,
    )
    assert await chain.broken() == [f"entry {added} was never given to the chain"]


async def test_two_rows_that_changed_places_are_both_named() -> None:
    ids = await sealed()
    async with behind_the_triggers():
        for entry_id in ids[1:3]:
            await db.execute("UPDATE audit_link SET entry_id = -entry_id WHERE entry_id = $1", entry_id)
        await db.execute("UPDATE audit_link SET entry_id = $1 WHERE position = 3", ids[1])
        await db.execute("UPDATE audit_link SET entry_id = $1 WHERE position = 2", ids[2])
    assert len(await chain.broken()) == 2


async def test_a_row_removed_before_it_was_sealed_is_named() -> None:
    (entry_id,) = await written(1)
    async with behind_the_triggers():
        await db.execute("DELETE FROM audit_entry WHERE id = $1", entry_id)
    assert await chain.broken() == [f"entry {entry_id} was removed before it was sealed"]


async def test_a_cut_or_rewritten_chain_is_caught_by_a_head_kept_elsewhere() -> None:
    ids = await sealed()
    kept = await chain.head()
    assert kept is not None
    assert await chain.foreign([kept]) == []
    async with behind_the_triggers():
        await db.execute("DELETE FROM audit_entry WHERE id = $1", ids[4])
        await db.execute("DELETE FROM audit_link")
        await db.execute("INSERT INTO audit_pending (id) SELECT id FROM audit_entry")
    async with db.unit_of_work():
        await chain.seal(now=NOW, batch_max=100)
    assert await chain.broken() == []
    assert await chain.foreign([kept]) == [kept]


async def test_every_day_keeps_its_head_once() -> None:
    await sealed()
    head = await chain.head()
    assert head is not None
    async with db.unit_of_work():
        assert await chain.close_day(ZONE, now=NOW) is None
        kept = await chain.close_day(ZONE, now=NOW + timedelta(days=1))
        assert await chain.close_day(ZONE, now=NOW + timedelta(days=2)) is None
    assert kept is not None
    assert (kept.day.isoformat(), kept.position, kept.hash) == ("2026-11-21", head.position, head.hash)
    async with behind_the_triggers():
        await db.execute("UPDATE audit_day SET hash = repeat('a', 64)")
    assert await chain.broken() == ["the head of 2026-11-21 at position 5 is not in the chain"]


async def test_links_are_never_changed_or_removed() -> None:
    await sealed()
    for statement in ("UPDATE audit_link SET hash = 'x'", "DELETE FROM audit_link"):
        with pytest.raises(IntegrityError):
            await db.execute(statement)


async def test_two_sealers_without_a_turn_make_one_chain() -> None:
    await written(50)

    async def once() -> int:
        async with db.unit_of_work():
            return await chain.seal(now=NOW, batch_max=100)

    results = await at_once(*(once() for _ in range(5)))
    assert sum(one for one in results if isinstance(one, int)) == 50
    assert await chain.waiting() == 0
    assert await chain.broken() == []


async def test_checking_from_a_position_on_sees_what_came_after_it() -> None:
    ids = await sealed()
    async with behind_the_triggers():
        await db.execute("UPDATE audit_entry SET reason = 'x' WHERE id = ANY($1)", [ids[0], ids[4]])
    assert await chain.broken(since=2) == [f"entry {ids[4]} at position 5 is not what was sealed"]
