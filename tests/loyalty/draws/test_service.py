"""Drawing: exact stock under a rush, one answer per key, chances kept, results that anybody can recompute."""

import json
from collections import Counter
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.access import Role, StaffPrincipal
from loyalty.draws import giving, proof, publishing, queries, service
from loyalty.draws.giving import AlreadyHandedOver
from loyalty.draws.publishing import DrawChanged, DrawFrozen, DrawUnknown, PrizeOverCap
from loyalty.draws.rules import NewDraw
from loyalty.draws.service import DayLimit, DrawClosed, NoChance, NotForStaff, Result
from loyalty.ledger import queries as ledger
from loyalty.ledger.service import NotEnough
from tests.loyalty.draws.fair import document, drawn, nothing, opened, prize, wish
from tests.loyalty.people import give_points, guest
from tests.loyalty.processes import at_once, side_by_side
from tests.loyalty.shop import ADMIN, NOW, template

pytestmark = pytest.mark.usefixtures("database")

DAY = timedelta(days=1)
CLERK = StaffPrincipal(staff_id=7, role=Role.CLERK, store_id=1)


def codes(outcomes: Any) -> list[str]:
    return [outcome.prize.code for outcome in outcomes if isinstance(outcome, Result)]


async def test_what_is_drawn_is_what_seed_serial_and_nonce_say() -> None:
    fair = await opened(prize("cup", 10, stock=2), prize("mug", 30, stock=3), nothing(60))
    members = [await guest() for _ in range(30)]
    await drawn("fair", *(wish(member, nonce=f"n{member}") for member in members))
    published = await queries.publication(fair, NOW.date(), now=NOW + DAY)
    assert published is not None
    assert list(proof.check(published)) == []
    assert [record["serial"] for record in published["records"]] == list(range(1, 31))


async def test_a_changed_record_is_found_out() -> None:
    fair = await opened(prize("cup", 10, stock=2), nothing(90))
    await drawn("fair", *[wish(await guest()) for _ in range(10)])
    true = await queries.publication(fair, NOW.date(), now=NOW + DAY)
    assert true is not None
    for change in ("prize", "nonce", "rolled", "serial", "link"):
        false = deepcopy(dict(true))
        false["records"][4][change] = "other" if change in {"prize", "nonce", "link"} else 99
        assert any("record 5" in finding for finding in proof.check(false)), change
    dropped = {**true, "records": true["records"][:-1]}
    assert any(finding.startswith("head") for finding in proof.check(dropped))
    other_seed = {**true, "seed": "00" * 32}
    assert any(finding.startswith("seed") for finding in proof.check(other_seed))
    other_rules = {**true, "document": true["document"].replace('"weight":90', '"weight":9')}
    assert any(finding.startswith("document") for finding in proof.check(other_rules))


async def test_days_follow_one_another() -> None:
    fair = await opened(prize("cup", 99, stock=3), nothing(1))
    await drawn("fair", *[wish(await guest()) for _ in range(2)])
    await drawn("fair", *[wish(await guest()) for _ in range(3)], now=NOW + DAY)
    days = [await queries.publication(fair, (NOW + n * DAY).date(), now=NOW + 3 * DAY) for n in (0, 1)]
    assert None not in days
    whole = [dict(day) for day in days if day is not None]
    assert list(proof.check_days(whole)) == []
    whole[1]["left_before"] = {"cup": 3}
    assert any("left_before" in finding for finding in proof.check_days(whole))


async def test_the_seed_is_secret_until_the_day_is_over() -> None:
    fair = await opened(nothing(1))
    await drawn("fair", wish(await guest()))
    midnight = NOW.replace(hour=16)  # in Shanghai the 22nd begins
    for now in (NOW, midnight, midnight + timedelta(minutes=9)):
        published = await queries.publication(fair, NOW.date(), now=now)
        assert published is not None
        assert (published["seed"], published["records"], published["head"]) == (None, [], None)
    published = await queries.publication(fair, NOW.date(), now=midnight + timedelta(minutes=10))
    assert published is not None
    assert proof.commitment(bytes.fromhex(published["seed"])) == published["commitment"]
    promised = {one.day: one.commitment for one in await queries.commitments(fair.id)}
    assert promised[NOW.date()] == published["commitment"]
    assert len(promised) == 10


