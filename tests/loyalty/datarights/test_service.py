"""My data: all of it in one document, and gone when the account is closed."""

import json
from datetime import date, timedelta

import pytest

from loyalty import db, vault
from loyalty.access import MemberPrincipal
from loyalty.datarights import rules
from loyalty.datarights import service as datarights
from loyalty.dialogues import service as dialogues
from loyalty.dialogues.service import Dialogue
from loyalty.fsck import queries as fsck
from loyalty.identity import service as identity
from loyalty.ledger import queries as ledger
from loyalty.members import queries as member_queries
from loyalty.members import service as members
from loyalty.members.service import MemberGone, VerifiedPhone
from loyalty.merges import service as merges
from loyalty.outbox import service as outbox
from loyalty.phones import service as phones
from loyalty.reveals import service as reveals
from loyalty.sessions import service as sessions
from tests.loyalty.people import NOW, contact, give_points, guest, meet, registered

pytestmark = pytest.mark.usefixtures("database")
CANARIES = ("司马金丝雀", "13900001234", "1987-06-05", "oCANARYopenid", "uCANARYunion")
WHO = contact("oCANARYopenid", union_id="uCANARYunion")


async def canary() -> int:
    """A member with something in every corner."""
    person = await meet(WHO)
    member_id = person.member_id
    phone = VerifiedPhone("+8613900001234", "sms")
    async with db.unit_of_work():
        await members.register(
            member_id, phone=phone, name="司马金丝雀", birthday=date(1987, 6, 5), channel="wechat_oa", now=NOW
        )
        await sessions.open_for_member(member_id, identity_id=person.identity_id, now=NOW)
        await phones.issue_code(member_id, "13900001234", now=NOW)
        await identity.issue_link_code(member_id, now=NOW)
        step = Dialogue("register", "name", {"member": member_id}, NOW + timedelta(hours=1))
        await dialogues.set(dialogues.key_of(person.identity_id), step)
        await reveals.reveal(member_id, "name", actor=MemberPrincipal(member_id), purpose="own profile", now=NOW)
        notice = outbox.Notice(
            key="n1",
            notice="hello",
            send_class="service_notice",
            purpose="transaction",
            member_id=member_id,
            params={"entry": 1},
            due_at=NOW,
            give_up_at=NOW + timedelta(days=1),
        )
        await outbox.queue(notice, now=NOW)
    await give_points(member_id, 100, expires_at=NOW + timedelta(days=30))
    await give_points(member_id, 5, expires_at=NOW + timedelta(seconds=1))
    return member_id


async def close(member_id: int, after: timedelta = timedelta(hours=1)) -> datarights.Closed:
    async with db.unit_of_work():
        return await datarights.close(member_id, now=NOW + after)


async def whole_dump() -> str:
    tables = await db.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    lines = [
        str(row["line"])
        for table in tables
        for row in await db.fetch(f"SELECT t::text AS line FROM {table['tablename']} t")
    ]
    return "\n".join(lines)


def spellings(value: str) -> list[str]:
    return [
        value,
        value[::-1],
        value.encode().hex(),
        value.encode("utf-16-le").hex(),
        value.encode("gb18030").hex(),
        json.dumps(value)[1:-1],
    ]


async def test_every_table_of_a_member_is_in_the_registry() -> None:
    tables = await db.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'member_id' AND table_schema = 'public'"
    )
    assert {row["table_name"] for row in tables} == {holding.table for holding in rules.HOLDINGS}


async def test_an_export_holds_everything_in_plain_words() -> None:
    member_id = await canary()
    async with db.unit_of_work():
        document = await datarights.export(member_id, now=NOW)
    text = json.dumps(document, ensure_ascii=False)
    for value in ("司马金丝雀", "+8613900001234", "1987-06-05", "oCANARYopenid"):
        assert value in text
    assert {section.section for section in rules.HOLDINGS if section.section} <= set(document)
    assert [movement["delta"] for movement in document["movements"]] == [100, 5]
    assert document["accesses"][0]["action"] == "member.reveal"


async def test_an_export_includes_what_was_merged_in() -> None:
    member_id, other = await canary(), await meet()
    await give_points(other.member_id, 7)
    async with db.unit_of_work():
        await merges.merge(other.member_id, member_id, reason="test", now=NOW)
        document = await datarights.export(member_id, now=NOW)
    assert 7 in [movement["delta"] for movement in document["movements"]]


async def test_closing_leaves_no_trace_of_the_person_and_sound_books() -> None:
    member_id = await canary()
    other = await registered("+8613800138000", name="别人")
    assert "oCANARYopenid" in await whole_dump()
    assert not (await close(member_id)).already
    dump = await whole_dump()
    for value in CANARIES:
        assert not [spelling for spelling in spellings(value) if spelling in dump]
    assert vault.blind_index("phone", "+8613900001234") not in dump
    assert "139****1234" not in dump
    assert not [finding.broken async for finding in fsck.check_all() if finding.broken]
    assert (await ledger.balances([member_id], at=NOW + timedelta(hours=1)))[member_id].points == 0
    assert (await reveals.own_profile(other)).name == "别人"


async def test_a_destroyed_key_makes_old_copies_noise() -> None:
    member_id = await canary()
    copy = await db.fetch_value("SELECT name_sealed FROM member WHERE id = $1", member_id)
    await close(member_id)
    await db.execute("UPDATE member SET name_sealed = $2 WHERE id = $1", member_id, copy)
    with pytest.raises(MemberGone):
        await reveals.own_profile(member_id)


async def test_closing_ends_what_runs_and_frees_the_number() -> None:
    member_id = await canary()
    await close(member_id)
    assert await db.fetch_value("SELECT count(*) FROM session") == 0
    assert await db.fetch_value("SELECT count(*) FROM dialogue") == 0
    assert await db.fetch_value("SELECT status FROM outbox") == "suppressed"
    with pytest.raises(MemberGone):
        await member_queries.card(member_id, at=NOW)
    assert await registered("+8613900001234") != member_id
    assert (await meet(WHO)).member_id != member_id


async def test_closing_takes_those_merged_into_it_along() -> None:
    member_id, old = await canary(), await registered(name="旧金丝雀")
    async with db.unit_of_work():
        await merges.merge(old, member_id, reason="test", now=NOW)
    await close(member_id)
    assert await db.fetch_value("SELECT count(*) FROM member_key WHERE wrapped_key IS NOT NULL") == 0
    assert await db.fetch_value("SELECT count(*) FROM erasure_log") == 2


async def test_closing_twice_is_once_and_strangers_cannot_be_closed() -> None:
    member_id = await guest()
    await close(member_id)
    assert (await close(member_id)).already
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'member.closed'") == 1
    with pytest.raises(MemberGone):
        await close(10**6)


async def test_erasures_are_replayed_after_a_restore() -> None:
    erased, kept = await registered(name="甲"), await registered(name="乙")
    async with db.unit_of_work():
        assert await datarights.replay_erasures([erased], now=NOW) == 1
    async with db.unit_of_work():
        assert await datarights.replay_erasures([erased], now=NOW) == 0
    assert (await reveals.own_profile(kept)).name == "乙"


def test_csv_parts_run_no_formula() -> None:
    parts = rules.csv_parts({"profile": {"name": "=1+1", "points": -5}, "channels": [], "exported_at": "x"})
    assert parts["profile"].splitlines() == ['"name","points"', '"\'=1+1","-5"']
    assert parts["channels"] == ""
