"""A link code proves on one channel who somebody is on another."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.attempts.service import TooManyMisses
from loyalty.identity import rules
from loyalty.identity import service as identity
from loyalty.identity.service import WrongLinkCode
from loyalty.merges.service import Merged
from tests.loyalty.people import NOW, contact, give_points, meet

pytestmark = pytest.mark.usefixtures("database")


async def issue(member_id: int) -> str:
    async with db.unit_of_work():
        return (await identity.issue_link_code(member_id, now=NOW)).code


async def redeem(code: str, identity_id: int, after: timedelta = timedelta(minutes=1)) -> Merged | WrongLinkCode:
    async with db.unit_of_work():
        return await identity.redeem_link_code(code, identity_id, now=NOW + after)


async def test_the_two_members_become_one_and_the_owner_is_told() -> None:
    oa, tg = await meet(), await meet(contact(channel="telegram", app_id="bot1"))
    await give_points(tg.member_id, 30)
    code = await issue(oa.member_id)
    merged = await redeem(code.lower().replace("-", " "), tg.identity_id)
    assert isinstance(merged, Merged)
    assert merged.survivor_id == oa.member_id
    assert await db.fetch_value("SELECT notice FROM outbox WHERE member_id = $1", oa.member_id) == "account_linked"


async def test_a_code_works_once_and_ten_minutes() -> None:
    oa, tg, other = await meet(), await meet(), await meet()
    code = await issue(oa.member_id)
    assert isinstance(await redeem(code, tg.identity_id, timedelta(minutes=10)), WrongLinkCode)
    assert isinstance(await redeem(code, tg.identity_id), Merged)
    assert isinstance(await redeem(code, other.identity_id), WrongLinkCode)


async def test_a_new_code_ends_the_old_one() -> None:
    oa, tg = await meet(), await meet()
    old = await issue(oa.member_id)
    await issue(oa.member_id)
    assert isinstance(await redeem(old, tg.identity_id), WrongLinkCode)


async def test_five_misses_lock_even_the_right_code_out_for_ten_minutes() -> None:
    oa, tg = await meet(), await meet()
    code = await issue(oa.member_id)
    for _ in range(5):
        assert isinstance(await redeem("AAAA-AAAA", tg.identity_id), WrongLinkCode)
    with pytest.raises(TooManyMisses):
        await redeem(code, tg.identity_id)
    assert isinstance(await redeem("AAAA-AAAA", tg.identity_id, timedelta(minutes=12)), WrongLinkCode)


async def test_ones_own_code_joins_nothing() -> None:
    oa = await meet()
    assert await redeem(await issue(oa.member_id), oa.identity_id) == Merged(oa.member_id, None)


async def test_a_link_code_is_not_stored_in_the_clear() -> None:
    code = await issue((await meet()).member_id)
    assert rules.plain(code) not in await db.fetch_value("SELECT code_hash FROM link_code")


def test_look_alike_letters_are_read_as_meant() -> None:
    assert rules.plain("oIl0-ＡＢ３ｚ") == "0110AB3Z"
