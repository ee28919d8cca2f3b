"""Codes by SMS: proven once, guessed never, sent seldom."""

from datetime import timedelta

import orjson
import pytest

from loyalty import db, vault
from loyalty.phones import service as phones
from loyalty.phones.rules import PhoneInvalid
from loyalty.phones.service import CodesTooOften, IssuedCode, ProvenPhone, WrongPhoneCode
from tests.loyalty.people import NOW, at_once, guest

pytestmark = pytest.mark.usefixtures("database")
PHONE = "13800138000"


async def issue(member_id: int = 1, phone: str = PHONE, after: timedelta = timedelta()) -> IssuedCode:
    async with db.unit_of_work():
        return await phones.issue_code(member_id, phone, now=NOW + after)


async def prove(
    code: str, member_id: int = 1, phone: str = PHONE, after: timedelta = timedelta()
) -> ProvenPhone | WrongPhoneCode:
    async with db.unit_of_work():
        return await phones.prove(member_id, phone, code, now=NOW + after)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_sent_code_proves_the_number_once() -> None:
    issued = await issue()
    assert issued.number == "+8613800138000"
    assert len(issued.code) == 6
    assert await prove(f" {issued.code[:3]} {issued.code[3:]}") == ProvenPhone("+8613800138000")
    assert isinstance(await prove(issued.code), WrongPhoneCode)


async def test_a_code_is_for_one_member_and_one_number() -> None:
    issued = await issue()
    assert isinstance(await prove(issued.code, member_id=2), WrongPhoneCode)
    assert isinstance(await prove(issued.code, phone="13800138001"), WrongPhoneCode)


async def test_five_wrong_tries_end_a_code() -> None:
    issued = await issue()
    for _ in range(5):
        assert isinstance(await prove(wrong(issued.code)), WrongPhoneCode)
    assert isinstance(await prove(issued.code), WrongPhoneCode)


async def test_a_code_lives_five_minutes() -> None:
    issued = await issue()
    assert isinstance(await prove(issued.code, after=timedelta(minutes=5)), WrongPhoneCode)


async def test_only_the_newest_code_counts() -> None:
    first = await issue()
    second = await issue(after=timedelta(seconds=60))
    if first.code != second.code:
        assert isinstance(await prove(first.code, after=timedelta(seconds=61)), WrongPhoneCode)
    assert isinstance(await prove(second.code, after=timedelta(seconds=61)), ProvenPhone)


async def test_one_code_a_minute() -> None:
    await issue()
    with pytest.raises(CodesTooOften) as refused:
        await issue(after=timedelta(seconds=59))
    assert refused.value.params == {"retry_after_s": 1}


async def test_five_codes_a_day_for_a_number_and_for_a_member() -> None:
    for minute in range(5):
        await issue(member_id=minute + 1, after=timedelta(minutes=minute))
    with pytest.raises(CodesTooOften):
        await issue(member_id=9, after=timedelta(hours=1))
    await issue(member_id=9, after=timedelta(hours=25))


async def test_sends_at_the_same_moment_are_one() -> None:
    results = await at_once(*(issue() for _ in range(8)))
    assert sum(isinstance(result, IssuedCode) for result in results) == 1
    assert sum(isinstance(result, CodesTooOften) for result in results) == 7


async def test_a_right_code_at_the_same_moment_proves_once() -> None:
    issued = await issue()
    results = await at_once(*(prove(issued.code) for _ in range(8)))
    assert sum(isinstance(result, ProvenPhone) for result in results) == 1


async def test_codes_are_not_stored_in_the_clear() -> None:
    issued = await issue()
    row = await db.fetch_one("SELECT code_hash, phone_index FROM phone_code")
    assert row is not None
    assert issued.code not in row["code_hash"] or len(row["code_hash"]) == 64
    assert PHONE not in row["phone_index"]


async def test_nonsense_is_not_a_number() -> None:
    with pytest.raises(PhoneInvalid):
        await issue(phone="hello")


async def test_a_queued_code_is_sealed_and_opens_for_its_member_only() -> None:
    member_id = await guest()
    async with db.unit_of_work():
        sent = await phones.send_code(member_id, "13800138000", now=NOW)
    row = await db.fetch_one("SELECT notice, params, give_up_at FROM outbox WHERE member_id = $1", member_id)
    assert row is not None
    assert (sent.masked, row["notice"], row["give_up_at"]) == ("138****8000", "phone_code", sent.expires_at)
    assert "13800138000" not in row["params"]
    params = orjson.loads(row["params"])
    issued = phones.code_to_send(member_id, params)
    assert issued.number == "+8613800138000"
    with pytest.raises(vault.SealBroken):
        phones.code_to_send(member_id + 1, params)
    async with db.unit_of_work():
        assert isinstance(await phones.prove(member_id, "13800138000", issued.code, now=NOW), ProvenPhone)
