"""Sweeps: bounded, repeatable within a business day, and shared by two workers without double work."""

from datetime import UTC, date, datetime, timedelta

import pytest

from loyalty import clock, db
from loyalty.coupons import service as coupons
from loyalty.coupons.service import ClaimRequest
from loyalty.dialogues import service as dialogues
from loyalty.dialogues.service import Dialogue
from loyalty.ledger import queries as ledger
from loyalty.program import service as publishing
from loyalty.program.terms import ReminderTerms, Terms
from loyalty.reach import service as reach
from scheduler.sweeps import coupon_expiry, forgetting, points_expiry, reminders, settling
from tests.loyalty import processes, shop
from tests.loyalty.people import at_once, give_points
from tests.scheduler.stage import Platform, hands, person, send_all

NOON = datetime(2026, 11, 21, 4, tzinfo=UTC)
# The first instant after 28 November in Shanghai: seven days ahead.
IN_A_WEEK = datetime(2026, 11, 28, 16, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def _noon(database: None) -> None:
    clock.shift(NOON - await db.now() + clock.offset())


async def reminded() -> list[tuple[str, int]]:
    rows = await db.fetch("SELECT notice, member_id FROM outbox ORDER BY id")
    return [(row["notice"], row["member_id"]) for row in rows]


async def member() -> int:
    return (await person("telegram")).member_id


async def test_points_that_are_over_leave_the_books_with_an_event(database: None) -> None:
    who = await member()
    await give_points(who, 30, expires_at=NOON + timedelta(hours=1), now=NOON)
    await give_points(who, 5, expires_at=NOON + timedelta(days=9), now=NOON)
    clock.shift(clock.offset() + timedelta(hours=2))
    assert await points_expiry.run(hands()) is False
    assert await points_expiry.run(hands()) is False
    rows = await db.fetch("SELECT data FROM event WHERE name = 'points.expired'")
    assert len(rows) == 1
    assert '"points": 30' in rows[0]["data"]
    assert (await ledger.balances([who], at=await db.now()))[who].points == 5


async def test_coupons_that_are_over_are_closed(database: None) -> None:
    template = await shop.template(now=NOON, valid_days=1)
    who = await member()
    async with db.unit_of_work():
        await coupons.claim_one(ClaimRequest(member_id=who, template_id=template.id, key="k"), now=await db.now())
    clock.shift(clock.offset() + timedelta(days=3))
    await coupon_expiry.run(hands())
    assert await db.fetch_value("SELECT status FROM coupon") == "expired"


async def test_members_are_reminded_of_points_seven_days_ahead_and_once(database: None) -> None:
    who, later = await member(), await member()
    await give_points(who, 30, expires_at=IN_A_WEEK, now=NOON)
    await give_points(later, 30, expires_at=IN_A_WEEK + timedelta(days=1), now=NOON)
    for _ in range(3):
        assert await reminders.points(hands()) is False
    assert await reminded() == [("points_expiring", who)]


async def test_the_reminder_says_what_is_left_when_it_is_sent(database: None) -> None:
    telegram, who, spent = Platform("telegram"), await member(), await member()
    await give_points(who, 30, expires_at=IN_A_WEEK, now=NOON)
    await give_points(spent, 30, expires_at=IN_A_WEEK, now=NOON)
    await reminders.points(hands())
    await give_points(who, 12, expires_at=IN_A_WEEK, now=NOON)
    await db.execute("UPDATE ledger_lot SET remaining = 0 WHERE member_id = $1", spent)
    await send_all(hands(telegram))
    assert len(telegram.sent) == 1
    assert "42" in telegram.sent[0].reply.text
    assert "11月28日" in telegram.sent[0].reply.text
    assert await db.fetch_value("SELECT code FROM outbox WHERE member_id = $1", spent) == "outdated"


async def test_the_next_distance_reminds_again(database: None) -> None:
    who = await member()
    await give_points(who, 30, expires_at=IN_A_WEEK, now=NOON)
    await reminders.points(hands())
    clock.shift(clock.offset() + timedelta(days=6))
    await reminders.points(hands())
    assert await reminded() == [("points_expiring", who)] * 2


async def test_coupons_are_reminded_of(database: None) -> None:
    telegram, who = Platform("telegram"), await member()
    template = await shop.template(now=NOON, valid_days=8)
    async with db.unit_of_work():
        claimed = await coupons.claim_one(ClaimRequest(member_id=who, template_id=template.id, key="k"), now=NOON)
    last_day = clock.business_day(claimed.expires_at - timedelta(seconds=1), Terms().calendar)
    morning = clock.start_of(last_day - timedelta(days=7), Terms().calendar) + timedelta(hours=10)
    clock.shift(clock.offset() + morning - await db.now())
    await reminders.coupon(hands())
    await send_all(hands(telegram))
    assert ["十元券" in message.reply.text for message in telegram.sent] == [True]


async def test_a_round_goes_on_where_it_stopped(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "BATCH", 2)
    ids = [await member() for _ in range(5)]
    for who in ids:
        await give_points(who, 1, expires_at=IN_A_WEEK, now=NOON)
    rounds = 1
    while await reminders.points(hands()):
        rounds += 1
    assert rounds == 3
    assert await reminded() == [("points_expiring", who) for who in ids]


async def test_two_workers_at_once_remind_once(database: None) -> None:
    ids = [await member() for _ in range(20)]
    for who in ids:
        await give_points(who, 1, expires_at=IN_A_WEEK, now=NOON)
    await at_once(*(reminders.points(hands()) for _ in range(4)))
    assert sorted(await reminded()) == sorted(("points_expiring", who) for who in ids)


async def _sweep_all(offset_s: float) -> int:
    clock.shift(timedelta(seconds=offset_s))
    return sum([await points_expiry.run(hands()) for _ in range(5)])


async def test_several_processes_expire_each_lot_once(database: None, database_url: str) -> None:
    for who in [await member() for _ in range(20)]:
        await give_points(who, 7, expires_at=NOON + timedelta(hours=1), now=NOON)
    clock.shift(clock.offset() + timedelta(hours=2))
    await processes.at_once(database_url, _sweep_all, [(clock.offset().total_seconds(),)] * 3)
    await points_expiry.run(hands())
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'points.expired'") == 20
    assert await db.fetch_value("SELECT sum(available) FROM ledger_balance WHERE asset = 'points'") == 0


async def test_published_distances_count_from_the_next_round(database: None) -> None:
    who = await member()
    await give_points(who, 1, expires_at=IN_A_WEEK, now=NOON)
    async with db.unit_of_work():
        await publishing.publish(
            Terms(reminders=ReminderTerms(points_days=(3,))), by="test", effective_from=NOON, now=NOON
        )
    clock.shift(clock.offset() + timedelta(seconds=2))
    await reminders.points(hands())
    assert await reminded() == []


def test_what_ends_with_a_business_day_belongs_to_that_day() -> None:
    window = reminders.window_of(7, Terms(), NOON)
    assert window.today == date(2026, 11, 21)
    assert window.after == IN_A_WEEK - timedelta(days=1)
    assert window.until == IN_A_WEEK


async def test_short_lived_rows_are_forgotten_and_living_ones_stay(database: None) -> None:
    now = await db.now()
    async with db.unit_of_work():
        await dialogues.set("identity:1", Dialogue("joining", "name", {}, now - timedelta(seconds=1)))
        await dialogues.set("identity:2", Dialogue("joining", "name", {}, now + timedelta(hours=1)))
        await reach.stop("telegram", "main", "message", until=now - timedelta(days=2), reason="old")
    assert await forgetting.run(hands()) is False
    assert [row["key"] for row in await db.fetch("SELECT key FROM dialogue")] == ["identity:2"]
    assert await db.fetch_value("SELECT count(*) FROM reach_stop") == 0


async def test_every_settling_sweep_runs_on_an_empty_database(database: None) -> None:
    for run in (settling.approvals, settling.claimed_phones, settling.late_merges, settling.grown_up):
        assert await run(hands()) is False
