"""Consent: per purpose, per version of the words, withdrawn at once, not asked again and again."""

from datetime import timedelta

import pytest
from tortoise.exceptions import IntegrityError

from loyalty import db
from loyalty.consents import queries, rules
from loyalty.consents import service as consents
from loyalty.consents.rules import Purpose, UnknownPurpose
from loyalty.members.service import MemberGone
from tests.loyalty.people import NOW, guest

pytestmark = pytest.mark.usefixtures("database")


async def say(member_id: int, purpose: str, granted: bool, after: timedelta = timedelta()) -> bool:  # noqa: FBT001
    verb = consents.grant if granted else consents.withdraw
    async with db.unit_of_work():
        return await verb(member_id, purpose, channel="wechat_oa", evidence="menu", now=NOW + after)


async def test_marketing_needs_a_yes_and_ends_with_a_no() -> None:
    member_id, other = await guest(), await guest()
    assert await queries.answer_for([member_id, other], "marketing_wechat") == set()
    assert await say(member_id, "marketing_wechat", True)
    assert await queries.answer_for([member_id, other], "marketing_wechat") == {member_id}
    assert await say(member_id, "marketing_wechat", False)
    assert await queries.answer_for([member_id, other], "marketing_wechat") == set()


async def test_service_notices_rest_on_the_membership_until_refused() -> None:
    member_id = await guest()
    assert await queries.answer_for([member_id], "transaction") == {member_id}
    await say(member_id, "transaction", False)
    assert await queries.answer_for([member_id], "transaction") == set()


async def test_new_words_need_a_new_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    member_id = await guest()
    await say(member_id, "marketing_sms", True)
    monkeypatch.setitem(rules.PURPOSES, "marketing_sms", Purpose("marketing_sms", text_version=2))
    assert await queries.answer_for([member_id], "marketing_sms") == set()
    assert await queries.may_ask(member_id, "marketing_sms", now=NOW)
    assert await say(member_id, "marketing_sms", True)
    assert await queries.answer_for([member_id], "marketing_sms") == {member_id}


async def test_the_same_answer_twice_is_one_row_and_one_event() -> None:
    member_id = await guest()
    assert await say(member_id, "marketing_sms", True)
    assert not await say(member_id, "marketing_sms", True)
    assert await db.fetch_value("SELECT count(*) FROM consent") == 1
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'consent.changed'") == 1


async def test_a_no_is_not_asked_again_for_ninety_days() -> None:
    member_id = await guest()
    assert await queries.may_ask(member_id, "marketing_sms", now=NOW)
    await say(member_id, "marketing_sms", False)
    assert not await queries.may_ask(member_id, "marketing_sms", now=NOW + timedelta(days=89))
    assert await queries.may_ask(member_id, "marketing_sms", now=NOW + timedelta(days=90))


@pytest.mark.parametrize("status", ["closed", "merged", "restricted"])
async def test_an_account_out_of_use_is_not_written_to(status: str) -> None:
    member_id = await guest()
    await say(member_id, "marketing_sms", True)
    await db.execute("UPDATE member SET status = $1", status)
    assert await queries.answer_for([member_id], "marketing_sms") == set()
    assert await queries.answer_for([member_id], "transaction") == set()


async def test_profiling_is_switched_on_the_member() -> None:
    member_id = await guest()
    await say(member_id, "profiling", False)
    assert await db.fetch_value("SELECT profiling FROM member") is False


async def test_answers_are_history() -> None:
    await say(await guest(), "marketing_sms", True)
    with pytest.raises(IntegrityError, match="history"):
        await db.execute("UPDATE consent SET granted = false")


async def test_unknown_purposes_and_members_are_refused() -> None:
    with pytest.raises(UnknownPurpose):
        await say(await guest(), "world_peace", True)
    with pytest.raises(MemberGone):
        await say(10**6, "marketing_sms", True)


async def test_standing_lists_every_purpose() -> None:
    member_id = await guest()
    await say(member_id, "marketing_sms", True)
    standing = {entry.purpose: entry for entry in await queries.standing(member_id, now=NOW)}
    assert set(standing) == set(rules.PURPOSES)
    assert standing["marketing_sms"].allowed
    assert standing["marketing_sms"].channel == "wechat_oa"
    assert not standing["marketing_wechat"].allowed
