"""Reviews, grace and falls on real rows, with dates counted by hand."""

from datetime import timedelta

import pytest

from loyalty import db
from loyalty.ladders.rules import (
    Anniversary,
    Calendar,
    CalendarEnd,
    Fall,
    Fixed,
    Grace,
    Measure,
    Metric,
    WhileQualified,
)
from tests.loyalty.shop import publish_ladder
from tests.loyalty.tiers.scene import (
    course,
    earn,
    events,
    grow,
    ladder,
    member,
    notices,
    on,
    rolling,
    spend,
    stands,
    sweep,
    tier,
)

pytestmark = pytest.mark.usefixtures("database")

START = on("2019-01-01")
BALANCE = Measure(metric=Metric.POINTS_BALANCE)


async def test_case_58_a_higher_tier_has_a_review_of_its_own() -> None:
    rules = ladder(
        ("silver", 500), ("gold", 2000), measure=rolling(kind="rolling", months=12), validity=Fixed(months=12)
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2020-10-25", 15))
    await grow(member_id, 500, on("2024-04-15", 12))
    assert (await stands(member_id, on("2024-04-16"))).until == on("2025-04-15")
    await grow(member_id, 1500, on("2024-10-25", 9))
    standing = await stands(member_id, on("2024-10-26"))
    assert (standing.tier.code, standing.until) == ("gold", on("2025-10-25"))


@pytest.mark.parametrize(("minimum", "review"), [(0, "2025-10-25"), (6, "2026-10-25")])
async def test_case_58_the_anniversary_of_registration_with_a_minimum(minimum: int, review: str) -> None:
    rules = ladder(("silver", 500), validity=Anniversary(minimum_months=minimum))
    await publish_ladder(rules, now=START)
    member_id = await member(on("2020-10-25", 15))
    await grow(member_id, 500, on("2025-10-15", 12))
    assert (await stands(member_id, on("2025-10-16"))).until == on(review)


async def test_case_59_a_balance_that_is_spent_lowers_at_once() -> None:
    await publish_ladder(ladder(("gold", 250), measure=BALANCE, validity=WhileQualified()), now=START)
    member_id = await member(on("2026-01-01"))
    await earn(member_id, 250, on("2026-07-20", 10))
    await spend(member_id, 200, on("2026-07-25", 11))
    assert await course(member_id) == [
        ("gold", "growth", on("2026-07-20", 10)),
        ("basic", "growth", on("2026-07-25", 11)),
    ]


@pytest.mark.parametrize(
    ("grace", "ends"),
    [
        (Grace(months=1), "2026-08-20"),
        (Grace(months=1, rounds_up_to="month"), "2026-09-01"),
        (Grace(days=30), "2026-08-20"),
    ],
)
async def test_case_59_a_grace_holds_the_tier_to_its_last_second(grace: Grace, ends: str) -> None:
    await publish_ladder(ladder(("gold", 250), measure=BALANCE, validity=WhileQualified(), grace=grace), now=START)
    member_id = await member(on("2026-01-01"))
    await earn(member_id, 250, on("2026-07-20", 10))
    await spend(member_id, 200, on("2026-07-25", 11))
    standing = await stands(member_id, on("2026-07-26"))
    assert (standing.tier.code, standing.in_grace, standing.until, standing.gap) == ("gold", True, on(ends), 200)
    last_second = on(ends) - timedelta(seconds=1)
    await sweep(last_second)
    assert await tier(member_id, last_second) == "gold"
    # Nobody waits for the sweep, and the history is the same whenever it comes.
    assert await tier(member_id, on(ends)) == "basic"
    await sweep(on(ends) + timedelta(days=3))
    assert (await course(member_id))[-1] == ("basic", "review", on(ends))


async def test_case_59_who_has_enough_again_leaves_the_grace() -> None:
    grace = Grace(months=1)
    await publish_ladder(ladder(("gold", 250), measure=BALANCE, validity=WhileQualified(), grace=grace), now=START)
    member_id = await member(on("2026-01-01"))
    await earn(member_id, 250, on("2026-07-20", 10))
    await spend(member_id, 200, on("2026-07-25", 11))
    await earn(member_id, 199, on("2026-08-01"))
    assert (await stands(member_id, on("2026-08-02"))).in_grace
    await earn(member_id, 1, on("2026-08-19", 23, 59))
    await sweep(on("2026-08-20"))
    standing = await stands(member_id, on("2026-08-20"))
    assert (standing.tier.code, standing.in_grace, standing.until) == ("gold", False, None)
    assert "tier.retained" in await events(member_id)


async def test_a_review_keeps_lowers_and_tells() -> None:
    rules = ladder(
        ("silver", 500), ("gold", 2000, 1500), measure=rolling(kind="rolling", months=12), validity=Fixed(months=12)
    )
    await publish_ladder(rules, now=START)
    keeps, falls = await member(on("2024-01-01")), await member(on("2024-01-01"))
    for member_id in (keeps, falls):
        await grow(member_id, 2000, on("2025-03-10", 12))
    await grow(keeps, 1500, on("2026-03-09", 23))
    await grow(falls, 600, on("2026-01-05", 23))
    await sweep(on("2026-03-10", 2))
    # What was earned on the day of reaching still lies within the twelve months before the review.
    assert await course(keeps) == [("gold", "growth", on("2025-03-10", 12)), ("gold", "review", on("2026-03-10"))]
    assert await course(falls) == [("gold", "growth", on("2025-03-10", 12)), ("gold", "review", on("2026-03-10"))]
    await sweep(on("2027-03-10", 2))
    assert (await course(keeps))[-1] == ("basic", "review", on("2027-03-10"))
    assert (await course(falls))[-1] == ("basic", "review", on("2027-03-10"))


async def test_keeping_may_count_otherwise_than_reaching() -> None:
    rules = ladder(
        ("silver", 500, 100),
        ("gold", 2000, 400),
        keeping=rolling(kind="tier_anniversary", months=12),
        validity=Fixed(months=12),
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 2000, on("2025-03-10", 12))
    standing = await stands(member_id, on("2025-06-01"))
    assert (standing.until, standing.gap) == (on("2026-03-10"), 400)
    await grow(member_id, 150, on("2025-09-01"))
    assert (await stands(member_id, on("2025-09-02"))).gap == 250
    await sweep(on("2026-03-10", 1))
    # Silver asks 100 of the year, and what was reached before the fall does not raise again.
    assert await course(member_id) == [
        ("gold", "growth", on("2025-03-10", 12)),
        ("silver", "review", on("2026-03-10")),
    ]
    await grow(member_id, 1999, on("2026-05-01"))
    assert await tier(member_id, on("2026-05-01")) == "silver"
    await grow(member_id, 1, on("2026-05-02"))
    assert await tier(member_id, on("2026-05-02")) == "gold"


@pytest.mark.parametrize(
    ("fall", "lands"), [(Fall.NONE, "diamond"), (Fall.ONE_STEP, "gold"), (Fall.TO_EARNED, "silver")]
)
async def test_how_far_one_falls(fall: Fall, lands: str) -> None:
    rules = ladder(
        ("silver", 500),
        ("gold", 2000),
        ("diamond", 10_000),
        measure=Measure(window=Calendar()),
        validity=CalendarEnd(further=1),
        fall=fall,
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 10_000, on("2024-06-01"))
    await grow(member_id, 700, on("2025-06-01"))
    # Earned in 2024, held through 2025 whose growth decides over 2026.
    assert (await stands(member_id, on("2025-12-31", 23))).tier.code == "diamond"
    await sweep(on("2026-01-01"))
    assert await tier(member_id, on("2026-01-01")) == lands


async def test_a_year_that_was_long_missed_is_followed_review_by_review() -> None:
    rules = ladder(
        ("silver", 500), ("gold", 2000), measure=Measure(window=Calendar()), validity=CalendarEnd(), fall=Fall.ONE_STEP
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2020-01-01"))
    await grow(member_id, 2000, on("2022-06-01"))
    await sweep(on("2026-05-01"))
    assert await course(member_id) == [
        ("gold", "growth", on("2022-06-01")),
        ("gold", "review", on("2023-01-01")),
        ("silver", "review", on("2024-01-01")),
        ("basic", "review", on("2025-01-01")),
    ]


async def test_a_rolling_metric_that_is_followed_says_until_when() -> None:
    rules = ladder(
        ("silver", 500, 400),
        measure=rolling(kind="rolling", months=12),
        validity=WhileQualified(),
        grace=Grace(days=10),
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2025-01-01"))
    await grow(member_id, 300, on("2025-02-10", 9))
    await grow(member_id, 200, on("2025-03-20", 9))
    # 300 leave the window with 10 February: from the 11th on 200 are too few.
    standing = await stands(member_id, on("2025-04-01"))
    assert (standing.tier.code, standing.until) == ("silver", on("2026-02-11"))
    await grow(member_id, 150, on("2025-08-01", 9))
    assert (await stands(member_id, on("2025-08-02"))).until == on("2026-02-11")
    await grow(member_id, 50, on("2025-08-03", 9))
    assert (await stands(member_id, on("2025-08-04"))).until == on("2026-03-21")
    await sweep(on("2026-03-21", 1))
    assert (await stands(member_id, on("2026-03-21", 1))).in_grace
    await sweep(on("2026-05-01"))
    # Reached on 10 February 2025 in periods of ten days: the running one ends with 27 March 2026.
    assert (await course(member_id))[-1][0] == "basic"


async def test_warnings_come_at_their_distances_with_the_gap() -> None:
    rules = ladder(
        ("silver", 500),
        measure=rolling(kind="tier_anniversary", months=12),
        validity=Fixed(months=12),
        grace=Grace(days=14),
    )
    await publish_ladder(rules, now=START)
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 500, on("2025-03-10", 12))
    told: dict[int, tuple[str, str]] = {}
    day = on("2025-12-01")
    while day < on("2026-04-01"):
        await sweep(day + timedelta(hours=1))
        for row in await db.fetch("SELECT id, params FROM outbox WHERE notice = 'tier_will_lower'"):
            told.setdefault(row["id"], (day.date().isoformat(), row["params"]))
        if day == on("2026-02-20"):
            await grow(member_id, 380, day + timedelta(hours=3))
        day += timedelta(days=1)
    days = [(when, params) for when, params in told.values()]
    assert [when for when, _ in days] == ["2026-01-09", "2026-02-08", "2026-03-03", "2026-03-10", "2026-03-17"]
    assert ['"missing": 500' in params for _, params in days] == [True, True, False, False, False]
    assert all('"missing": 120' in params for _, params in days[2:])
    assert (await course(member_id))[-1] == ("basic", "review", on("2026-03-24"))
    assert (await notices(member_id))[-1] == "tier_lowered"
    assert (await events(member_id)).count("tier.lowering_announced") == 5


async def test_who_has_enough_is_not_warned_and_is_told_that_the_tier_stays() -> None:
    rules = ladder(("silver", 500, 100), measure=rolling(kind="tier_anniversary", months=12), validity=Fixed(months=12))
    await publish_ladder(rules, now=START)
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 500, on("2025-03-10", 12))
    await grow(member_id, 100, on("2025-12-10", 12))
    for day in ("2026-01-09", "2026-02-08", "2026-03-03", "2026-03-10"):
        await sweep(on(day, 1))
    assert await notices(member_id) == ["tier_raised", "tier_retained"]
    assert (await stands(member_id, on("2026-03-11"))).until == on("2027-03-10")


async def test_a_short_tier_is_not_warned_of_before_it_began() -> None:
    await publish_ladder(
        ladder(("silver", 500), measure=rolling(kind="rolling", days=30), validity=Fixed(days=30)), now=START
    )
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 500, on("2025-03-10", 12))
    await sweep(on("2025-03-10", 13))
    assert await notices(member_id) == ["tier_raised"]
    # The thirty days before the review begin with the day after it was reached.
    await sweep(on("2025-04-03", 1))
    assert await notices(member_id) == ["tier_raised", "tier_will_lower"]


