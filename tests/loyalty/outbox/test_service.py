"""The outbox's verbs: queued once, leased to one, fenced by epoch, finished with one outcome."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from loyalty import bell, db
from loyalty.outbox import queries
from loyalty.outbox import service as outbox
from loyalty.outbox.service import TRANSACTION, Claimed, Finish, LostLeases, Notice
from tests.loyalty.people import NOW
from tests.loyalty.processes import at_once, side_by_side

pytestmark = pytest.mark.usefixtures("database")

LEASE = timedelta(seconds=45)
MINUTE = timedelta(minutes=1)
ACCEPTED = Finish(status="accepted", platform_message_id="p1")


def notice(key: str = "n", **values: Any) -> Notice:
    given: dict[str, Any] = {
        "key": key,
        "notice": "tier_raised",
        "send_class": "service_notice",
        "purpose": TRANSACTION,
        "member_id": 1,
        "due_at": NOW,
        "give_up_at": NOW + timedelta(days=1),
    }
    return Notice(**{**given, **values})


async def queue(*notices: Notice) -> None:
    async with db.unit_of_work():
        await outbox.queue(*notices, now=NOW)


async def claim(*, now: datetime = NOW, batch_max: int = 10) -> list[Claimed]:
    async with db.unit_of_work():
        return await outbox.claim_due(now=now, batch_max=batch_max, lease=LEASE)


async def one() -> Claimed:
    """The only message, queued and leased."""
    await queue(notice())
    (message,) = await claim()
    return message


async def begin(message: Claimed, *, at: datetime = NOW) -> bool:
    return await outbox.begin(message, channel="telegram", account="main", route="message", lease_until=at + LEASE)


async def became(key: str = "n") -> tuple[str, str | None]:
    return (await queries.outcomes([key]))[key]


async def test_a_key_is_queued_once_and_keeps_its_first_words() -> None:
    await queue(notice(params={"tier": "gold"}))
    await queue(notice(params={"tier": "silver"}), notice("m"))
    assert {message.key: message.params for message in await claim()} == {"n": {"tier": "gold"}, "m": {}}


async def test_queueing_rings_and_queueing_nothing_does_not() -> None:
    rung: list[frozenset[str]] = []
    bell.listen(rung.append)
    try:
        await queue()
        assert rung == []
        await queue(notice())
    finally:
        bell.unlisten(rung.append)
    assert rung == [frozenset({"outbox"})]


async def test_the_oldest_due_come_first_and_what_is_not_due_waits() -> None:
    await queue(*(notice(f"n{number}", due_at=NOW - number * MINUTE) for number in (1, 3, 2, -1)))
    assert [message.key for message in await claim(batch_max=2)] == ["n3", "n2"]
    assert [message.key for message in await claim()] == ["n1"]
    assert [message.key for message in await claim(now=NOW + MINUTE)] == ["n-1"]


async def _claims(count: int) -> list[str]:
    claimed = await asyncio.gather(*(claim(batch_max=3) for _ in range(count)))
    return [message.key for batch in claimed for message in batch]


async def test_senders_of_several_processes_share_and_never_double(database_url: str) -> None:
    await queue(*(notice(f"n{number}") for number in range(40)))
    claimed = [key for keys in await at_once(database_url, _claims, [(5,), (5,), (5,)]) for key in keys]
    assert len(claimed) == len(set(claimed)) == 40


async def test_nothing_is_sent_on_a_lease_that_was_given_to_another() -> None:
    message = await one()
    assert await outbox.settle_lost_leases(now=NOW + LEASE + MINUTE, batch_max=10) == LostLeases(1, 0)
    (again,) = await claim(now=NOW + MINUTE)
    assert again.epoch > message.epoch
    assert not await begin(message)
    assert not await outbox.finish(message, ACCEPTED, now=NOW)
    assert not await outbox.retry_at(message, NOW, code="x")
    assert await outbox.give_back([message]) == 0
    assert await begin(again)
    assert await outbox.finish(again, ACCEPTED, now=NOW)
    assert await became() == ("accepted", None)


async def test_a_lease_that_ran_out_before_anything_was_sent_is_queued_again() -> None:
    await one()
    assert await outbox.settle_lost_leases(now=NOW + LEASE - MINUTE, batch_max=10) == LostLeases(0, 0)
    assert await outbox.settle_lost_leases(now=NOW + LEASE + MINUTE, batch_max=10) == LostLeases(1, 0)
    assert len(await claim()) == 1


async def test_a_sender_that_died_while_sending_leaves_an_unknown_outcome() -> None:
    message = await one()
    assert await begin(message)
    assert await outbox.settle_lost_leases(now=NOW + LEASE + MINUTE, batch_max=10) == LostLeases(0, 1)
    assert await became() == ("unknown", "lease_lost")
    assert await claim(now=NOW + timedelta(hours=1)) == []


async def test_a_slow_sender_still_knows_better_than_unknown() -> None:
    message = await one()
    await begin(message)
    await outbox.settle_lost_leases(now=NOW + LEASE + MINUTE, batch_max=10)
    assert await outbox.finish(message, ACCEPTED, now=NOW + 2 * MINUTE)
    assert await became() == ("accepted", None)


async def test_an_outcome_is_final() -> None:
    message = await one()
    await begin(message)
    await outbox.finish(message, ACCEPTED, now=NOW)
    assert not await outbox.finish(message, Finish(status="rejected", code="late"), now=NOW)
    assert not await outbox.retry_at(message, NOW, code="late")
    assert not await begin(message)
    assert await became() == ("accepted", None)


async def test_a_refused_message_waits_until_its_time() -> None:
    message = await one()
    await begin(message)
    assert await outbox.retry_at(message, NOW + MINUTE, code="45009 " + "x" * 60)
    assert await claim() == []
    (again,) = await claim(now=NOW + MINUTE)
    assert again.attempts == message.attempts + 1
    assert len((await became())[1] or "") == 40


async def test_what_an_ending_sender_did_not_begin_is_given_back_uncounted() -> None:
    await queue(notice("a"), notice("b"))
    begun, waiting = await claim()
    await begin(begun)
    assert await outbox.give_back([begun, waiting]) == 1
    (again,) = await claim()
    assert (again.key, again.attempts) == (waiting.key, 1)


async def test_two_senders_cannot_both_finish() -> None:
    message = await one()
    await begin(message)
    finishes = [outbox.finish(message, ACCEPTED, now=NOW) for _ in range(5)]
    assert sorted(await side_by_side(finishes)) == [False, False, False, False, True]


async def test_nothing_more_goes_to_who_closed_the_account() -> None:
    await queue(notice("mine"), notice("sending"), notice("other", member_id=2))
    claimed = {message.key: message for message in await claim()}
    await begin(claimed["sending"])
    await outbox.give_back([claimed["mine"], claimed["other"]])
    assert await outbox.withdraw([1], now=NOW) == 1
    assert await became("mine") == ("suppressed", "member_closed")
    assert [message.key for message in await claim()] == ["other"]


async def test_a_late_report_changes_only_what_was_accepted_by_that_account() -> None:
    message = await one()
    await begin(message)
    await outbox.report_delivery("p1", account="main", status="rejected", code="user_block")
    await outbox.finish(message, ACCEPTED, now=NOW)
    await outbox.report_delivery("p1", account="another", status="rejected", code="user_block")
    assert await became() == ("accepted", None)
    await outbox.report_delivery("p1", account="main", status="rejected", code="user_block")
    assert await became() == ("rejected", "user_block")


async def test_a_late_report_does_not_overrule_a_refusal() -> None:
    message = await one()
    await begin(message)
    await outbox.finish(message, Finish(status="rejected", platform_message_id="p1", code="43101"), now=NOW)
    await outbox.report_delivery("p1", account="main", status="accepted", code="")
    assert await became() == ("rejected", "43101")


async def test_the_backlog_counts_what_waits_and_how_long() -> None:
    assert await queries.backlog(now=NOW) == queries.Backlog(0, 0, 0.0)
    await queue(notice("late", due_at=NOW - 7 * MINUTE), notice("later", due_at=NOW + MINUTE))
    assert await queries.backlog(now=NOW) == queries.Backlog(queued=2, due=1, oldest_age_s=420.0)
    (message,) = await claim()
    await begin(message)
    await outbox.finish(message, ACCEPTED, now=NOW)
    assert (await queries.backlog(now=NOW)).due == 0
