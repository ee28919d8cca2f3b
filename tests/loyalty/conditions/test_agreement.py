"""The two evaluators say the same of the same members, for every condition that members alone can meet."""

from datetime import date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings

from loyalty import db
from loyalty.check_ins import service as check_ins
from loyalty.conditions import queries
from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Context, Setting, matches, needed
from loyalty.conditions.vocabulary import ENTRIES, MEMBER
from loyalty.members import service as members
from loyalty.staff import service as staff
from tests.loyalty.conditions.trees import CHANNELS, MOMENTS, NOW, SETTING, STORES, conditions
from tests.loyalty.people import contact, meet
from tests.loyalty.shop import ADMIN, bought

BIRTHDAYS = (date(1990, 2, 28), date(1992, 2, 29), date(1985, 11, 24), date(2000, 1, 1), None)


async def town() -> list[int]:
    """Members of many kinds: guests and registered, with and without purchases, birthdays, tiers and referrers."""
    stores = []
    async with db.unit_of_work():
        for code in STORES:
            stores.append((await staff.add_store(code=code, name=code, city="上海", principal=ADMIN, now=NOW)).id)
    everyone: list[int] = []
    for number, (channel, birthday) in enumerate(product(CHANNELS, BIRTHDAYS)):
        joined = NOW - timedelta(days=number * 40, hours=number)
        person = await meet(contact(channel=channel), now=joined)
        everyone.append(person.member_id)
        async with db.unit_of_work():
            if number % 3:
                await members.register(person.member_id, phone=None, channel=channel, birthday=birthday, now=joined)
            if number % 4 == 1:
                await check_ins.check_in(person.member_id, now=NOW - timedelta(days=number))
        for step in range(number % 4):
            at = NOW - timedelta(days=step * 9 + number, minutes=step)
            await bought(person.member_id, 10_000 * (step + 1), occurred_at=at, store_id=stores[(number + step) % 2])
    await db.execute("UPDATE member SET referrer_id = $1 WHERE id = ANY($2)", everyone[0], everyone[3:6])
    await db.execute("UPDATE member SET store_id = $1, locale = 'en' WHERE id = ANY($2)", stores[0], everyone[5:])
    await db.execute(
        "INSERT INTO tier_interval (member_id, tier, reason, starts_at, ends_at) VALUES ($1, 'gold', 'test', $2, $3)",
        everyone[0],
        NOW - timedelta(days=9),
        NOW + timedelta(days=3),
    )
    return everyone


async def both(
    condition: Node, everyone: list[int], at: datetime, setting: Setting = SETTING
) -> tuple[set[int], set[int]]:
    """Whom the condition means by SQL, and whom in memory."""
    by_sql = set(await queries.matching(condition, setting, at=at))
    values = await queries.values_of([(member_id, at) for member_id in everyone], needed(condition), setting)
    in_memory = {member_id for member_id in everyone if matches(condition, Context(at, values[member_id, at]), setting)}
    return by_sql, in_memory


_town: list[int] = []


@pytest.fixture
async def everyone(database: None) -> list[int]:
    return await town()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions(), at=MOMENTS)
async def test_both_evaluators_agree(everyone: list[int], condition: Node, at: datetime) -> None:
    by_sql, in_memory = await both(condition, everyone, at)
    assert by_sql == in_memory
    assert await queries.count(condition, SETTING, at=at) == len(by_sql)


async def test_every_field_of_members_distinguishes_somebody(everyone: list[int]) -> None:
    keys = {entry.name for entry in ENTRIES if entry.scope == MEMBER}
    values = await queries.values_of([(member_id, NOW) for member_id in everyone], keys, SETTING)
    for key in keys - {"member.minor"}:
        assert len({values[member_id, NOW][key] for member_id in everyone}) > 1, key
