"""One refresher at a time, whatever happens to it."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterable
from datetime import timedelta
from typing import Any

import pytest

from bot.channel import Rejected, RejectReason, Unknown
from bot.tokens import Issued, LeasedTokens, TokenUnavailable
from loyalty import clock, db
from loyalty.credentials import service

pytestmark = pytest.mark.usefixtures("database")
NAME = "wechat/wx1/access_token"


class Platform:
    """Issues numbered tokens and counts how often it was asked."""

    def __init__(self, *, slow_s: float = 0.0) -> None:
        self.asked = 0
        self.forced = 0
        self.number = 1
        self.failing: TokenUnavailable | None = None
        self.rationed = False
        self._slow_s = slow_s

    async def issue(self, force: bool) -> Issued:  # noqa: FBT001 - the shape of `bot.tokens.Issue`
        self.asked += 1
        assert not db.in_unit_of_work()
        await asyncio.sleep(self._slow_s)
        if self.failing is not None:
            raise self.failing
        if force and not self.rationed:
            self.forced += 1
            self.number += 1
        return Issued(f"token-{self.number}", 7200)


async def at_once(calls: Iterable[Coroutine[Any, Any, str]]) -> list[str]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


def processes(platform: Platform, count: int) -> list[LeasedTokens]:
    return [LeasedTokens(NAME, platform.issue) for _ in range(count)]


async def test_thirty_two_processes_cause_one_call() -> None:
    platform = Platform(slow_s=0.05)
    values = await at_once(tokens.current() for tokens in processes(platform, 32))
    assert set(values) == {"token-1"}
    assert platform.asked == 1


async def test_many_tasks_of_one_process_cause_one_call_and_no_more_reads() -> None:
    platform = Platform()
    (tokens,) = processes(platform, 1)
    assert set(await at_once(tokens.current() for _ in range(50))) == {"token-1"}
    await db.execute("DELETE FROM platform_credential")
    assert await tokens.current() == "token-1"
    assert platform.asked == 1


async def test_many_tasks_of_one_process_ask_the_database_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0
    read = service.read

    async def counted(name: str) -> service.Credential | None:
        nonlocal reads
        reads += 1
        return await read(name)

    monkeypatch.setattr(service, "read", counted)
    (tokens,) = processes(Platform(slow_s=0.1), 1)
    await at_once(tokens.current() for _ in range(50))
    assert reads == 2, "before and after the lease; the others find the token in memory"


async def test_a_refresher_that_was_overtaken_takes_what_its_successor_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.tokens.LEASE_S", 0.1)
    slow, quick = Platform(slow_s=0.5), Platform()
    quick.number = 2
    overtaken = LeasedTokens(NAME, slow.issue)
    waiting = asyncio.create_task(overtaken.current())
    await asyncio.sleep(0.2)
    assert await LeasedTokens(NAME, quick.issue).current() == "token-2"
    assert await waiting == "token-2"
    assert await overtaken.current() == "token-2"


async def test_a_rejected_token_is_replaced_once_for_all() -> None:
    platform = Platform(slow_s=0.02)
    everyone = processes(platform, 8)
    await at_once(tokens.current() for tokens in everyone)
    values = await at_once(tokens.renew("token-1") for tokens in everyone)
    assert set(values) == {"token-2"}
    assert platform.forced == 1


async def test_a_token_that_somebody_replaced_is_only_reread() -> None:
    platform = Platform()
    first, second = processes(platform, 2)
    assert await first.current() == await second.current() == "token-1"
    platform.number = 2
    assert await first.renew("token-1") == "token-2"
    asked = platform.asked
    assert await second.renew("token-1") == "token-2"
    assert platform.asked == asked


async def test_a_token_is_refreshed_in_the_last_fifth_of_its_life() -> None:
    platform = Platform()
    (tokens,) = processes(platform, 1)
    await tokens.current()
    clock.shift(timedelta(seconds=7200 * 0.79))
    assert await tokens.current() == "token-1"
    platform.number = 2
    clock.shift(timedelta(seconds=7200 * 0.81))
    assert await tokens.current() == "token-2"


async def test_a_token_that_is_still_valid_serves_while_the_platform_is_away() -> None:
    platform = Platform()
    (tokens,) = processes(platform, 1)
    await tokens.current()
    clock.shift(timedelta(seconds=7200 * 0.9))
    platform.failing = TokenUnavailable(Unknown("away"))
    assert await tokens.current() == "token-1"
    clock.shift(timedelta(seconds=7201))
    with pytest.raises(TokenUnavailable):
        await tokens.current()


async def test_a_refusal_is_told_and_not_asked_again_at_once() -> None:
    platform = Platform()
    refusal = TokenUnavailable(Rejected(RejectReason.CONFIGURATION, "40164", "invalid ip"))
    platform.failing = refusal
    (tokens,) = processes(platform, 1)
    for _ in range(5):
        with pytest.raises(TokenUnavailable) as raised:
            await tokens.current()
        assert raised.value.result == refusal.result
    assert platform.asked == 1
    platform.failing = None
    clock.shift(timedelta(seconds=2))
    assert await tokens.current() == "token-1"


async def test_a_refused_token_that_is_issued_again_is_tried_later_and_stops_nothing() -> None:
    platform = Platform()
    (tokens,) = processes(platform, 1)
    assert await tokens.current() == "token-1"
    platform.rationed = True
    with pytest.raises(TokenUnavailable) as raised:
        await tokens.renew("token-1")
    assert isinstance(raised.value.result, Rejected)
    assert raised.value.result.reason is RejectReason.RATE
    platform.rationed = False
    clock.shift(timedelta(seconds=2))
    assert await tokens.renew("token-1") == "token-2"


async def test_a_holder_that_dies_in_its_call_delays_but_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.tokens.LEASE_S", 0.2)
    dead = Platform(slow_s=60)
    dying = asyncio.create_task(LeasedTokens(NAME, dead.issue).current())
    await asyncio.sleep(0.05)
    # The process is gone without a word: its lease stays until it runs out.
    monkeypatch.setattr(LeasedTokens, "_release", _nothing)
    dying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await dying
    platform = Platform()
    assert await LeasedTokens(NAME, platform.issue).current() == "token-1"
    assert (dead.asked, platform.asked) == (1, 1)


async def _nothing(_self: LeasedTokens, _epoch: int) -> None:
    return
