"""Who is speaking: known people cost one statement, new ones are created once."""

from datetime import UTC, datetime, timedelta

import pytest

from loyalty import db
from loyalty.identity import service as identity
from loyalty.identity.service import Contact, Person
from loyalty.members import service as members
from tests.loyalty.people import at_once

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)


def contact(
    external_id: str, *, app_id: str = "wxoa", union_id: str | None = None, channel: str = "wechat_oa"
) -> Contact:
    return Contact(channel=channel, account="main", app_id=app_id, external_id=external_id, union_id=union_id)


async def arrive(*contacts: Contact, now: datetime = NOW) -> list[Person]:
    async with db.unit_of_work():
        return await identity.resolve_many(contacts, now=now)


async def test_a_stranger_becomes_a_guest_with_key_accounts_and_event(database: None) -> None:
    (person,) = await arrive(contact("o1"))
    assert person.is_new
    assert not person.is_registered
    assert person.locale == "zh-CN"
    assert await db.fetch_value("SELECT count(*) FROM ledger_balance WHERE member_id = $1", person.member_id) == 2
    assert await db.fetch_value("SELECT wrapped_key IS NOT NULL FROM member_key WHERE member_id = $1", person.member_id)
    assert await db.fetch_value("SELECT name FROM event WHERE member_id = $1", person.member_id) == "member.joined"


async def test_the_same_person_is_found_again(database: None) -> None:
    (first,) = await arrive(contact("o1"))
    (again,) = await arrive(contact("o1"))
    assert again.member_id == first.member_id
    assert not again.is_new


async def test_an_openid_means_nothing_without_its_app(database: None) -> None:
    one, other = await arrive(contact("o1", app_id="wxa"), contact("o1", app_id="wxb"))
    assert one.member_id != other.member_id


async def test_a_batch_keeps_order_and_greets_a_repeated_newcomer_once(database: None) -> None:
    await arrive(contact("known"))
    people = await arrive(contact("new"), contact("known"), contact("new"))
    assert people[0].member_id == people[2].member_id != people[1].member_id
    assert [person.is_new for person in people] == [True, False, False]


async def test_a_vouched_unionid_joins_two_apps(database: None) -> None:
    (oa,) = await arrive(contact("o1", union_id="u1"))
    (mini,) = await arrive(contact("m1", app_id="wxmini", channel="wechat_mini", union_id="u1"))
    assert mini.member_id == oa.member_id
    assert mini.is_new
    assert await db.fetch_value("SELECT count(*) FROM member") == 1


async def test_two_new_apps_of_one_person_in_one_batch(database: None) -> None:
    oa, mini = await arrive(contact("o1", union_id="u1"), contact("m1", app_id="wxmini", union_id="u1"))
    assert oa.member_id == mini.member_id
    assert await db.fetch_value("SELECT count(*) FROM member") == 1


async def test_another_family_is_another_person(database: None) -> None:
    (one,) = await arrive(contact("o1", union_id="u1"))
    stranger = Contact(channel="wechat_oa", account="b", app_id="wxb", external_id="x", union_id="u1", union_family="b")
    (other,) = await arrive(stranger)
    assert other.member_id != one.member_id


async def test_a_unionid_discovered_later_joins_the_members(database: None) -> None:
    (oa,) = await arrive(contact("o1"))
    (mini,) = await arrive(contact("m1", app_id="wxmini", union_id="u1"))
    assert oa.member_id != mini.member_id
    (joined,) = await arrive(contact("o1", union_id="u1"))
    (still,) = await arrive(contact("m1", app_id="wxmini"))
    assert joined.member_id == still.member_id == oa.member_id
    assert await db.fetch_value("SELECT status FROM member WHERE id = $1", mini.member_id) == "merged"


async def test_many_at_once_create_one_member(database: None) -> None:
    async def one() -> int:
        return (
            await db.retried(
                lambda: arrive(contact("o1", union_id="u1"), contact("m1", app_id="wxmini", union_id="u1"))
            )
        )[0].member_id

    ids = await at_once(*(one() for _ in range(16)))
    assert len(set(ids)) == 1
    assert await db.fetch_value("SELECT count(*) FROM member") == 1
    assert await db.fetch_value("SELECT count(*) FROM event") == 1


async def test_last_seen_is_written_once_an_hour(database: None) -> None:
    await arrive(contact("o1"))
    await arrive(contact("o1"), now=NOW + timedelta(minutes=59))
    assert await db.fetch_value("SELECT last_seen_at FROM channel_identity") == NOW
    await arrive(contact("o1"), now=NOW + timedelta(hours=1))
    assert await db.fetch_value("SELECT last_seen_at FROM channel_identity") == NOW + timedelta(hours=1)


async def test_leaving_and_coming_back_are_facts(database: None) -> None:
    (person,) = await arrive(contact("o1"))
    async with db.unit_of_work():
        await identity.followed(person.identity_id, scene="shop-1", now=NOW)
        await identity.left(person.identity_id, now=NOW)
        await identity.left(person.identity_id, now=NOW)
    names = [row["name"] for row in await db.fetch("SELECT name FROM event ORDER BY id")]
    assert names == ["member.joined", "channel.followed", "channel.left"]
    assert await db.fetch_value("SELECT state FROM channel_identity") == "left"


async def test_known_people_cost_one_statement_however_many(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = [contact(f"o{serial}") for serial in range(50)]
    await arrive(*crowd)
    statements: list[str] = []
    fetch = db.fetch

    async def counted(sql: str, *args: object) -> object:
        statements.append(sql)
        return await fetch(sql, *args)

    monkeypatch.setattr(db, "fetch", counted)
    await arrive(*crowd)
    assert len(statements) == 1


async def test_fifty_strangers_cost_a_fixed_number_of_statements(
    database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    fetch, execute = db.fetch, db.execute

    async def counted_fetch(sql: str, *args: object) -> object:
        statements.append(sql)
        return await fetch(sql, *args)

    async def counted_execute(sql: str, *args: object) -> int:
        statements.append(sql)
        return await execute(sql, *args)

    monkeypatch.setattr(db, "fetch", counted_fetch)
    monkeypatch.setattr(db, "execute", counted_execute)
    await arrive(*(contact(f"o{serial}", union_id=f"u{serial}") for serial in range(50)))
    assert len(statements) <= 10


async def test_a_chosen_language_counts_over_what_a_platform_guesses(database: None) -> None:
    english = Contact(channel="telegram", account="main", app_id="bot", external_id="7", locale="en-GB")
    (person,) = await arrive(english)
    assert person.locale == "en"
    await members.set_locale(person.member_id, "zh-CN")
    (again,) = await arrive(english)
    assert again.locale == "zh-CN"
