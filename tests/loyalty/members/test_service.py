"""Joining: a number is an attribute, held by one member, and inherits nothing."""

import json
from datetime import date
from pathlib import Path

import pytest
from tortoise.exceptions import IntegrityError

from loyalty import db
from loyalty.members import queries
from loyalty.members import service as members
from loyalty.members.rules import NameRefused
from loyalty.members.service import BirthdaySet, MemberGone, PhoneTaken, Registered, VerifiedPhone
from loyalty.reveals import service as reveals
from tests.loyalty.people import NOW, at_once, give_points, guest, registered

pytestmark = pytest.mark.usefixtures("database")
PHONE = "+8613800138000"


async def register(member_id: int, phone: str | None = None, **more: object) -> Registered:
    proven = VerifiedPhone(phone, "sms") if phone else None
    async with db.unit_of_work():
        return await members.register(member_id, phone=proven, channel="wechat_oa", now=NOW, **more)  # type: ignore[arg-type]


async def test_registering_twice_is_once() -> None:
    member_id = await guest()
    assert not (await register(member_id, PHONE)).already
    assert (await register(member_id, PHONE)).already
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'member.registered'") == 1


async def test_a_guest_may_join_without_a_number_and_add_it_later() -> None:
    member_id = await guest()
    await register(member_id)
    assert (await queries.card(member_id, at=NOW)).phone_masked is None
    await register(member_id, PHONE)
    assert (await queries.card(member_id, at=NOW)).phone_masked == "138****8000"


async def test_a_new_identity_with_an_old_number_inherits_nothing() -> None:
    holder = await registered(PHONE)
    await give_points(holder, 100)
    newcomer = await guest()
    with pytest.raises(PhoneTaken):
        await register(newcomer, PHONE)
    card = await queries.card(newcomer, at=NOW)
    assert (card.points, card.status, card.phone_masked) == (0, "guest", None)
    assert (await queries.card_by_phone("138 0013 8000", at=NOW)).id == holder


async def test_one_number_at_the_same_moment_goes_to_one_member() -> None:
    people = [await guest() for _ in range(6)]
    results = await at_once(*(register(member_id, PHONE) for member_id in people))
    assert sum(isinstance(result, Registered) for result in results) == 1
    assert sum(isinstance(result, PhoneTaken) for result in results) == 5


async def test_the_unique_index_is_the_last_word() -> None:
    one, other = await registered(PHONE), await registered()
    with pytest.raises(IntegrityError, match="member_phone_once"):
        await db.execute(
            "UPDATE member SET phone_index = (SELECT phone_index FROM member WHERE id = $1) WHERE id = $2", one, other
        )


async def test_a_birthday_is_given_once() -> None:
    member_id = await guest()
    await register(member_id, birthday=date(1990, 2, 28))
    with pytest.raises(BirthdaySet):
        await register(member_id, birthday=date(1990, 3, 1))
    assert (await queries.card(member_id, at=NOW)).has_birthday


async def test_the_card_is_found_by_number_and_public_id() -> None:
    member_id = await registered(PHONE, name="欧阳修")
    card = await queries.card(member_id, at=NOW)
    assert card.name_masked == "欧**"
    assert await queries.card_by_number(card.number, at=NOW) == card
    assert await queries.card_by_public_id(card.public_id, at=NOW) == card
    for absent in ("0000000000", "12", card.number[:-1]):
        with pytest.raises(MemberGone):
            await queries.card_by_number(absent, at=NOW)


async def test_nothing_personal_lies_in_the_clear() -> None:
    await registered(PHONE, name="欧阳修")
    dump = json.dumps([str(dict(row)) for row in await db.fetch("SELECT * FROM member")], ensure_ascii=False)
    assert "13800138000" not in dump
    assert "欧阳修" not in dump
    assert "欧阳修".encode() not in (await db.fetch_value("SELECT name_sealed FROM member"))


@pytest.mark.outside
async def test_naughty_names_come_back_byte_for_byte(outside: Path) -> None:
    member_id = await registered()
    for text in json.loads((outside / "security" / "blns" / "blns.json").read_text(encoding="utf-8")):
        try:
            async with db.unit_of_work():
                await members.rename(member_id, text, now=NOW)
        except NameRefused:
            continue
        assert (await reveals.own_profile(member_id)).name == text