async def test_upgrades_may_wait_for_the_next_period() -> None:
    rules = ladder(("silver", 500), ("gold", 2000), measure=rolling(kind="rolling", months=12))
    waiting = rules.model_validate({**rules.model_dump(), "rises": {"kind": "next_period", "unit": "month"}})
    await publish_ladder(waiting, now=START)
    member_id = await member(on("2024-01-01"))
    await grow(member_id, 500, on("2025-03-10", 12))
    standing = await stands(member_id, on("2025-03-11"))
    assert (standing.tier.code, standing.rises_at) == ("basic", on("2025-04-01"))
    await grow(member_id, 1500, on("2025-03-30", 12))
    assert await tier(member_id, on("2025-04-01")) == "gold", "shown before the sweep"
    await sweep(on("2025-04-01", 1))
    assert await course(member_id) == [("gold", "growth", on("2025-04-01"))]


async def test_a_fact_told_after_the_review_that_it_would_have_let_pass_gives_the_tier_back() -> None:
    year = ladder(("silver", 500), measure=Measure(window=Calendar()), validity=CalendarEnd(further=1))
    await publish_ladder(year, now=START)
    late, too_late = await member(on("2024-01-01")), await member(on("2024-01-01"))
    for member_id in (late, too_late):
        await grow(member_id, 500, on("2024-05-01"))
        await grow(member_id, 499, on("2025-05-01"))
    await sweep(on("2026-01-01"))
    assert await tier(late, on("2026-01-02")) == "basic"
    await grow(late, 1, on("2025-12-30", 20), booked_at=on("2026-01-05"))
    assert (await course(late))[-2:] == [("basic", "review", on("2026-01-01")), ("silver", "late", on("2026-01-05"))]
    assert (await stands(late, on("2026-01-05"))).until == on("2027-01-01")
    await grow(too_late, 1, on("2025-12-30", 20), booked_at=on("2026-03-01"))
    assert await tier(too_late, on("2026-03-01")) == "basic"
