"""Editing a live ladder: the dry run says what publishing does, whatever the edit; both go on where they were."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loyalty import db
from loyalty.ladder_moves import queries, rules, service
from loyalty.ladder_moves.queries import MoveView
from loyalty.ladder_moves.rules import Found, Moved
from loyalty.ladders import queries as ladders_read
from loyalty.ladders import service as ladders
from loyalty.ladders.rules import Benefits, Fixed, Ladder, Step
from loyalty.ladders.service import DraftOutdated, LadderPublished, LadderUnknown
from tests.loyalty.shop import ADMIN, publish_ladder
from tests.loyalty.tiers.scene import course, grow, ladder, member, on, rolling, stands, sweep, tier

pytestmark = pytest.mark.usefixtures("database")

START = on("2025-01-01")
NOW = on("2026-03-10", 12)
OLD: tuple[tuple[str, int], ...] = (("silver", 500), ("gold", 2000))


def named(made: Ladder) -> Ladder:
    words = {"zh-CN": "级", "en": "step"}
    steps = tuple(step.model_copy(update={"names": words}) for step in made.steps)
    return made.model_copy(update={"names": words, "steps": steps})


async def drafted(made: Ladder) -> int:
    async with db.unit_of_work():
        return (await ladders.draft(named(made), principal=ADMIN, now=NOW)).version


async def try_out(version: int, downgrades: Any = "at_review") -> MoveView:
    async with db.unit_of_work():
        return await service.dry_run("main", version, downgrades, principal=ADMIN, now=NOW)


async def publish(version: int, downgrades: Any = "at_review", **more: Any) -> MoveView:
    async with db.unit_of_work():
        return await service.publish("main", version, downgrades, principal=ADMIN, now=NOW, **more)


async def people(*growths: int) -> list[int]:
    who = [await member(START) for _ in growths]
    for member_id, growth in zip(who, growths, strict=True):
        if growth:
            await grow(member_id, growth, on("2025-06-01"))
    return who


async def test_a_tier_between_two_tiers_is_taken_by_who_reaches_it() -> None:
    await publish_ladder(ladder(*OLD), now=START)
    low, silver, rose, gold = await people(10, 500, 1200, 2500)
    version = await drafted(ladder(("silver", 500), ("rose", 1000), ("gold", 2000)))
    dry = await try_out(version)
    assert (dry.status, dry.looked_at, dry.found["moves"]) == ("done", 4, {"silver>rose": 1})
    assert dry.found["samples"] == {"silver>rose": [rose]}
    assert dry.found["holders"] == {"basic": 1, "silver": 1, "rose": 1, "gold": 1}
    assert await tier(rose, NOW) == "silver", "a dry run moves nobody"
    done = await publish(version)
    assert done.found == dry.found
    assert [await tier(who, NOW) for who in (low, silver, rose, gold)] == ["basic", "silver", "rose", "gold"]
    assert (await course(rose))[-1] == ("rose", "ladder_edit", NOW)


async def test_who_would_have_less_stays_until_the_review_or_falls_at_once() -> None:
    year = {"measure": rolling(kind="rolling", months=12), "validity": Fixed(months=12)}
    await publish_ladder(ladder(*OLD, **year), now=START)
    (member_id,) = await people(2100)
    harder = await drafted(ladder(("silver", 1000), ("gold", 3000), **year))
    assert (await try_out(harder, "at_review")).found["moves"] == {}
    assert (await try_out(harder, "at_once")).found["moves"] == {"gold>silver": 1}
    await publish(harder, "at_review")
    standing = await stands(member_id, NOW)
    assert (standing.tier.code, standing.until, standing.gap) == ("gold", on("2026-06-01"), 900)
    await sweep(on("2026-06-01"))
    assert (await course(member_id))[-1] == ("silver", "review", on("2026-06-01"))


async def test_at_once_is_at_once() -> None:
    await publish_ladder(ladder(*OLD), now=START)
    (member_id,) = await people(2100)
    await publish(await drafted(ladder(("silver", 1000), ("gold", 3000))), "at_once")
    assert (await course(member_id))[-1] == ("silver", "ladder_edit", NOW)


async def test_a_tier_that_is_gone_becomes_the_next_lower_one() -> None:
    await publish_ladder(ladder(("silver", 500), ("gold", 2000), ("diamond", 9000)), now=START)
    silver, gold, diamond = await people(600, 2100, 9000)
    version = await drafted(ladder(("silver", 500), ("diamond", 9000)))
    dry = await try_out(version)
    assert dry.found["moves"] == {"gold>silver": 1}
    assert (await publish(version)).found == dry.found
    assert [await tier(who, NOW) for who in (silver, gold, diamond)] == ["silver", "silver", "diamond"]


async def test_a_validity_that_is_new_gives_everybody_a_date_ahead() -> None:
    await publish_ladder(ladder(*OLD), now=START)
    (member_id,) = await people(600)
    assert (await stands(member_id, NOW)).until is None
    await publish(await drafted(ladder(*OLD, validity=Fixed(months=12))))
    assert (await stands(member_id, NOW)).until == on("2026-06-01")
    await publish(await drafted(ladder(*OLD)))
    assert (await stands(member_id, NOW)).until is None


async def test_large_programmes_go_on_in_batches_and_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "AT_ONCE", 2)
    await publish_ladder(ladder(*OLD), now=START)
    who = await people(*[1200] * 7)
    version = await drafted(ladder(("silver", 500), ("rose", 1000), ("gold", 2000)))
    begun = await publish(version)
    assert (begun.status, begun.looked_at, begun.members) == ("running", 2, 7)

    async def batch(*, dies: bool) -> int:
        async with db.unit_of_work():
            looked_at = await service.advance_due(now=NOW, batch_max=2)
            if dies:
                raise RuntimeError
        return looked_at

    for _ in range(2):
        with pytest.raises(RuntimeError):
            await batch(dies=True)
        assert await batch(dies=False) == 2
    assert await batch(dies=False) == 1
    assert await batch(dies=False) == 0
    done = await queries.find(begun.id)
    assert done is not None
    assert (done.status, done.looked_at, done.found["moves"]) == ("done", 7, {"silver>rose": 7})
    assert {await tier(one, NOW) for one in who} == {"rose"}
    assert await db.fetch_value("SELECT count(*) FROM tier_interval WHERE reason = 'ladder_edit'") == 7


async def test_a_version_may_begin_later() -> None:
    await publish_ladder(ladder(*OLD), now=START)
    (member_id,) = await people(1200)
    version = await drafted(ladder(("silver", 500), ("rose", 1000), ("gold", 2000)))
    begun = await publish(version, effective_from=NOW + timedelta(days=5))
    assert (begun.status, begun.looked_at) == ("running", 0)
    async with db.unit_of_work():
        assert await service.advance_due(now=NOW + timedelta(days=4), batch_max=10) == 0
    ladders_read.forget()
    async with db.unit_of_work():
        await service.advance_due(now=NOW + timedelta(days=5), batch_max=10)
    assert await tier(member_id, NOW + timedelta(days=5)) == "rose"


async def test_drafts_are_published_once_and_only_the_newest() -> None:
    first, second = await drafted(ladder(*OLD)), await drafted(ladder(("silver", 400)))
    await publish(second)
    with pytest.raises(LadderPublished):
        await publish(second)
    with pytest.raises(DraftOutdated):
        await publish(first)
    with pytest.raises(LadderUnknown):
        await publish(99)
    with pytest.raises(LadderUnknown):
        await try_out(99)


def test_what_benefits_cost() -> None:
    words = {"en": "x"}
    plain = Step(code="a", names=words, reach_from=0)
    better = Step(code="b", names=words, reach_from=5, benefits=Benefits(multiplier_percent=150, birthday_points=100))
    found = Found()
    found.add([Moved(1, plain, better, 1000), Moved(2, plain, plain, 1000), Moved(3, better, plain, 300)])
    # 1000 more by half and a birthday, 300 less by a third and a birthday.
    assert found.points_per_year == 500 + 100 - 100 - 100
    assert (found.moves, found.holders) == ({"a>b": 1, "b>a": 1}, {"b": 1, "a": 2})


def test_a_step_has_its_counterpart_in_another_version() -> None:
    old = ladder(("silver", 500), ("gold", 2000))
    new = ladder(("copper", 300), ("gold", 1000))
    assert rules.counterpart(old.step("silver"), new).code == "copper"
    assert rules.counterpart(old.step("gold"), new).code == "gold"


THRESHOLDS = st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True).map(sorted)


@given(
    before=THRESHOLDS,
    after=THRESHOLDS,
    growths=st.lists(st.integers(0, 45), min_size=3, max_size=3),
    downgrades=st.sampled_from(["at_review", "at_once"]),
    fixed=st.booleans(),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_dry_run_says_what_publishing_does(
    before: list[int], after: list[int], growths: list[int], downgrades: str, *, fixed: bool
) -> None:
    for table in ("ladder_version", "ladder_move", "tier_standing", "tier_interval", "member"):
        await db.execute(f"TRUNCATE {table}")
    ladders_read.forget()
    names = ["silver", "gold", "diamond"]
    more: dict[str, Any] = {"validity": Fixed(months=12)} if fixed else {}
    await publish_ladder(ladder(*zip(names, before, strict=False)), now=START)
    who = await people(*growths)
    version = await drafted(ladder(*zip(names[1:] + names[:1], after, strict=False), **more))
    dry = await try_out(version, downgrades)
    old = [await tier(one, NOW) for one in who]
    done = await publish(version, downgrades)
    new = [await tier(one, NOW) for one in who]
    moved: dict[str, int] = {}
    for was, now in zip(old, new, strict=True):
        if was != now:
            moved[f"{was}>{now}"] = moved.get(f"{was}>{now}", 0) + 1
    assert dry.found["moves"] == done.found["moves"] == moved
