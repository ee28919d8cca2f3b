"""Two members become one: everything moves, nothing is lost, twice is once."""

from datetime import date, timedelta
from functools import partial

import pytest

from loyalty import db
from loyalty.consents import queries as consent_queries
from loyalty.consents import service as consents
from loyalty.fsck import queries as fsck
from loyalty.ledger import queries as ledger_queries
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, NotEnough, Spend
from loyalty.members import queries as members
from loyalty.members.service import MemberGone
from loyalty.merges import service as merges
from loyalty.merges.rules import FATES
from loyalty.merges.service import Merged, MergeUnknown, NotUndoable
from loyalty.reveals import service as reveals
from tests.loyalty.people import NOW, at_once, contact, give_points, guest, meet, registered

pytestmark = pytest.mark.usefixtures("database")


async def merge(source: int, target: int) -> Merged:
    async with db.unit_of_work():
        return await merges.merge(source, target, reason="test", now=NOW)


async def points(*ids: int) -> list[int]:
    found = await ledger_queries.balances(ids, at=NOW)
    return [found[member_id].points for member_id in ids]


async def sound() -> bool:
    # These tests write facts without their causes; the books must be sound all the same.
    books = ("balance_", "lot_", "entry_")
    return not [f.broken async for f in fsck.check_all() if f.broken and f.invariant.name.startswith(books)]


async def check_in(member_id: int, day: int, streak: int) -> None:
    await db.execute(
        "INSERT INTO check_in (member_id, day, streak, points, at) VALUES ($1, $2, $3, 5, $4)",
        member_id,
        date(2026, 11, day),
        streak,
        NOW,
    )


async def coupon(member_id: int, ordinal: int = 1, template_id: int = 7) -> None:
    await db.execute(
        "INSERT INTO coupon (member_id, template_id, ordinal, status, origin, claim_key, claimed_at, expires_at)"
        " VALUES ($1, $2, $3, 'issued', 'claim', $5, $4, $4)",
        member_id,
        template_id,
        ordinal,
        NOW,
        f"{member_id}-{template_id}-{ordinal}",
    )


async def test_every_table_of_a_member_has_a_fate() -> None:
    tables = await db.fetch(
        "SELECT table_name FROM information_schema.columns WHERE column_name = 'member_id' AND table_schema = 'public'"
    )
    assert {row["table_name"] for row in tables} == set(FATES)


async def test_points_move_with_their_own_expiry() -> None:
    source, target = await guest(), await guest()
    feb, mar = NOW + timedelta(days=90), NOW + timedelta(days=120)
    await give_points(target, 100, expires_at=mar)
    await give_points(source, 50, expires_at=feb)
    assert (await merge(source, target)).survivor_id == target
    assert await points(source, target) == [0, 150]
    assert await ledger_queries.expiring(target, Asset.POINTS, after=NOW, until=mar) == [(feb, 50), (mar, 100)]
    assert await sound()


async def test_merging_twice_is_once_and_the_second_name_leads_to_the_survivor() -> None:
    source, target = await guest(), await guest()
    await give_points(source, 50)
    first = await merge(source, target)
    again = await merge(source, target)
    assert (first.survivor_id, again) == (target, Merged(target, None))
    assert await points(source, target) == [0, 50]
    assert await db.fetch_value("SELECT count(*) FROM member_merge") == 1


async def test_a_chain_of_merges_ends_at_the_last_survivor() -> None:
    one, two, three = await guest(), await guest(), await guest()
    await give_points(one, 1)
    await merge(one, two)
    await merge(one, three)
    assert await points(one, two, three) == [0, 0, 1]


async def test_identities_lead_to_the_survivor() -> None:
    one, other = contact(), contact(app_id="wxmini")
    first, second = await meet(one), await meet(other)
    await merge(first.member_id, second.member_id)
    assert (await meet(one)).member_id == second.member_id


async def test_coupons_of_one_template_stay_both_and_count_on() -> None:
    source, target = await guest(), await guest()
    await coupon(target)
    await coupon(source)
    await merge(source, target)
    rows = await db.fetch("SELECT member_id, ordinal FROM coupon ORDER BY ordinal")
    assert [tuple(row) for row in rows] == [(target, 1), (target, 2)]


