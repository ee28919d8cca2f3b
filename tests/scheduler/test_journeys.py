from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from loyalty import clock, db
from loyalty.journeys import rules
from loyalty.journeys import service as journeys
from loyalty.journeys.service import Advanced
from loyalty.ledger import queries as ledger
from loyalty.members import service as members
from scheduler.sweeps import birthdays
from tests.loyalty import processes
from tests.loyalty.people import at_once
from tests.scheduler.stage import Platform, hands, person, send_all

# 10:30 in Shanghai, where the birthday begins at midnight and is greeted at ten.
MORNING = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
BORN = date(1990, 11, 21)
NODES = Path(rules.__file__).with_name("nodes")


async def celebrant(born: date = BORN, *, now: datetime = MORNING - timedelta(days=30)) -> int:
    who = await person("telegram")
    async with db.unit_of_work():
        await members.register(who.member_id, phone=None, birthday=born, channel="telegram", now=now)
    return who.member_id


async def enrol(now: datetime) -> int:
    async with db.unit_of_work():
        return await journeys.enrol_birthdays(now=now)


async def advance(now: datetime) -> Advanced:
    async with db.unit_of_work():
        return await journeys.advance_due(now=now, batch_max=100)


async def points(member_id: int, at: datetime = MORNING) -> int:
    return (await ledger.balances([member_id], at=at))[member_id].points


async def greetings(member_id: int) -> int:
    sent = await db.fetch_value("SELECT count(*) FROM outbox WHERE member_id = $1 AND notice = 'birthday'", member_id)
    return int(sent)


async def test_a_birthday_is_greeted_and_given_points_once(database: None) -> None:
    member_id = await celebrant()
    for _ in range(3):
        await enrol(MORNING)
        await advance(MORNING)
    assert await points(member_id) == 88
    assert await greetings(member_id) == 1


async def test_the_greeting_waits_for_the_morning(database: None) -> None:
    member_id = await celebrant()
    midnight = datetime(2026, 11, 20, 16, 1, tzinfo=UTC)
    assert await enrol(midnight) == 1
    await advance(midnight)
    assert await points(member_id) == 0
    await advance(datetime(2026, 11, 21, 1, 59, tzinfo=UTC))
    assert await points(member_id) == 0
    await advance(datetime(2026, 11, 21, 2, 0, tzinfo=UTC))
    assert await points(member_id) == 88


async def test_the_next_year_is_another_birthday(database: None) -> None:
    member_id = await celebrant()
    for years in (0, 1):
        then = MORNING.replace(year=2026 + years)
        await enrol(then)
        await advance(then)
    later = MORNING.replace(year=2027)
    assert await points(member_id, later) == 176
    assert await greetings(member_id) == 2


async def test_nobody_else_is_greeted(database: None) -> None:
    await celebrant(date(1990, 11, 22))
    await person("telegram")
    assert await enrol(MORNING) == 0


def test_every_node_is_used_by_a_journey() -> None:
    files = {path.stem for path in NODES.glob("[!_]*.py")}
    used = {type(node).__module__ for journey in rules.JOURNEYS.values() for node in journey.nodes.values()}
    assert {f"loyalty.journeys.nodes.{name}" for name in files} == used


def test_a_leap_day_is_kept_on_the_last_of_february() -> None:
    assert rules.birthdays_on(date(2027, 2, 28)) == [228, 229]
    assert rules.birthdays_on(date(2028, 2, 28)) == [228]
    assert rules.birthdays_on(date(2028, 2, 29)) == [229]
    assert rules.birthdays_on(date(2027, 3, 1)) == [301]


async def test_two_workers_at_once_greet_once(database: None) -> None:
    member_id = await celebrant()
    await at_once(*(enrol(MORNING) for _ in range(4)))
    await at_once(*(advance(MORNING) for _ in range(4)))
    assert await points(member_id) == 88
    assert await greetings(member_id) == 1


async def _work(moment: datetime) -> None:
    await enrol(moment)
    await advance(moment)
    await advance(moment)


async def test_several_processes_greet_everybody_once(database: None, database_url: str) -> None:
    ids = [await celebrant() for _ in range(30)]
    await processes.at_once(database_url, _work, [(MORNING,)] * 3)
    await advance(MORNING)
    assert [await points(member_id) for member_id in ids] == [88] * 30
    assert await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'birthday'") == 30


async def test_a_broken_run_is_put_off_alone_and_fails_for_good(database: None) -> None:
    fine, broken = await celebrant(), await celebrant()
    await enrol(MORNING)
    await db.execute("UPDATE journey_run SET node = 'no such node' WHERE member_id = $1", broken)
    (failure,) = (await advance(MORNING)).failures
    assert isinstance(failure.cause, KeyError)
    assert not failure.is_final
    assert await points(fine) == 88
    for tries in range(10):
        await advance(MORNING + timedelta(hours=tries))
    assert await db.fetch_value("SELECT status FROM journey_run WHERE member_id = $1", broken) == "failed"


async def test_a_member_who_closed_their_account_leaves_the_journey(database: None) -> None:
    member_id = await celebrant()
    await enrol(MORNING)
    await db.execute("UPDATE member SET status = 'closed' WHERE id = $1", member_id)
    await advance(MORNING)
    assert await db.fetch_value("SELECT status FROM journey_run WHERE member_id = $1", member_id) == "exited"


async def test_the_greeting_arrives_on_the_channel_that_reaches_the_member(database: None) -> None:
    now = await db.now()
    clock.shift(MORNING - now)
    await celebrant()
    telegram = Platform("telegram")
    ours = hands(telegram)
    assert await birthdays.run(ours) is False
    await advance(await db.now())
    await send_all(ours)
    assert ["88" in message.reply.text for message in telegram.sent] == [True]
