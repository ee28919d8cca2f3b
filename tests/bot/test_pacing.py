import asyncio

from bot.pacing import PACES, WAIT_MAX_S, Breaker, Pacer


async def test_an_account_sends_no_faster_than_its_pace() -> None:
    pacer = Pacer()
    waits = [pacer.reserve("telegram", "main", str(person)) for person in range(26)]
    assert waits[0] == 0
    assert all(wait is not None for wait in waits)
    assert 0.9 < (waits[25] or 0) <= 1.0


async def test_one_person_gets_one_message_a_second() -> None:
    pacer = Pacer()
    first, second = (pacer.reserve("telegram", "main", "7") for _ in range(2))
    assert first == 0
    assert 0.95 < (second or 0) <= PACES["telegram"].per_person_s
    assert (pacer.reserve("telegram", "main", "8") or 0) < 0.2


async def test_a_long_wait_is_not_reserved() -> None:
    pacer = Pacer()
    waits = [pacer.reserve("telegram", "main", "7") for _ in range(20)]
    assert waits.count(None) > 10
    assert max(wait for wait in waits if wait is not None) <= WAIT_MAX_S


async def test_accounts_do_not_wait_for_each_other() -> None:
    pacer = Pacer()
    for _ in range(50):
        pacer.reserve("telegram", "main", "7")
    assert pacer.reserve("telegram", "other", "7") == 0
    assert pacer.reserve("wecom", "main", "7") == 0


async def test_a_breaker_stays_closed_while_less_than_half_fails() -> None:
    breaker = Breaker()
    for number in range(100):
        breaker.tell(failed=number % 3 == 0)
    assert breaker.rests_for() == 0


async def test_a_breaker_opens_at_half_of_twenty_and_closes_after_a_good_probe() -> None:
    breaker = Breaker(rest_s=0.05)
    for number in range(20):
        assert breaker.rests_for() == 0
        breaker.tell(failed=number % 2 == 0)
    breaker.tell(failed=True)
    assert breaker.is_open
    assert 0 < breaker.rests_for() <= 0.05
    await asyncio.sleep(0.06)
    assert breaker.rests_for() == 0
    breaker.tell(failed=True)
    assert breaker.rests_for() > 0
    await asyncio.sleep(0.06)
    breaker.tell(failed=False)
    assert not breaker.is_open
    breaker.tell(failed=True)
    assert not breaker.is_open
