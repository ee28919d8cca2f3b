"""What a refusal teaches, and what becomes of a message whose answer is lost."""

from datetime import timedelta

import pytest

from bot.accounts import NoticeTemplate
from bot.channel import Outgoing, RejectReason, Unknown
from loyalty import clock, db
from loyalty.outbox import service as outbox
from scheduler.outbox import settle_lost_leases
from tests.bot.sending import FIELDS, at_noon, granted, official, rejected, window_left
from tests.scheduler.stage import Platform, due_now, hands, outcome, person, queued, send_all, spoke


@pytest.fixture(autouse=True)
async def _noon(database: None) -> None:
    await at_noon()


# --- what refusals teach ------------------------------------------------------------------------


async def test_a_member_who_blocked_us_is_not_tried_again() -> None:
    telegram = Platform("telegram", results=[rejected(RejectReason.BLOCKED, "403")])
    who = await person("telegram")
    first = await queued(who.member_id)
    await send_all(hands(telegram))
    await due_now(first)
    await queued(who.member_id)
    await send_all(hands(telegram))
    assert len(telegram.sent) == 1
    assert await db.fetch_value("SELECT state FROM channel_identity") == "blocked"


async def test_somebody_who_speaks_again_after_a_block_is_answered_in_that_window() -> None:
    platform = official(rejected(RejectReason.BLOCKED, "48002"))
    who = await person("wechat_oa")
    await spoke(who)
    key = await queued(who.member_id)
    await send_all(hands(platform))
    await spoke(who)
    await due_now(key)
    await send_all(hands(platform))
    assert await outcome(key) == ("accepted", None)


async def test_a_window_that_the_platform_denies_is_closed_and_the_next_way_is_taken_at_once() -> None:
    platform = official(rejected(RejectReason.NO_WINDOW, "45015"), template=NoticeTemplate("t1", FIELDS))
    who = await person("wechat_oa")
    await spoke(who)
    key = await queued(who.member_id)
    await send_all(hands(platform))
    assert [message.route for message in platform.sent] == ["customer_service", "template"]
    assert await outcome(key) == ("accepted", None)
    assert await window_left(who) == 0


async def test_a_grant_that_the_platform_denies_is_zero_here_too() -> None:
    platform = official(rejected(RejectReason.NO_GRANT, "43101"), subscribe=NoticeTemplate("s1", FIELDS))
    who = await person("wechat_oa")
    await granted(who)
    await granted(who)
    await queued(who.member_id)
    await send_all(hands(platform))
    assert await db.fetch_value("SELECT remaining FROM reach_grant") == 0


async def test_a_busy_platform_is_tried_again_after_the_pause_it_asked_for() -> None:
    telegram = Platform("telegram", results=[rejected(RejectReason.RATE, "429", 17)])
    who = await person("telegram")
    key = await queued(who.member_id)
    await send_all(hands(telegram))
    assert await outcome(key) == ("queued", "429")
    pause = await db.fetch_value("SELECT due_at FROM outbox") - await db.now()
    assert timedelta(seconds=15) < pause <= timedelta(seconds=17)
    await due_now(key)
    await send_all(hands(telegram))
    assert await outcome(key) == ("accepted", None)
    assert len({message.client_message_id for message in telegram.sent}) == 1


async def test_a_refused_message_gives_its_place_in_the_window_back() -> None:
    platform = official(rejected(RejectReason.RATE, "45011"))
    who = await person("wechat_oa")
    await spoke(who)
    await queued(who.member_id)
    await send_all(hands(platform))
    assert await window_left(who) == 5


async def test_a_used_up_quota_stops_the_route_for_everybody_until_it_is_filled() -> None:
    platform = official(rejected(RejectReason.QUOTA, "45009", 3600), template=NoticeTemplate("t1", FIELDS))
    first, second = await person("wechat_oa"), await person("wechat_oa")
    keys = [await queued(first.member_id)]
    await send_all(hands(platform))
    keys.append(await queued(second.member_id))
    for key in keys:
        await due_now(key)
    # Another process, which reads it from the database.
    await send_all(hands(platform))
    assert len(platform.sent) == 1
    assert {await outcome(key) for key in keys} == {("queued", "resting")}
    clock.shift(clock.offset() + timedelta(seconds=3601))
    await send_all(hands(platform))
    assert {await outcome(key) for key in keys} == {("accepted", None)}


