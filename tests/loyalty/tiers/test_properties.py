"""What holds whatever happens: intervals never overlap, counts are those of brute force, splitting changes nothing,
and judgements of one member at the same moment leave one story."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tortoise.exceptions import IntegrityError

from loyalty import db
from loyalty.access import Role
from loyalty.fsck import queries as fsck
from loyalty.ladders import queries as ladders_read
from loyalty.ladders.rules import CalendarEnd, Fall, Fixed, Grace, Metric, WhileQualified
from loyalty.merges import service as merges
from loyalty.tier_overrides import service as overrides
from loyalty.tier_overrides.service import NewOverride
from loyalty.tiers import measures, queries
from loyalty.tiers import service as tiers
from loyalty.tiers.states import Asked
from tests.loyalty.people import at_once
from tests.loyalty.shop import employee, publish_ladder, store
from tests.loyalty.tiers.scene import SHANGHAI, course, grow, ladder, member, on, rolling, stands, sweep, tier
from tests.loyalty.tiers.test_refunds import buy, give_back

pytestmark = pytest.mark.usefixtures("database")

START = on("2024-01-01")
QUIET: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
LADDERS: list[dict[str, Any]] = [
    {"measure": rolling(kind="rolling", months=3), "validity": Fixed(months=2), "grace": Grace(days=5)},
    {"measure": rolling(kind="calendar", unit="quarter"), "validity": CalendarEnd(unit="quarter", further=1)},
    {"measure": rolling(kind="rolling", days=40), "validity": WhileQualified(), "grace": Grace(months=1)},
    {"measure": rolling(kind="tier_anniversary", months=2), "validity": Fixed(months=2), "fall": Fall.ONE_STEP},
]
FACTS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), min_size=1, max_size=8)


async def cleared() -> None:
    for table in ("ladder_version", "tier_standing", "tier_interval"):
        await db.execute(f"TRUNCATE {table}")
    ladders_read.forget()


@given(which=st.sampled_from(LADDERS), facts=FACTS, sweeps=st.lists(st.integers(0, 500), max_size=4))
@settings(max_examples=12, **QUIET)
async def test_the_story_is_whole_whatever_the_ladder_and_whenever_the_sweep_comes(
    which: dict[str, Any], facts: list[tuple[int, int]], sweeps: list[int]
) -> None:
    await cleared()
    await publish_ladder(ladder(("silver", 50, 40), ("gold", 90, 70), **which), now=START)
    lazy, swept = await member(START), await member(START)
    happens = sorted([*((day, amount) for day, amount in facts), *((day, 0) for day in sweeps)])
    for day, amount in happens:
        at = START + timedelta(days=day, hours=9)
        if amount:
            await grow(lazy, amount, at)
            await grow(swept, amount, at)
        else:
            async with db.unit_of_work():
                await tiers.settle([swept], now=at)
    end = START + timedelta(days=900)
    await sweep(end)
    await sweep(end)
    # Sweeping often or once at the end tells the same story, and its intervals follow one another.
    assert await course(lazy) == await course(swept)
    found = {finding.invariant.name: finding.broken async for finding in fsck.check_all() if finding.broken}
    assert "one_open_tier" not in found
    assert "tiers_held_are_stood" not in found


@given(facts=FACTS, begins=st.integers(0, 400), ends=st.integers(0, 400), refunds=st.sets(st.integers(0, 7)))
@settings(max_examples=10, **QUIET)
async def test_counts_are_those_of_brute_force(
    facts: list[tuple[int, int]], begins: int, ends: int, refunds: set[int]
) -> None:
    await cleared()
    who = await member(START)
    bought: list[tuple[datetime, int]] = []
    for place, (day, yuan) in enumerate(sorted(facts)):
        at = START + timedelta(days=day, hours=(place * 5) % 24)
        purchase = await buy(who, yuan, at, reported_at=max(at, START + timedelta(days=day, hours=23)))
        if place in refunds:
            await give_back(purchase, START + timedelta(days=402))
        else:
            bought.append((at, yuan))
    window = (START + timedelta(days=begins), START + timedelta(days=ends))
    inside = [(at, yuan) for at, yuan in bought if window[0] <= at < window[1]]
    expected = {
        Metric.GROWTH: sum(yuan for _, yuan in inside),
        Metric.SPEND: sum(yuan for _, yuan in inside) * 100,
        Metric.VISITS: len({at.astimezone(SHANGHAI).date() for at, _ in inside}),
    }
    questions = [(who, Asked(rolling(metric, kind="lifetime"), *window)) for metric in expected]
    assert await measures.count(questions, zone=SHANGHAI, now=START + timedelta(days=500)) == list(expected.values())
    earned = [(who, Asked(rolling(Metric.POINTS_EARNED, kind="lifetime"), None, None))]
    total = sum(yuan for _, yuan in bought)
    assert await measures.count(earned, zone=SHANGHAI, now=START + timedelta(days=500)) == [total]


@given(parts=st.lists(st.integers(1, 40), min_size=1, max_size=5), which=st.sampled_from(LADDERS))
@settings(max_examples=10, **QUIET)
async def test_splitting_what_is_earned_changes_nothing(parts: list[int], which: dict[str, Any]) -> None:
    await cleared()
    await publish_ladder(ladder(("silver", 50), ("gold", 90), **which), now=START)
    whole, split = await member(START), await member(START)
    at = on("2024-02-10", 10)
    await grow(whole, sum(parts), at)
    for part in parts:
        await grow(split, part, at)
    assert await tier(whole, at) == await tier(split, at)
    assert (await stands(whole, at)).until == (await stands(split, at)).until


async def test_a_purchase_a_review_and_an_override_at_the_same_moment_leave_one_story() -> None:
    year: dict[str, Any] = {"measure": rolling(kind="calendar"), "validity": CalendarEnd(further=1)}
    await publish_ladder(ladder(("silver", 500), ("gold", 2000), **year), now=START)
    manager = await employee(Role.MANAGER, await store())
    who = [await member(START) for _ in range(6)]
    for one in who:
        await grow(one, 600, on("2024-05-01"))
    now = on("2026-01-01") + timedelta(minutes=1)

    async def override(member_id: int) -> None:
        new = NewOverride(ladder="main", tier="silver", ends_at=on("2026-02-01"), reason="test")
        async with db.unit_of_work():
            await overrides.set_tier(new, member_id, principal=manager, key=f"k{member_id}", now=now)

    outcomes = await at_once(
        *(sweep(now) for _ in range(4)),
        *(buy(one, 700, now) for one in who),
        *(override(one) for one in who),
        *(buy(one, 1400, now) for one in who),
    )
    assert [outcome for outcome in outcomes if isinstance(outcome, BaseException)] == []
    await sweep(now)
    for one in who:
        assert await tier(one, now) == "gold"
        assert (await course(one))[-1][0] == "gold"
    assert {finding.invariant.name: finding.broken async for finding in fsck.check_all() if finding.broken} == {}


async def test_two_purchases_at_once_that_reach_a_tier_only_together_raise() -> None:
    for metric, threshold in ((Metric.SPEND, 100_000), (Metric.GROWTH, 1000)):
        await cleared()
        await publish_ladder(ladder(("gold", threshold), measure=rolling(metric, kind="lifetime")), now=START)
        who = [await member(START) for _ in range(5)]
        at = on("2024-05-01", 9)
        await at_once(*(buy(one, 500, at) for one in who for _ in range(2)))
        assert [await tier(one, at) for one in who] == ["gold"] * 5


@pytest.mark.parametrize("guarded", [True, False])
async def test_the_exclusion_refuses_what_overlaps(*, guarded: bool) -> None:
    if not guarded:
        await db.execute("ALTER TABLE tier_interval DROP CONSTRAINT tier_held_once")
    try:
        write = (
            "INSERT INTO tier_interval (member_id, ladder, tier, reason, evidence, version, starts_at, ends_at)"
            " VALUES (1, $1, 'gold', 'test', '{}', 0, $2, $3)"
        )
        await db.execute(write, "main", on("2024-01-01"), on("2024-03-01"))
        await db.execute(write, "main", on("2024-03-01"), on("2024-04-01"))
        await db.execute(write, "partner", on("2024-01-01"), on("2024-04-01"))
        if guarded:
            with pytest.raises(IntegrityError):
                await db.execute(write, "main", on("2024-02-01"), on("2024-03-15"))
        else:
            await db.execute(write, "main", on("2024-02-01"), on("2024-03-15"))
            found = {finding.invariant.name async for finding in fsck.check_all() if finding.broken}
            assert "one_open_tier" in found
    finally:
        if not guarded:
            await db.execute("TRUNCATE tier_interval")
            await db.execute(
                "ALTER TABLE tier_interval ADD CONSTRAINT tier_held_once EXCLUDE USING gist ("
                " int8range(member_id, member_id, '[]') WITH &&,"
                " int8range(hashtextextended(ladder, 0), hashtextextended(ladder, 0), '[]') WITH &&,"
                " tstzrange(starts_at, ends_at) WITH &&)"
            )


async def test_case_67_the_higher_standing_of_both_stays_on_every_ladder() -> None:
    await publish_ladder(ladder(("silver", 500), ("gold", 2000), validity=Fixed(months=12)), now=START)
    other = ladder(("friend", 50), measure=rolling(kind="calendar"))
    steps = (other.steps[0].model_copy(update={"code": "visitor"}), other.steps[1])
    await publish_ladder(other.model_copy(update={"code": "partner", "steps": steps}), now=START)
    stays, goes = await member(START), await member(START)
    await grow(stays, 600, on("2024-03-01"))
    await grow(goes, 2000, on("2024-05-01"))
    now = on("2024-06-01")
    async with db.unit_of_work():
        merged = await merges.merge(goes, stays, reason="test", now=now)
        await tiers.review([stays], now=now)
    standing = await stands(stays, now)
    assert (standing.tier.code, standing.until, standing.count) == ("gold", on("2025-05-01"), 2600)
    assert (await course(stays))[-1] == ("gold", "merge", now)
    assert await tier(stays, now, "partner") == "friend"
    assert merged.merge_id is not None
    async with db.unit_of_work():
        await merges.undo(merged.merge_id, now=now + timedelta(days=1))
    assert await tier(stays, now + timedelta(days=1)) == "silver"
    assert await tier(goes, now + timedelta(days=1)) == "gold"
    assert (await stands(stays, now + timedelta(days=1))).until == on("2025-03-01")


async def test_growth_counts_in_its_own_year_also_after_a_merge() -> None:
    year = ladder(("silver", 500), measure=rolling(kind="calendar"), validity=CalendarEnd())
    await publish_ladder(year, now=START)
    stays, goes = await member(START), await member(START)
    await grow(goes, 600, on("2024-05-01"))
    async with db.unit_of_work():
        await merges.merge(goes, stays, reason="test", now=on("2025-02-01"))
    assert (await stands(stays, on("2025-02-02"))).count == 0


async def test_what_was_held_when_is_answered_for_many_moments_at_once() -> None:
    await publish_ladder(ladder(("silver", 500), validity=Fixed(days=10)), now=START)
    who = await member(START)
    await grow(who, 500, on("2024-03-01", 9))
    moments = [(who, on("2024-02-01")), (who, on("2024-03-05")), (who, on("2024-05-01"))]
    assert await queries.held_at(moments) == {moments[1]: "silver", moments[2]: "silver"}
    benefits = await queries.benefits_at(moments)
    assert {benefits[moment].multiplier_percent for moment in moments} == {100}