async def test_a_late_draw_belongs_to_the_day_that_has_begun() -> None:
    await opened(nothing(1))
    (first,) = await drawn("fair", wish(await guest()), now=NOW + DAY)
    (late,) = await drawn("fair", wish(await guest()), now=NOW)
    assert isinstance(first, Result)
    assert isinstance(late, Result)
    assert (late.day, late.serial) == (first.day, 2)


async def test_case_64_a_stock_of_five_under_fifty_draws_at_once() -> None:
    await opened(prize("cup", 99, stock=5), nothing(1))
    members = [await guest() for _ in range(50)]
    outcomes = [one for (one,) in await side_by_side(drawn("fair", wish(member)) for member in members)]
    assert Counter(codes(outcomes)) == {"cup": 5, "none": 45}
    assert await db.fetch_value("SELECT won FROM draw_stock") == 5


async def storm(member_ids: list[int]) -> list[str]:
    return codes([one for member in member_ids for one in await drawn("fair", wish(member))])


async def test_several_processes_draw_exactly_what_there_is(database_url: str) -> None:
    fair = await opened(prize("cup", 99, stock=7), nothing(1))
    members = [await guest() for _ in range(40)]
    heard = await at_once(database_url, storm, [(members[place::4],) for place in range(4)])
    assert Counter(code for codes in heard for code in codes)["cup"] == 7
    published = await queries.publication(fair, NOW.date(), now=NOW + DAY)
    assert published is not None
    assert list(proof.check(published)) == []
    assert published["left_after"] == {"cup": 0}


async def test_the_database_refuses_what_a_wrong_plan_would_overdraw() -> None:
    await opened(prize("cup", 1, stock=1), nothing(1))
    with pytest.raises(Exception, match="prizes_not_overdrawn"):
        await db.execute("UPDATE draw_stock SET won = won + 2")
    await drawn("fair", wish(await guest()))
    with pytest.raises(Exception, match="never changed"):
        await db.execute("UPDATE draw_record SET prize = 'cup'")


async def test_the_same_key_gets_the_same_result_however_often_and_at_once() -> None:
    await opened(prize("cup", 50), nothing(50), chances={"free_per_day": 9})
    member = await guest()
    outcomes = [one for (one,) in await side_by_side(drawn("fair", wish(member)) for _ in range(20))]
    assert len({outcome.record_id for outcome in outcomes if isinstance(outcome, Result)}) == 1
    assert sum(not outcome.replayed for outcome in outcomes if isinstance(outcome, Result)) == 1


async def test_chances_free_then_granted_then_points() -> None:
    await opened(nothing(1), chances={"free_per_day": 1, "points_per_draw": 30, "max_per_day": 4})
    member = await guest()
    await give_points(member, 50)
    async with db.unit_of_work():
        assert await service.grant_chances("fair", member, count=1, key="order:1", now=NOW)
        assert not await service.grant_chances("fair", member, count=1, key="order:1", now=NOW)
        assert not await service.grant_chances("none", member, count=1, key="order:1", now=NOW)
    outcomes = await drawn("fair", *(wish(member, f"k{n}") for n in range(4)))
    assert [type(outcome) for outcome in outcomes] == [Result, Result, Result, NotEnough]
    paid = await db.fetch("SELECT paid_by FROM draw_record ORDER BY serial")
    assert [row["paid_by"] for row in paid] == ["free", "granted", "points"]
    assert (await ledger.balances([member], at=NOW))[member].points == 20
    await give_points(member, 100)
    outcomes = await drawn("fair", *(wish(member, f"again{n}") for n in range(2)))
    assert [type(outcome) for outcome in outcomes] == [Result, DayLimit]


async def test_free_chances_come_back_with_the_business_day() -> None:
    await opened(nothing(1))
    member = await guest()
    first = await drawn("fair", wish(member, "a"), wish(member, "b"))
    assert [type(outcome) for outcome in first] == [Result, NoChance]
    (tomorrow,) = await drawn("fair", wish(member, "c"), now=NOW.replace(hour=16))
    assert isinstance(tomorrow, Result)


async def test_one_member_at_many_doors_draws_as_often_as_allowed() -> None:
    await opened(nothing(1), chances={"free_per_day": 2})
    member = await guest()
    outcomes = [one for (one,) in await side_by_side(drawn("fair", wish(member, f"k{n}")) for n in range(12))]
    assert Counter(type(outcome) for outcome in outcomes) == {Result: 2, NoChance: 10}


