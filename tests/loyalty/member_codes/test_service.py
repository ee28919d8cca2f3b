"""The rotating code: half a minute, once, and no guessing."""

import hmac
from datetime import UTC, datetime, timedelta

import pytest

from loyalty import db
from loyalty.attempts.service import TooManyMisses
from loyalty.member_codes import rules
from loyalty.member_codes import service as member_codes
from loyalty.member_codes.service import MemberPresent, WrongMemberCode
from tests.loyalty.people import at_once, guest

pytestmark = pytest.mark.usefixtures("database")
START = datetime(2026, 11, 21, 4, 0, 0, tzinfo=UTC)


async def consume(code: str, *, used_by: str = "staff:1", after: float = 0) -> MemberPresent | WrongMemberCode:
    async with db.unit_of_work():
        return await member_codes.consume(code, used_by=used_by, now=START + timedelta(seconds=after))


async def test_it_is_eighteen_digits_and_works_once() -> None:
    member_id = await guest()
    shown = await member_codes.current(member_id, now=START)
    assert len(shown.code) == 18
    assert shown.code.isdigit()
    assert shown.expires_in_s == 30
    spaced = f"{shown.code[:4]} {shown.code[4:10]}-{shown.code[10:]}"
    assert await consume(spaced) == MemberPresent(member_id)
    assert isinstance(await consume(shown.code), WrongMemberCode)


@pytest.mark.parametrize(
    ("after", "works"), [(0, True), (29.9, True), (34.9, True), (35, False), (61, False), (91, False)]
)
async def test_a_screenshot_dies_after_thirty_five_seconds(after: float, works: bool) -> None:  # noqa: FBT001
    shown = await member_codes.current(await guest(), now=START)
    assert isinstance(await consume(shown.code, after=after), MemberPresent) is works


async def test_a_code_of_the_future_is_refused() -> None:
    shown = await member_codes.current(await guest(), now=START + timedelta(seconds=30))
    assert isinstance(await consume(shown.code, after=29), WrongMemberCode)


async def test_two_tills_at_once_see_one_member_once() -> None:
    shown = await member_codes.current(await guest(), now=START)
    results = await at_once(*(consume(shown.code, used_by=f"staff:{till}") for till in range(8)))
    assert sum(isinstance(result, MemberPresent) for result in results) == 1


async def test_five_misses_lock_out_whoever_guesses_and_nobody_else() -> None:
    shown = await member_codes.current(await guest(), now=START)
    wrong = shown.code[:-1] + str((int(shown.code[-1]) + 1) % 10)
    for _ in range(5):
        assert isinstance(await consume(wrong), WrongMemberCode)
    with pytest.raises(TooManyMisses) as refused:
        await consume(shown.code, after=1)
    assert refused.value.params["retry_after_s"] == 600
    assert isinstance(await consume(shown.code, used_by="staff:2", after=1), MemberPresent)


async def test_guesses_at_the_same_moment_are_all_counted() -> None:
    results = await at_once(*(consume("1" * 18) for _ in range(12)))
    assert sum(isinstance(result, WrongMemberCode) for result in results) == 5
    assert sum(isinstance(result, TooManyMisses) for result in results) == 7


@pytest.mark.parametrize("typed", ["", "abc", "１２３", "9" * 17, "9" * 18, "0" * 5000, "\ud83d\ude00" * 9])
async def test_what_cannot_be_a_code_is_a_miss(typed: str) -> None:
    assert isinstance(await consume(typed), WrongMemberCode)


def test_passwords_follow_rfc_6238() -> None:
    secret = b"12345678901234567890123456789012"
    at = {59: "46119246", 1111111109: "68084774", 1234567890: "91819424", 2000000000: "90698825"}
    assert {seconds: rules.password(secret, seconds // 30) for seconds in at} == at
    assert hmac.compare_digest(rules.password(secret, 1), "46119246")
