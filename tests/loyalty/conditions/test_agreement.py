"""The two evaluators say the same of the same members, for every condition that members alone can meet."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import HealthCheck, example, given, settings

from loyalty import db
from loyalty.check_ins import service as check_ins
from loyalty.conditions import queries
from loyalty.conditions.checks import FieldNotHere, parse
from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Context, Setting, matches, needed
from loyalty.conditions.vocabulary import ENTRIES, MEMBER, PURCHASE
from loyalty.members import service as members
from loyalty.staff import service as staff
from tests.loyalty.conditions.trees import CHANNELS, MOMENTS, NOW, SETTING, STORES, conditions
from tests.loyalty.people import contact, meet, registered
from tests.loyalty.shop import ADMIN, bought

BIRTHDAYS = (date(1990, 2, 28), date(1992, 2, 29), date(1985, 11, 24), date(2000, 1, 1), None)


async def town() -> list[int]:
    """Members of many kinds: guests and registered, with and without purchases, birthdays, tiers and referrers."""
    async with db.unit_of_work():
        made = [await staff.add_store(code=code, name=code, city="上海", principal=ADMIN, now=NOW) for code in STORES]
    stores = [store.id for store in made]
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
        "INSERT INTO tier_interval (member_id, ladder, tier, reason, evidence, version, starts_at, ends_at)"
        " VALUES ($1, 'main', 'gold', 'test', '{}', 0, $2, $3)",
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


@pytest.fixture
async def everyone(database: None) -> list[int]:
    return await town()


NOT_KNOWN = {"op": "not", "of": {"op": "eq", "field": "member.store", "value": "jingan"}}
LEAP_DAY = {"op": "anniversary", "within": "days"}


@example(condition=parse(NOT_KNOWN, scopes={MEMBER}), at=NOW)
@example(condition=parse(LEAP_DAY, scopes={MEMBER}), at=datetime(2026, 2, 28, 4, tzinfo=UTC))
@example(condition=parse({**LEAP_DAY, "of": "joining"}, scopes={MEMBER}), at=NOW)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions(), at=MOMENTS)
async def test_both_evaluators_agree(everyone: list[int], condition: Node, at: datetime) -> None:
    by_sql, in_memory = await both(condition, everyone, at)
    assert by_sql == in_memory
    assert await queries.count(condition, SETTING, at=at) == len(by_sql)


async def test_every_field_of_members_distinguishes_somebody(everyone: list[int]) -> None:
    keys = {entry.name for entry in ENTRIES if entry.scope == MEMBER and "*" not in entry.name}
    values = await queries.values_of([(member_id, NOW) for member_id in everyone], keys, SETTING)
    for key in keys - {"member.minor"}:
        assert len({values[member_id, NOW][key] for member_id in everyone}) > 1, key


async def test_fields_are_read_as_of_the_instant_before_it_and_within_their_window(database: None) -> None:
    async with db.unit_of_work():
        shop = await staff.add_store(code="jingan", name="静安店", city="上海", principal=ADMIN, now=NOW)
    member_id = await registered(now=NOW - timedelta(days=100))
    friend = await registered(now=NOW - timedelta(days=9))
    await db.execute("UPDATE member SET referrer_id = $1 WHERE id = $2", member_id, friend)
    for days, fen in ((90, 1000), (30, 200), (7, 30), (0, 4)):
        await bought(member_id, fen, occurred_at=NOW - timedelta(days=days), store_id=shop.id if days == 30 else None)
    for days in (8, 1, 0):
        async with db.unit_of_work():
            await check_ins.check_in(member_id, now=NOW - timedelta(days=days))
    keys = {
        "member.visits": 3,
        "member.visits/30": 1,
        "member.spend": 1230,
        "member.spend/31": 230,
        "member.stores": frozenset({"jingan"}),
        "member.last_purchase_days": 7,
        "member.check_ins": 2,
        "member.check_ins/7": 1,
        "member.last_check_in_days": 1,
        "member.joined_days": 100,
        "member.joined_on": date(2026, 8, 13),
        "member.referrals": 1,
        "member.referrals/8": 0,
        "member.registered": True,
        "member.tier": "basic",
        "member.tier.coffee": "bean",
        "member.tiers": frozenset({"basic", "bean"}),
        "member.growth": 12 + 3,
    }
    values = await queries.values_of([(member_id, NOW)], keys, SETTING)
    assert values[member_id, NOW] == keys


async def test_what_a_member_alone_does_not_have_is_refused_with_its_place(database: None) -> None:
    condition = parse({"op": "all", "of": [{"op": "ge", "field": "purchase.amount", "value": 1}]}, scopes={PURCHASE})
    with pytest.raises(FieldNotHere) as refused:
        await queries.matching(condition, SETTING, at=NOW)
    assert refused.value.params["path"] == "of.0"


async def test_members_are_paged_and_those_who_left_are_not_meant(everyone: list[int]) -> None:
    always = parse({"op": "all", "of": []}, scopes={MEMBER})
    first = await queries.matching(always, SETTING, at=NOW, limit=4)
    rest = await queries.matching(always, SETTING, at=NOW, after_id=first[-1])
    assert [*first, *rest] == everyone
    await db.execute("UPDATE member SET status = 'closed' WHERE id = $1", everyone[0])
    assert await queries.count(always, SETTING, at=NOW) == len(everyone) - 1