async def test_points_and_coupons_are_given_at_once_and_goods_once() -> None:
    offer = await template(stock=1, per_member_limit=1)
    points = {"kind": "points", "points": 66}
    coupon = {"kind": "coupon", "template": offer.code}
    await opened(prize("none", 1, award=points), code="points")
    await opened(prize("none", 1, award=coupon), code="coupons")
    await opened(prize("none", 1), code="goods")
    member, other = await guest(), await guest()
    await drawn("points", wish(member))
    await drawn("coupons", wish(member), wish(other))
    (goods,) = await drawn("goods", wish(member))
    assert isinstance(goods, Result)
    assert (await ledger.balances([member], at=NOW))[member].points == 66
    assert await db.fetch_value("SELECT count(*) FROM coupon WHERE member_id = $1 AND origin = 'draw'", member) == 1
    statuses = await db.fetch("SELECT member_id, status FROM draw_win ORDER BY id")
    # The template had one coupon only: the second winner's is owed, and said so.
    assert [row["status"] for row in statuses] == ["given", "given", "owed", "waiting"]
    code = giving.code_of(goods.record_id)
    async with db.unit_of_work():
        assert (await giving.hand_over(code, principal=CLERK, now=NOW)).code == "none"
    with pytest.raises(AlreadyHandedOver):
        async with db.unit_of_work():
            await giving.hand_over(code, principal=CLERK, now=NOW)
    assert [win.status for win in await queries.wins(member)] == ["handed_over", "given", "given"]


async def test_two_clerks_hand_over_once() -> None:
    await opened(prize("none", 1))
    (won,) = await drawn("fair", wish(await guest()))
    assert isinstance(won, Result)
    code = giving.code_of(won.record_id)

    async def hand() -> str:
        async with db.unit_of_work():
            try:
                return (await giving.hand_over(code, principal=CLERK, now=NOW)).code
            except AlreadyHandedOver:
                return "already"

    assert Counter(await side_by_side(hand() for _ in range(8))) == {"none": 1, "already": 7}


async def test_people_who_work_here_do_not_take_part() -> None:
    await opened(nothing(1))
    member = await guest()
    await db.execute(
        "INSERT INTO staff (corp_id, user_id, name, role, member_id, status)"
        " VALUES ('ww', 'li', 'Li', 'clerk', $1, 'active')",
        member,
    )
    (outcome,) = await drawn("fair", wish(member))
    assert isinstance(outcome, NotForStaff)


async def test_a_published_draw_is_frozen_and_before_it_starts_can_be_withdrawn() -> None:
    fair = await opened(nothing(1))
    with pytest.raises(DrawFrozen):
        async with db.unit_of_work():
            await publishing.draft(NewDraw.model_validate(document(nothing(2))), principal=ADMIN, now=NOW)
    with pytest.raises(DrawFrozen):
        async with db.unit_of_work():
            await publishing.withdraw("fair", principal=ADMIN, now=NOW)
    assert json.loads(fair.document)["prizes"][0]["weight"] == 1
    coming = document(nothing(1), code="coming", starts_at=(NOW + DAY).isoformat())
    async with db.unit_of_work():
        draft = await publishing.draft(NewDraw.model_validate(coming), principal=ADMIN, now=NOW)
    with pytest.raises(DrawChanged):
        async with db.unit_of_work():
            await publishing.publish("coming", "0" * 64, principal=ADMIN, now=NOW)
    async with db.unit_of_work():
        await publishing.publish("coming", draft.fingerprint, principal=ADMIN, now=NOW)
        await publishing.withdraw("coming", principal=ADMIN, now=NOW)
    outcomes = await drawn("coming", wish(await guest()), now=NOW + DAY)
    assert isinstance(outcomes[0], DrawUnknown)


async def test_draws_are_open_in_their_time_only() -> None:
    fair = await opened(nothing(1))
    member = await guest()
    for now in (fair.draw.starts_at - timedelta(microseconds=1), fair.draw.ends_at):
        (outcome,) = await drawn("fair", wish(member), now=now)
        assert isinstance(outcome, DrawClosed)
    (outcome,) = await drawn("fair", wish(member), now=fair.draw.starts_at)
    assert isinstance(outcome, Result)


async def test_what_the_law_forbids_is_not_even_drafted() -> None:
    above = NewDraw.model_validate(document(prize("car", 1, stock=1, worth_fen=5_000_001), nothing(9)))
    with pytest.raises(PrizeOverCap) as refused:
        async with db.unit_of_work():
            await publishing.draft(above, principal=ADMIN, now=NOW)
    assert refused.value.params == {"prize": "car", "worth_fen": 5_000_001}