async def test_check_ins_join_and_the_same_day_stays_two_facts() -> None:
    source, target = await guest(), await guest()
    for member_id, day, streak in ((target, 18, 1), (target, 19, 2), (source, 20, 1), (source, 19, 1), (target, 21, 1)):
        await check_in(member_id, day, streak)
    await merge(source, target)
    rows = await db.fetch("SELECT extract(day FROM day)::int AS day, streak FROM check_in WHERE member_id = $1", target)
    assert sorted(tuple(row) for row in rows) == [(18, 1), (19, 2), (20, 3), (21, 4)]
    assert await db.fetch_value("SELECT count(*) FROM check_in WHERE member_id = $1", source) == 1


async def test_the_survivor_gains_what_only_the_other_told() -> None:
    source = await registered("+8613800138000", name="欧阳修")
    target = await registered(name="王安石")
    await merge(source, target)
    assert await reveals.own_profile(target) == reveals.OwnProfile("王安石", "+8613800138000", None)
    assert (await members.card_by_phone("13800138000", at=NOW)).id == target


async def test_the_newer_answer_to_a_purpose_is_in_force() -> None:
    source, target = await guest(), await guest()
    async with db.unit_of_work():
        await consents.grant(target, "marketing_sms", channel="wechat_oa", evidence="menu", now=NOW)
        later = NOW + timedelta(minutes=1)
        await consents.withdraw(source, "marketing_sms", channel="telegram", evidence="menu", now=later)
        await consents.grant(source, "marketing_telegram", channel="telegram", evidence="menu", now=later)
    await merge(source, target)
    assert await consent_queries.answer_for([target], "marketing_sms") == set()
    assert await consent_queries.answer_for([target], "marketing_telegram") == {target}


async def test_join_keeps_the_registered_one_then_the_older() -> None:
    older, younger = await guest(), await registered()
    async with db.unit_of_work():
        assert (await merges.join(older, younger, reason="test", now=NOW)).survivor_id == younger
    one, two = await guest(), await guest()
    async with db.unit_of_work():
        assert (await merges.join(two, one, reason="test", now=NOW)).survivor_id == one


async def test_nobody_is_merged_into_somebody_unknown() -> None:
    with pytest.raises(MemberGone):
        await merge(await guest(), 10**6)


async def spend_units(member_id: int, amount: int) -> int:
    return await spend(member_id, f"spend:{amount}", amount)


async def spend(member_id: int, key: str, amount: int = 1) -> int:
    operation = Spend(member_id=member_id, asset=Asset.POINTS, amount=amount, key=key, kind="test", occurred_at=NOW)
    async with db.unit_of_work():
        try:
            return (await ledger.post_one(operation, now=NOW)).amount
        except NotEnough:
            return 0


async def merged_units(source: int, target: int) -> int:
    await merge(source, target)
    return 0


async def test_value_is_conserved_while_both_spend() -> None:
    source, target = await guest(), await guest()
    await give_points(source, 100)
    await give_points(target, 100)
    tries = [
        db.retried(partial(spend, member_id, f"s{serial}")) for serial in range(60) for member_id in (source, target)
    ]
    tries.insert(60, db.retried(partial(merged_units, source, target)))
    results = [result for result in await at_once(*tries) if isinstance(result, int)]
    assert len(results) == 121
    assert sum(await points(source, target)) == 200 - sum(results)
    assert (await points(source))[0] == 0
    assert await sound()


async def test_opposite_merges_at_once_leave_one_survivor() -> None:
    for _ in range(5):
        one, other = await guest(), await guest()
        await give_points(one, 10)
        await give_points(other, 20)
        results = await at_once(
            db.retried(partial(merge, one, other)),
            db.retried(partial(merge, other, one)),
        )
        assert len({result.survivor_id for result in results if isinstance(result, Merged)}) == 1
        assert all(isinstance(result, Merged) for result in results)
        assert sorted(await points(one, other)) == [0, 30]