async def test_another_way_is_taken_while_one_rests() -> None:
    platform = official(rejected(RejectReason.QUOTA, "45009", 3600), template=NoticeTemplate("t1", FIELDS))
    who = await person("wechat_oa")
    await spoke(who)
    key = await queued(who.member_id)
    await send_all(hands(platform))
    assert [message.route for message in platform.sent] == ["customer_service", "template"]
    assert await outcome(key) == ("accepted", None)
    assert await window_left(who) == 5


async def test_words_that_the_platform_refuses_are_not_repeated() -> None:
    telegram = Platform("telegram", results=[rejected(RejectReason.CONTENT, "400")])
    who = await person("telegram")
    key = await queued(who.member_id)
    await send_all(hands(telegram))
    assert await outcome(key) == ("rejected", "400")


# --- unknown ------------------------------------------------------------------------------------


async def test_a_lost_answer_is_unknown_and_not_sent_again() -> None:
    telegram = Platform("telegram", results=[Unknown("timeout")])
    who = await person("telegram")
    key = await queued(who.member_id)
    await send_all(hands(telegram))
    await send_all(hands(telegram))
    assert (len(telegram.sent), await outcome(key)) == (1, ("unknown", "unknown"))


async def test_a_lost_answer_is_asked_for_again_where_the_platform_drops_the_second_copy() -> None:
    platform = official(Unknown("timeout"), template=NoticeTemplate("t1", FIELDS))
    who = await person("wechat_oa")
    key = await queued(who.member_id)
    await send_all(hands(platform, ask_again_after_s=0))
    assert await outcome(key) == ("accepted", None)
    assert len({message.client_message_id for message in platform.sent}) == 1
    assert len(platform.sent) == 2


async def test_a_sender_that_died_before_sending_costs_nothing() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    key = await queued(who.member_id)
    async with db.unit_of_work():
        assert len(await outbox.claim_due(now=await db.now(), batch_max=5, lease=timedelta(seconds=5))) == 1
    await send_all(hands(telegram))
    assert telegram.sent == []
    clock.shift(clock.offset() + timedelta(seconds=6))
    await settle_lost_leases(hands(telegram))
    await send_all(hands(telegram))
    assert (len(telegram.sent), await outcome(key)) == (1, ("accepted", None))


async def test_a_sender_that_died_while_sending_leaves_the_outcome_unknown() -> None:
    telegram = Platform("telegram")
    who = await person("telegram")
    key = await queued(who.member_id)
    async with db.unit_of_work():
        (claimed,) = await outbox.claim_due(now=await db.now(), batch_max=5, lease=timedelta(seconds=5))
        until = await db.now() + timedelta(seconds=5)
        assert await outbox.begin(claimed, channel="telegram", account="main", route="message", lease_until=until)
    clock.shift(clock.offset() + timedelta(seconds=6))
    await settle_lost_leases(hands(telegram))
    await send_all(hands(telegram))
    assert (telegram.sent, await outcome(key)) == ([], ("unknown", "lease_lost"))


async def test_a_sender_that_lost_its_lease_sends_nothing_and_records_nothing() -> None:
    telegram = Platform("telegram")
    ours = hands(telegram)
    who = await person("telegram")
    key = await queued(who.member_id)
    async with db.unit_of_work():
        (slow,) = await outbox.claim_due(now=await db.now(), batch_max=5, lease=timedelta(seconds=5))
    clock.shift(clock.offset() + timedelta(seconds=6))
    await settle_lost_leases(ours)
    await send_all(ours)
    await ours.outbound.deliver(slow)
    assert (len(telegram.sent), await outcome(key)) == (1, ("accepted", None))


async def test_an_answer_that_comes_after_the_lease_is_still_recorded() -> None:
    telegram = Platform("telegram")
    ours = hands(telegram)

    async def lease_runs_out(_: Outgoing) -> None:
        clock.shift(clock.offset() + timedelta(minutes=1))
        await settle_lost_leases(ours)
        assert await outcome(key) == ("unknown", "lease_lost")

    telegram.before = lease_runs_out
    key = await queued((await person("telegram")).member_id)
    await send_all(ours)
    assert await outcome(key) == ("accepted", None)


async def test_a_worker_that_is_told_to_stop_gives_back_what_it_did_not_begin() -> None:
    telegram = Platform("telegram")
    ours = hands(telegram)

    async def stop(_: Outgoing) -> None:
        ours.stopping.set()

    telegram.before = stop
    keys = [await queued((await person("telegram")).member_id) for _ in range(12)]
    await send_all(ours)
    states = [await outcome(key) for key in keys]
    assert states.count(("queued", None)) == 12 - len(telegram.sent) > 0
    await send_all(hands(telegram))
    assert len(telegram.sent) == 12
