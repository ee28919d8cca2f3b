"""By which way a message leaves, and what it needs for that at the moment of sending."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.accounts import NoticeTemplate
from bot.channel import Outgoing, Unknown
from bot.notice_facts import GATHERED, say
from bot.send_policies import POLICIES, SHARED_FACTS
from loyalty import clock, db
from loyalty.identity import service as identity
from loyalty.outbox import service as outbox
from loyalty.reach import service as reach
from loyalty.reach.rules import Act
from scheduler.outbox import send_due
from tests.bot.sending import (
    FIELDS,
    allow_marketing,
    at_noon,
    granted,
    marketing,
    official,
    window_left,
)
from tests.loyalty import shop
from tests.loyalty.people import at_once
from tests.scheduler.stage import TIER, Platform, due_now, hands, outcome, person, queued, send_all, spoke


@pytest.fixture(autouse=True)
async def _noon(database: None) -> None:
    await at_noon()


async def test_a_tier_notice_follows_a_purchase_by_itself() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await shop.bought(who.member_id, 600_00, now=await db.now())
    await send_all(hands(telegram))
    assert len(telegram.sent) == 1
    assert "银卡" in telegram.sent[0].reply.text
    assert await outcome(await db.fetch_value("SELECT key FROM outbox")) == ("accepted", None)


# --- choosing -----------------------------------------------------------------------------------


async def test_an_open_window_is_used_before_anything_else() -> None:
    platform = official(template=NoticeTemplate("t1", FIELDS), subscribe=NoticeTemplate("s1", FIELDS))
    who = await person("wechat_oa")
    await spoke(who)
    await granted(who)
    await queued(who.member_id)
    await send_all(hands(platform))
    assert [message.route for message in platform.sent] == ["customer_service"]
    assert await window_left(who) == 4


async def test_a_grant_is_used_when_no_window_is_open_and_only_once() -> None:
    platform = official(subscribe=NoticeTemplate("s1", FIELDS, page="/m/tier"))
    who = await person("wechat_oa")
    await granted(who)
    first, second = await queued(who.member_id), await queued(who.member_id)
    await send_all(hands(platform))
    assert [(m.route, m.template_id, m.page) for m in platform.sent] == [("subscribe", "s1", "/m/tier")]
    assert platform.sent[0].template_data == {"thing1": "银卡会员", "date2": "2026-11-21"}
    assert sorted([await outcome(first), await outcome(second)]) == [("accepted", None), ("queued", "unreachable")]


async def test_a_template_carries_a_receipt_but_never_marketing_nor_a_reminder() -> None:
    platform = official(template=NoticeTemplate("t1", FIELDS))
    platform.templates["birthday", "template"] = NoticeTemplate("t2", {})
    who = await person("wechat_oa")
    await allow_marketing(who, "marketing_wechat")
    receipt, advertisement = await queued(who.member_id), await marketing(who)
    reminder = await queued(who.member_id, notice="birthday", params={"points": 1})
    await send_all(hands(platform))
    assert [message.template_id for message in platform.sent] == ["t1"]
    assert await outcome(receipt) == ("accepted", None)
    assert await outcome(advertisement) == ("queued", "unreachable")
    assert await outcome(reminder) == ("suppressed", "unreachable")


async def test_a_refused_template_subscription_is_no_grant() -> None:
    platform = official(subscribe=NoticeTemplate("s1", FIELDS))
    who = await person("wechat_oa")
    await granted(who)
    async with db.unit_of_work():
        await reach.record_choices(who.identity_id, {"s1": "reject"}, managed=True, now=await db.now())
    key = await queued(who.member_id)
    await send_all(hands(platform))
    assert (platform.sent, await outcome(key)) == ([], ("queued", "unreachable"))


async def test_a_short_window_is_used_up_before_the_long_one() -> None:
    who = await person("wechat_oa")
    await spoke(who, act=Act.MESSAGE)
    await spoke(who, act=Act.ACTION)
    async with db.unit_of_work():
        assert await reach.take_window(who.identity_id, now=await db.now()) == "action"
    assert await window_left(who) == 7


async def test_a_window_that_ended_does_not_count() -> None:
    platform = official()
    who = await person("wechat_oa")
    await spoke(who, act=Act.ACTION)
    clock.shift(clock.offset() + timedelta(minutes=2))
    key = await queued(who.member_id)
    await send_all(hands(platform))
    assert (platform.sent, await outcome(key)) == ([], ("queued", "unreachable"))


async def test_a_waiting_notice_leaves_once_a_window_opens() -> None:
    platform = official()
    who = await person("wechat_oa")
    key = await queued(who.member_id)
    await send_all(hands(platform))
    assert await outcome(key) == ("queued", "unreachable")
    await spoke(who)
    await send_all(hands(platform))
    assert await outcome(key) == ("accepted", None)


async def test_messages_to_many_do_not_delay_what_somebody_waits_for() -> None:
    telegram, who = Platform("telegram"), await person("telegram")
    for _ in range(3):
        other = await person("telegram")
        await queued(other.member_id, notice="birthday", params={"points": 1}, bulk=True)
    key = await queued(who.member_id)
    await send_due(hands(telegram))
    assert len(telegram.sent) == 1
    assert await outcome(key) == ("accepted", None)


async def test_words_are_in_the_language_of_the_person() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await db.execute("UPDATE channel_identity SET locale = 'en'")
    await queued(who.member_id)
    await send_all(hands(telegram))
    assert "Silver" in telegram.sent[0].reply.text


async def test_somebody_who_left_is_not_written_to() -> None:
    platform, telegram = official(template=NoticeTemplate("t1", FIELDS)), Platform("telegram")
    who = await person("wechat_oa")
    await spoke(who)
    async with db.unit_of_work():
        await identity.left(who.identity_id, now=await db.now())
    key = await queued(who.member_id)
    await send_all(hands(platform, telegram))
    assert (platform.sent, await outcome(key)) == ([], ("queued", "unreachable"))


# --- consent, quiet hours, caps -----------------------------------------------------------------


async def test_marketing_needs_the_consent_of_the_channel_that_carries_it() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await allow_marketing(who, "marketing_wechat")
    key = await marketing(who)
    await send_all(hands(telegram))
    assert (telegram.sent, await outcome(key)) == ([], ("suppressed", "no_consent"))


async def test_consent_withdrawn_after_queueing_counts_at_the_moment_of_sending() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await allow_marketing(who)
    key = await marketing(who)
    await allow_marketing(who, allow=False)
    await send_all(hands(telegram))
    assert (telegram.sent, await outcome(key)) == ([], ("suppressed", "no_consent"))


async def test_marketing_to_a_wecom_customer_is_a_send_that_staff_confirm() -> None:
    wecom = Platform("wecom")
    who = await person("wecom")
    async with db.unit_of_work():
        await reach.served_by(who.identity_id, "zhang")
    await allow_marketing(who, "marketing_wecom")
    receipt, advertisement = await queued(who.member_id), await marketing(who)
    await send_all(hands(wecom))
    assert [(message.route, message.token) for message in wecom.sent] == [("group_send", "zhang")]
    assert (await outcome(receipt), await outcome(advertisement)) == (("queued", "unreachable"), ("accepted", None))


async def test_marketing_comes_once_a_day() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    await allow_marketing(who)
    first = await marketing(who)
    await send_all(hands(telegram))
    second = await marketing(who)
    await send_all(hands(telegram))
    assert (await outcome(first), await outcome(second)) == (("accepted", None), ("queued", "frequency_cap"))


async def test_reminders_wait_for_the_morning_and_receipts_do_not() -> None:
    clock.shift(datetime(2026, 11, 21, 14, tzinfo=UTC) - await db.now() + clock.offset())
    telegram = Platform("telegram")
    who = await person("telegram")
    receipt = await queued(who.member_id)
    reminder = await queued(who.member_id, notice="birthday", params={"points": 5})
    await send_all(hands(telegram))
    assert (await outcome(receipt), await outcome(reminder)) == (("accepted", None), ("queued", "quiet_hours"))
    due_at = await db.fetch_value("SELECT due_at FROM outbox WHERE key = $1", reminder)
    assert due_at == datetime(2026, 11, 22, 0, tzinfo=UTC)


async def test_what_is_too_late_is_not_sent() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    key = await queued(who.member_id, give_up_at=await db.now())
    await send_all(hands(telegram))
    assert (telegram.sent, await outcome(key)) == ([], ("expired", "too_late"))


async def test_a_closed_account_is_not_written_to() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    key = await queued(who.member_id)
    await db.execute("UPDATE member SET status = 'closed'")
    await send_all(hands(telegram))
    assert (telegram.sent, await outcome(key)) == ([], ("suppressed", "member_closed"))


# --- one bad message ----------------------------------------------------------------------------


async def test_a_broken_message_fails_alone_and_ends_dead() -> None:
    telegram = Platform("telegram")
    who, other = await person("telegram"), await person("telegram")
    broken = await queued(who.member_id, params={})
    fine = await queued(other.member_id)
    ours = hands(telegram)
    await send_all(ours)
    assert (await outcome(fine), await outcome(broken)) == (("accepted", None), ("queued", "broken"))
    for _ in range(8):
        await due_now(broken)
        await send_all(ours)
    assert await outcome(broken) == ("rejected", "broken")


async def test_an_api_that_fails_is_left_alone_and_the_messages_wait() -> None:
    telegram = Platform("telegram", results=[Unknown("timeout")] * 40)
    for _ in range(40):
        await queued((await person("telegram")).member_id)
    await send_all(hands(telegram))
    # Twenty to find out, and whatever was under way then.
    assert 20 <= len(telegram.sent) < 26
    waiting = await db.fetch_value("SELECT count(*) FROM outbox WHERE status = 'queued' AND code = 'resting'")
    assert waiting == 40 - len(telegram.sent)


async def test_two_senders_at_once_send_each_message_once(database_url: str) -> None:
    telegram = Platform("telegram")
    keys = [await queued((await person("telegram")).member_id) for _ in range(20)]
    one, other = hands(telegram), hands(telegram)
    await at_once(send_all(one), send_all(other))
    assert len(telegram.sent) == 20
    assert {await outcome(key) for key in keys} == {("accepted", None)}


async def test_two_senders_never_share_the_last_message_of_a_window() -> None:
    platform = official()

    async def slow(_: Outgoing) -> None:
        await db.fetch("SELECT pg_sleep(0.05)")

    platform.before = slow
    who = await person("wechat_oa")
    await spoke(who, act=Act.ACTION)
    for _ in range(8):
        await queued(who.member_id)
    await at_once(send_all(hands(platform)), send_all(hands(platform)))
    assert len(platform.sent) == 3
    assert await window_left(who) == 0


@pytest.mark.parametrize(
    ("notice", "params"),
    [("tier_raised", TIER), ("birthday", {"points": 5, "year": 2026})],
)
async def test_what_a_template_may_be_filled_with_is_there(notice: str, params: dict[str, object]) -> None:
    who = await person("telegram")
    await queued(who.member_id, notice=notice, params=params)
    async with db.unit_of_work():
        (claimed,) = await outbox.claim_due(now=await db.now(), batch_max=1, lease=timedelta(seconds=5))
    said = await say(claimed, "en", now=await db.now())
    assert said is not None
    assert set(said.facts) >= POLICIES[notice].facts | SHARED_FACTS


def test_every_notice_that_is_queued_anywhere_has_a_policy_and_words() -> None:
    assert set(GATHERED) | {"phone_code"} == set(POLICIES)