async def test_undone_the_two_have_what_they_had_and_spent_stays_spent() -> None:
    one, other = contact(), contact(app_id="wxmini")
    source, target = (await meet(one)).member_id, (await meet(other)).member_id
    feb, mar = NOW + timedelta(days=90), NOW + timedelta(days=120)
    await give_points(source, 50, expires_at=feb)
    await give_points(target, 100, expires_at=mar)
    await coupon(source)
    await coupon(target)
    await check_in(source, 20, 1)
    await check_in(target, 19, 4)
    merged = await merge(source, target)
    assert merged.merge_id is not None
    assert await db.fetch_value("SELECT max(streak) FROM check_in WHERE member_id = $1", target) == 5
    assert await spend_units(target, 30) == 30
    async with db.unit_of_work():
        undone = await merges.undo(merged.merge_id, now=NOW)
    assert undone.returned[Asset.POINTS] == 20
    assert await points(source, target) == [20, 100]
    assert await ledger_queries.expiring(source, Asset.POINTS, after=NOW, until=mar) == [(feb, 20)]
    assert (await meet(one)).member_id == source
    rows = await db.fetch("SELECT member_id, ordinal FROM coupon ORDER BY member_id")
    assert [tuple(row) for row in rows] == [(source, 1), (target, 1)]
    rows = await db.fetch("SELECT member_id, streak FROM check_in ORDER BY member_id")
    assert [tuple(row) for row in rows] == [(source, 1), (target, 4)]
    assert await sound()
    with pytest.raises(MergeUnknown):
        await merges.undo(merged.merge_id, now=NOW)


async def test_undone_the_adopted_number_goes_home_and_merging_again_works() -> None:
    source, target = await registered("+8613800138000", name="欧阳修"), await registered()
    for _ in range(2):
        merged = await merge(source, target)
        assert merged.merge_id is not None
        async with db.unit_of_work():
            await merges.undo(merged.merge_id, now=NOW)
    assert (await reveals.own_profile(source)).phone == "+8613800138000"
    assert await reveals.own_profile(target) == reveals.OwnProfile(None, None, None)
    assert (await members.card_by_phone("13800138000", at=NOW)).id == source


async def test_a_merge_into_somebody_who_was_merged_on_is_not_undone_first() -> None:
    one, two, three = await guest(), await guest(), await guest()
    first = await merge(one, two)
    await merge(two, three)
    assert first.merge_id is not None
    with pytest.raises(NotUndoable):
        await merges.undo(first.merge_id, now=NOW)


async def test_what_reached_the_old_member_late_follows() -> None:
    source, target = await guest(), await guest()
    await merge(source, target)
    await give_points(source, 9)
    await check_in(source, 20, 1)
    for _ in range(2):
        async with db.unit_of_work():
            assert await merges.settle_late(now=NOW + timedelta(minutes=1)) == 1
    assert await points(source, target) == [0, 9]
    assert await db.fetch_value("SELECT member_id FROM check_in") == target
    async with db.unit_of_work():
        assert await merges.settle_late(now=NOW + timedelta(hours=2)) == 0
    assert await sound()


async def test_one_gift_claimed_by_both_keeps_both_coupons() -> None:
    source, target = await guest(), await guest()
    await coupon(source)
    await coupon(target)
    await db.execute("UPDATE coupon SET claim_key = 'birthday:2026'")
    await merge(source, target)
    rows = await db.fetch("SELECT claim_key FROM coupon WHERE member_id = $1 ORDER BY ordinal", target)
    assert rows[0]["claim_key"] == "birthday:2026"
    assert len(rows) == 2


async def status(*ids: int) -> list[str]:
    found = {row["id"]: row["status"] for row in await db.fetch("SELECT id, status FROM member")}
    return [found[member_id] for member_id in ids]


@pytest.mark.parametrize(
    ("source_is", "target_is", "survivor_is"),
    [
        ("active", "guest", "active"),
        ("guest", "active", "active"),
        ("restricted", "active", "restricted"),
        ("active", "restricted", "restricted"),
        ("restricted", "guest", "restricted"),
        ("guest", "guest", "guest"),
    ],
)
async def test_standing_survives_a_merge_and_its_undoing(source_is: str, target_is: str, survivor_is: str) -> None:
    source, target = [await guest() if wanted == "guest" else await registered() for wanted in (source_is, target_is)]
    await db.execute("UPDATE member SET status = $2 WHERE id = $1", source, source_is)
    await db.execute("UPDATE member SET status = $2 WHERE id = $1", target, target_is)
    merged = await merge(source, target)
    assert await status(source, target) == ["merged", survivor_is]
    assert merged.merge_id is not None
    async with db.unit_of_work():
        await merges.undo(merged.merge_id, now=NOW)
    assert await status(source, target) == [source_is, target_is]
