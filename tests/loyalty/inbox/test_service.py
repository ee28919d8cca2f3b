"""The inbox: the first delivery of a key works, every other one gets its answer, also while the first is at work."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from loyalty import db
from loyalty.inbox import service as inbox
from loyalty.inbox.service import FIRST, KEY_LENGTH_MAX, Delivery, First, Repeat, Reservation
from tests.loyalty.people import NOW
from tests.loyalty.processes import at_once, side_by_side, tally

pytestmark = pytest.mark.usefixtures("database")

SOURCE = "wechat_oa/main"


async def reserve(key: str = "k", *, source: str = SOURCE) -> Reservation:
    async with db.unit_of_work():
        return await inbox.reserve(source, key, kind="text", now=NOW)


async def answer(key: str, said: object) -> Reservation:
    """What a whole delivery does: reserve, work, keep the answer, in one unit of work."""
    async with db.unit_of_work():
        reservation = await inbox.reserve(SOURCE, key, kind="text", now=NOW)
        if reservation is FIRST:
            await db.fetch_value("SELECT pg_sleep(0.02)")
            await inbox.keep_answer(SOURCE, key, said)
        return reservation


async def answer_many(keys: Sequence[str], said: str = "said") -> list[Reservation]:
    """What a batch of deliveries does: look up, work, file, in one unit of work, and again when overtaken."""

    async def work() -> list[Reservation]:
        async with db.unit_of_work():
            found = await inbox.look_up(SOURCE, keys)
            await db.fetch_value("SELECT pg_sleep(0.02)")
            firsts = [key for key, reservation in zip(keys, found, strict=True) if isinstance(reservation, First)]
            await inbox.file(SOURCE, [(Delivery(key, "text"), f"{said} {key}") for key in firsts], now=NOW)
            return found

    return await db.retried(work)


async def test_a_repeat_gets_the_first_answer_and_not_a_new_one() -> None:
    assert await answer("k", {"text": "签到成功"}) is FIRST
    assert await answer("k", {"text": "another"}) == Repeat({"text": "签到成功"})


async def test_a_key_belongs_to_its_source() -> None:
    assert await reserve("k") is FIRST
    assert await reserve("k", source="telegram/main") is FIRST
    assert await reserve("k") == Repeat(None)


@pytest.mark.parametrize("said", [None, [], {}, "", 0, {"深": [1, {"x": None}]}])
async def test_any_answer_comes_back_as_it_was(said: object) -> None:
    await answer("k", said)
    assert await reserve("k") == Repeat(said)


async def test_a_batch_answers_in_order_and_a_key_twice_in_it_is_first_once() -> None:
    await answer("b", "known")
    assert await answer_many("cabca") == [FIRST, FIRST, Repeat("known"), Repeat(None), Repeat(None)]
    assert await answer_many("abc") == [Repeat("said a"), Repeat("known"), Repeat("said c")]


async def test_looking_up_takes_nothing() -> None:
    async with db.unit_of_work():
        assert await inbox.look_up(SOURCE, ["k"]) == [FIRST]
    assert await reserve("k") is FIRST


async def test_who_files_second_does_nothing_and_hears_the_first_answer() -> None:
    looked, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with db.unit_of_work():
            assert await inbox.look_up(SOURCE, ["k", "other"]) == [FIRST, FIRST]
            looked.set()
            await go_on.wait()
            await inbox.file(SOURCE, [(Delivery(key, "text"), "second") for key in ("k", "other")], now=NOW)

    filing = asyncio.create_task(slow())
    await looked.wait()
    await answer("k", "first")
    go_on.set()
    with pytest.raises(db.Overtaken):
        await filing
    assert await reserve("other") is FIRST
    assert await answer_many(["k"]) == [Repeat("first")]


async def test_batches_that_overlap_are_answered_once_each() -> None:
    keys = [f"k{number}" for number in range(6)]
    found = await side_by_side([answer_many(keys[at : at + 3], f"by {at}") for at in range(4)])
    assert sum(batch.count(FIRST) for batch in found) == len(keys)
    again = await answer_many(keys)
    for at, batch in enumerate(found):
        for key, reservation in zip(keys[at : at + 3], batch, strict=True):
            said = reservation if isinstance(reservation, Repeat) else Repeat(f"by {at} {key}")
            assert again[keys.index(key)] == said


async def test_what_nobody_handles_is_kept() -> None:
    async with db.unit_of_work():
        await inbox.file(SOURCE, [(Delivery("k", "event", {"Event": "brand_new_event"}), None)], now=NOW)
    assert "brand_new_event" in await db.fetch_value("SELECT fields_kept FROM inbox WHERE key = 'k'")


async def test_a_rollback_gives_the_key_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await _fail_after_reserving()
    assert await reserve("k") is FIRST


async def _fail_after_reserving() -> None:
    async with db.unit_of_work():
        await inbox.reserve(SOURCE, "k", kind="text", now=NOW)
        raise ZeroDivisionError


async def test_a_delivery_waits_for_the_first_one_and_reads_its_answer() -> None:
    found = await side_by_side([answer("k", "said") for _ in range(15)])
    assert sorted(map(str, found)) == sorted([str(FIRST), *[str(Repeat("said"))] * 14])


async def test_a_delivery_that_waited_for_a_rollback_becomes_the_first() -> None:
    reserved = asyncio.Event()

    async def fails() -> None:
        async with db.unit_of_work():
            await inbox.reserve(SOURCE, "k", kind="text", now=NOW)
            reserved.set()
            await db.fetch_value("SELECT pg_sleep(0.1)")
            raise ZeroDivisionError

    failing = asyncio.create_task(fails())
    await reserved.wait()
    assert await answer("k", "second") is FIRST
    with pytest.raises(ZeroDivisionError):
        await failing


async def _deliver(keys: list[str]) -> dict[str, int]:
    async def one(key: str) -> bool:
        return await db.retried(lambda: answer(key, key)) is FIRST

    firsts = await asyncio.gather(*(one(key) for key in keys))
    return {key: int(first) for key, first in zip(keys, firsts, strict=True)}


async def test_each_key_is_first_once_over_several_processes(database_url: str) -> None:
    keys = [f"k{number}" for number in range(20)]
    heard = tally(await at_once(database_url, _deliver, [(keys,), (keys[::-1],), (keys,)]))
    assert set(heard.values()) == {1}


async def _file_batches(keys: list[str]) -> int:
    """Both orders at once, turn by turn; how many of them were first."""
    firsts = 0
    for turn in range(5):
        named = [f"{turn}:{key}" for key in keys]
        found = await side_by_side([answer_many(named), answer_many(named[::-1])])
        firsts += sum(batch.count(FIRST) for batch in found)
    return firsts


async def test_batches_in_opposite_order_do_not_deadlock(database_url: str) -> None:
    keys = [f"k{number:04}" for number in range(1000)]
    assert sum(await at_once(database_url, _file_batches, [(keys,), (keys[::-1],)])) == 5000


async def test_keys_longer_than_the_column_stay_distinct() -> None:
    long = "x" * (KEY_LENGTH_MAX + 50)
    assert await answer(long + "1", "one") is FIRST
    assert await answer(long + "2", "two") is FIRST
    assert await reserve(long + "1") == Repeat("one")
    assert await reserve("x" * KEY_LENGTH_MAX) is FIRST


async def test_more_can_be_added_to_an_answer_that_was_given() -> None:
    await answer("k", {"text": "said"})
    async with db.unit_of_work():
        await inbox.amend_answer(SOURCE, "k", {"followed_up": True})
    assert await reserve("k") == Repeat({"text": "said", "followed_up": True})


async def test_old_entries_go_by_the_batch_and_young_ones_stay() -> None:
    for number in range(5):
        async with db.unit_of_work():
            await inbox.reserve(SOURCE, f"k{number}", kind="text", now=NOW + timedelta(days=number))
    assert await inbox.forget_before(NOW + timedelta(days=3), batch_max=2) == 2
    assert await inbox.forget_before(NOW + timedelta(days=3), batch_max=2) == 1
    assert await db.fetch_value("SELECT array_agg(key ORDER BY key) FROM inbox") == ["k3", "k4"]
