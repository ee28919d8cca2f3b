"""Tiers: raised at once, one open interval, one notice, never lowered by the way."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from loyalty import db
from loyalty.check_ins import service as check_ins
from loyalty.ladders.rules import DEFAULT_LADDER, PublishedLadder
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant
from loyalty.tiers import queries, rules
from loyalty.tiers import service as tiers
from loyalty.tiers.service import Raised
from loyalty.tiers.states import Case, Counts, Position, State
from tests.loyalty.people import guest
from tests.loyalty.processes import at_once
from tests.loyalty.shop import NOW

pytestmark = pytest.mark.usefixtures("database")


async def grow(member_id: int, growth: int, key: str = "g") -> None:
    grant = Grant(member_id=member_id, asset=Asset.GROWTH, amount=growth, key=key, kind="test", occurred_at=NOW)
    async with db.unit_of_work():
        await ledger.post_one(grant, now=NOW)


async def review(*member_ids: int) -> list[Raised]:
    async with db.unit_of_work():
        return await tiers.review(member_ids, now=NOW)


async def test_reaching_a_step_raises_with_event_and_notice() -> None:
    member_id = await guest()
    await grow(member_id, 500)
    (raised,) = await review(member_id)
    assert (raised.old, raised.new, raised.growth) == ("basic", "silver", 500)
    assert await db.fetch_value("SELECT data->>'new' FROM event WHERE name = 'tier.raised'") == "silver"
    notice = await db.fetch_one("SELECT notice, send_class, purpose, member_id FROM outbox")
    assert notice is not None
    assert tuple(notice) == ("tier_raised", "service_notice", "transaction", member_id)
    assert await review(member_id) == []
    assert await db.fetch_value("SELECT count(*) FROM outbox") == 1


async def test_the_growth_of_a_check_in_raises_at_once() -> None:
    member_id = await guest()
    await grow(member_id, 499)
    async with db.unit_of_work():
        await check_ins.check_in(member_id, now=NOW)
    assert (await queries.standing(member_id, at=NOW)).tier.code == "silver"
    assert await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'tier_raised'") == 1


async def test_one_short_of_a_step_raises_nobody() -> None:
    member_id = await guest()
    await grow(member_id, 499)
    assert await review(member_id) == []
    standing = await queries.standing(member_id, at=NOW)
    assert (standing.tier.code, standing.growth, standing.missing, standing.since) == ("basic", 499, 1, None)
    assert standing.next_tier is not None
    assert standing.next_tier.code == "silver"


async def test_steps_may_be_skipped_and_history_is_intervals() -> None:
    member_id = await guest()
    await grow(member_id, 600)
    await review(member_id)
    await grow(member_id, 10_000, "more")
    async with db.unit_of_work():
        await tiers.review([member_id], now=NOW + timedelta(days=1))
    newest, oldest = await queries.history(member_id)
    assert (newest.tier, newest.ends_at) == ("diamond", None)
    assert (oldest.tier, oldest.ends_at) == ("silver", newest.starts_at)
    standing = await queries.standing(member_id, at=NOW)
    assert (standing.tier.code, standing.next_tier, standing.missing) == ("diamond", None, 0)
    assert await queries.held_at([(member_id, NOW), (member_id, NOW + timedelta(days=1))]) == {
        (member_id, NOW): "silver",
        (member_id, NOW + timedelta(days=1)): "diamond",
    }
    assert await queries.held_at([(member_id, NOW - timedelta(seconds=1))]) == {}


async def test_many_at_once_and_twice_in_one_batch() -> None:
    low, mid, high = await guest(), await guest(), await guest()
    await grow(mid, 500)
    await grow(high, 2_000)
    raised = await review(high, low, mid, high)
    assert {rise.member_id: rise.new for rise in raised} == {mid: "silver", high: "gold"}


async def test_nobody_is_nobody() -> None:
    assert await review() == []
    assert (await queries.standing(404, at=NOW)).tier.code == "basic"


async def review_in_process(member_id: int) -> int:
    """How many rises one process of the race wrote."""
    return len(await review(member_id))


async def test_reviews_from_four_processes_at_once_raise_once(database_url: str) -> None:
    member_id = await guest()
    await grow(member_id, 500)
    assert sum(await at_once(database_url, review_in_process, [(member_id,)] * 4)) == 1
    await grow(member_id, 5_000, "more")
    assert sum(await at_once(database_url, review_in_process, [(member_id,)] * 4)) == 1
    assert await db.fetch_value("SELECT count(*) FROM event WHERE name = 'tier.raised'") == 2
    assert await db.fetch_value("SELECT count(*) FROM tier_interval WHERE ends_at IS NULL") == 1


@pytest.mark.parametrize(
    ("code", "growth", "expected"),
    [
        ("basic", 0, None),
        ("basic", 500, "silver"),
        ("silver", 500, None),
        ("silver", 1_999, None),
        ("silver", 2_000, "gold"),
        ("gold", 0, None),
        ("gold", 10_000, "diamond"),
        ("dropped_by_a_new_version", 100, None),
        ("dropped_by_a_new_version", 2_000, "gold"),
    ],
)
def test_whom_to_raise(code: str, growth: int, expected: str | None) -> None:
    case = Case(PublishedLadder(0, DEFAULT_LADDER), NOW, ZoneInfo("Asia/Shanghai"))
    state = State(Position(code, NOW, NOW))
    turn = rules.live(state, case, Counts(growth, growth), NOW)
    assert (turn.change.new if turn.change else None) == expected


async def test_what_is_missing_is_never_negative() -> None:
    # Growth can be above the next step until the review that follows in the same unit of work.
    member_id = await guest()
    await grow(member_id, 700)
    standing = await queries.standing(member_id, at=NOW)
    assert (standing.next_tier, standing.missing) == (DEFAULT_LADDER.steps[1], 0)
