"""Awarding over the database: once, exactly within caps and budgets, as the preview said."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from loyalty import db
from loyalty.earning import publishing, queries, service
from loyalty.earning.documents import Rule
from loyalty.earning.facts import Fact
from loyalty.earning.queries import RuleView
from loyalty.earning.rules import Award
from loyalty.earning.service import Earned
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from loyalty.program import queries as program
from loyalty.program import service as terms_service
from loyalty.program.terms import Terms
from tests.loyalty.earning.written import DOUBLE, NOW, document, paid, purchase, withheld
from tests.loyalty.people import at_once, registered
from tests.loyalty.shop import ADMIN

pytestmark = pytest.mark.usefixtures("database")
DAY = timedelta(days=1)
SHARED = "event:shared"


async def publish(code: str, amount: Any = None, *, now: Any = NOW - 30 * DAY, **more: Any) -> RuleView:
    rule = Rule.model_validate(document(code, amount, **more))
    async with db.unit_of_work():
        drafted = await publishing.draft(rule, principal=ADMIN, now=now)
        return await publishing.publish(code, drafted.fingerprint, principal=ADMIN, now=now)


async def terms(**earning: Any) -> None:
    async with db.unit_of_work():
        written = Terms.model_validate({"earning": earning})
        await terms_service.publish(written, by="test", effective_from=NOW - 400 * DAY, now=NOW)
    program.forget()


async def award(*facts: Fact, now: Any = NOW) -> list[Earned]:
    async def once() -> list[Earned]:
        async with db.unit_of_work():
            return await service.award(facts, now=now)

    return await db.retried(once)


def shared(member_id: int, key: str, **more: Any) -> Fact:
    return purchase(trigger=SHARED, member_id=member_id, key=key, **more)


async def points(member_id: int, asset: Asset = Asset.POINTS) -> int:
    return (await ledger.balances([member_id], at=NOW + DAY))[member_id].points


def amounts(earned: Sequence[Earned]) -> list[int]:
    return [one.total("points") for one in earned]


async def test_where_nothing_is_published_the_terms_earn() -> None:
    member_id = await registered(now=NOW - DAY)
    (done,) = await award(purchase(3990, member_id=member_id))
    assert paid(done.evaluation) == {"purchase_points": 39, "purchase_growth": 39}
    assert await points(member_id) == 39
    (grant, posted), *_ = [pair for pair in done.posted if pair[0].asset == Asset.POINTS]
    assert (grant.key, posted.balance) == ("purchase:1:points", 39)
    assert grant.reason["awards"][0]["base_fen"] == 3990


async def test_a_fact_earns_once_and_answers_the_same() -> None:
    member_id = await registered(now=NOW - DAY)
    fact = purchase(member_id=member_id)
    first, second = await award(fact, fact)
    assert (first.replayed, second.replayed) == (False, True)
    (third,) = await award(fact)
    assert third.replayed
    assert third.evaluation.awards[0].amount == first.evaluation.awards[0].amount == 100
    assert await points(member_id) == 100


async def test_a_published_rule_counts_from_its_date_until_its_end_and_the_newest_version_wins() -> None:
    member_id = await registered(now=NOW - 60 * DAY)
    await publish("gift", 10, now=NOW - 9 * DAY)
    await publish("gift", 20, effective_from=NOW - DAY, effective_until=NOW + DAY, now=NOW - 8 * DAY)
    times = (NOW - 10 * DAY, NOW - 2 * DAY, NOW - DAY, NOW, NOW + DAY)
    facts = [purchase(0, member_id=member_id, key=f"p:{n}", occurred_at=at) for n, at in enumerate(times)]
    assert amounts(await award(*facts, now=NOW + 2 * DAY)) == [0, 10, 20, 20, 10]


async def test_a_rule_of_a_built_in_code_takes_its_place_and_nothing_switches_it_off() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("purchase_points", {"kind": "per_yuan", "points": 3})
    assert amounts(await award(purchase(member_id=member_id))) == [300]
    await publish("purchase_points", {"kind": "nothing"})
    assert amounts(await award(purchase(member_id=member_id, key="purchase:2"))) == [0]


async def test_an_ended_rule_gives_nothing_more_and_keeps_what_happened_before() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 10, trigger=SHARED)
    async with db.unit_of_work():
        await publishing.end("gift", principal=ADMIN, now=NOW)
    late = shared(member_id, "late", occurred_at=NOW - timedelta(hours=1))
    assert amounts(await award(late, shared(member_id, "after"), now=NOW + DAY)) == [10, 0]


async def test_conditions_see_the_member_as_they_were() -> None:
    member_id = await registered(now=NOW - 100 * DAY)
    newcomer = {"op": "lt", "field": "member.joined_days", "value": 30}
    await publish("welcome", 10, trigger=SHARED, condition=newcomer, now=NOW - 100 * DAY)
    early, now = shared(member_id, "early", occurred_at=NOW - 80 * DAY), shared(member_id, "now")
    assert amounts(await award(early, now)) == [10, 0]


async def test_case_35_a_cap_pays_the_rest_over_several_facts_of_one_batch_and_the_next() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, trigger=SHARED, caps=[{"per": "day", "amount": 120}])
    one, two = await award(shared(member_id, "1"), shared(member_id, "2"))
    (three,) = await award(shared(member_id, "3"))
    assert amounts([one, two, three]) == [50, 50, 20]
    assert withheld(three.evaluation) == {"gift": [(30, "cap:daily")]}
    (tomorrow,) = await award(shared(member_id, "4", occurred_at=NOW + DAY), now=NOW + DAY)
    assert tomorrow.total("points") == 50


async def test_sixty_facts_at_once_never_earn_more_than_the_cap() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 7, trigger=SHARED, caps=[{"per": "day", "amount": 100}], limits=[{"per": "day", "times": 50}])
    done = await at_once(*(award(shared(member_id, str(number))) for number in range(60)))
    assert [one for one in done if isinstance(one, BaseException)] == []
    given = sorted(one[0].total("points") for one in done if not isinstance(one, BaseException))
    assert (sum(given), given[-14:]) == (100, [7] * 14)
    assert [amount for amount in given if amount not in {0, 7}] == [2]
    assert await points(member_id) == 100


async def test_a_budget_is_given_to_the_last_unit_and_no_further_by_many_members_at_once() -> None:
    members = [await registered(now=NOW - DAY) for _ in range(12)]
    await publish("gift", 30, trigger=SHARED, budget={"total": 100, "campaign": "double11"})
    done = await at_once(*(award(shared(member_id, "1")) for member_id in members))
    given = sorted(one[0].total("points") for one in done if not isinstance(one, BaseException))
    assert given == [0] * 8 + [10, 30, 30, 30]
    assert await queries.budgets_left(["campaign:double11"]) == {"campaign:double11": (100, 100)}


async def test_what_was_used_meanwhile_undoes_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """The conditional statement alone refuses, also where nobody held the counters and the budget."""
    from loyalty.earning import reading

    member_id = await registered(now=NOW - DAY)
    for kind in (
        {"caps": [{"per": "day", "amount": 50}]},
        {"limits": [{"per": "day", "times": 1}]},
        {"budget": {"total": 50}},
    ):
        (name,) = kind
        await publish(name, 50, trigger=f"event:{name}", **kind)
        facts = [purchase(trigger=f"event:{name}", member_id=member_id, key=f"{name}:{n}") for n in range(2)]
        cases = await reading.cases(facts, now=NOW)
        async with db.unit_of_work():
            await reading.used(cases, hold=True)
        stale = await reading.used(cases, hold=False)
        assert amounts(await award(facts[0])) == [50]

        async def unheld(batch: Any, *, hold: bool, known: Any = stale) -> Any:
            return known

        with monkeypatch.context() as patched:
            patched.setattr(reading, "used", unheld)
            with pytest.raises(db.Overtaken):
                async with db.unit_of_work():
                    await service.award([facts[1]], now=NOW)
        assert amounts(await award(facts[1])) == [0]


async def test_the_same_fact_judged_twice_at_once_is_paid_once() -> None:
    member_id = await registered(now=NOW - DAY)
    fact = purchase(member_id=member_id)
    done = await at_once(*(award(fact) for _ in range(8)))
    assert [one for one in done if isinstance(one, BaseException)] == []
    assert await points(member_id) == 100
    assert await db.fetch_value("SELECT count(*) FROM earning_fact") == 1


async def test_an_award_keeps_rule_version_inputs_and_what_was_withheld() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("double", DOUBLE)
    await publish("double", {**DOUBLE, "percent": 300}, caps=[{"per": "day", "amount": 150}])
    (done,) = await award(purchase(member_id=member_id))
    row = await db.fetch_one("SELECT * FROM earning_award WHERE rule = 'double'")
    assert row is not None
    assert (row["version"], row["amount"], row["wanted"], row["grant_key"]) == (2, 150, 200, "purchase:1:points")
    assert '"cap:daily"' in row["withheld"]
    fact = await db.fetch_one("SELECT * FROM earning_fact")
    assert fact is not None
    assert len(fact["inputs_hash"]) == 64
    assert [one["rule"] for one in done.posted[-1][0].reason["awards"]] == ["purchase_points", "double"]
    assert "birthday" not in fact["inputs"]


async def test_a_rule_of_its_own_validity_makes_a_lot_of_its_own_and_may_wait() -> None:
    member_id = await registered(now=NOW - DAY)
    never = {"kind": "never"}
    await publish(
        "waits", 30, pending={"kind": "days", "days": 7}, expiry={"kind": "rolling", "days": 9, "round_up": "day"}
    )
    await publish("stays", 20, expiry=never)
    await publish("event", 5, pending={"kind": "event", "event": "received", "cancel_after_days": 30})
    await award(purchase(member_id=member_id))
    rows = await db.fetch("SELECT * FROM ledger_lot WHERE asset = 'points' ORDER BY id")
    lots = {row["grant_key"]: row for row in rows}
    assert set(lots) == {"purchase:1:points", *(f"purchase:1:points:{code}" for code in ("waits", "stays", "event"))}
    waits = lots["purchase:1:points:waits"]
    midnight = NOW - timedelta(hours=12)
    assert waits["activates_at"] == midnight + 7 * DAY
    assert waits["expires_at"] == midnight + (7 + 9 + 1) * DAY
    assert lots["purchase:1:points:stays"]["expires_at"] is None
    assert lots["purchase:1:points:event"]["event"] == "received"
    assert lots["purchase:1:points:event"]["cancels_at"] == midnight + 30 * DAY
    assert (await ledger.balances([member_id], at=NOW))[member_id].points == 120


async def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = {"op": "ge", "field": "member.spend", "value": 0}
    await publish("gift", 5, condition=spent, caps=[{"per": "day", "amount": 100}], budget={"total": 1000})
    counts: list[int] = []
    members = [await registered(now=NOW - DAY) for _ in range(9)]
    await award(purchase(member_id=members[0], key="warm"))
    for size in (1, 8):
        asked = 0
        genuine = db.fetch

        async def fetch(sql: str, *args: object, call: Any = genuine) -> Any:
            nonlocal asked
            asked += 1
            return await call(sql, *args)

        with monkeypatch.context() as patched:
            patched.setattr(db, "fetch", fetch)
            await award(*(purchase(member_id=member, key=f"of {size}") for member in members[:size]))
        counts.append(asked)
    assert counts[0] == counts[1] <= 11


async def test_accounts_that_are_joined_have_one_allowance() -> None:
    one, two = await registered(now=NOW - DAY), await registered(now=NOW - DAY)
    await publish("gift", 50, trigger=SHARED, caps=[{"per": "day", "amount": 120}])
    await award(shared(one, "1"), shared(two, "1"))
    async with db.unit_of_work():
        await service.join_counters(two, one)
    assert amounts(await award(shared(one, "2"))) == [20]


async def test_nothing_is_written_by_a_preview() -> None:
    member_id = await registered(now=NOW - DAY)
    await publish("gift", 50, caps=[{"per": "day", "amount": 70}])
    facts = [purchase(member_id=member_id, key=f"p:{n}") for n in range(2)]
    seen = await service.preview(facts, now=NOW)
    assert [one.total("points") for one in seen] == [150, 120]
    assert await db.fetch_value("SELECT count(*) FROM earning_fact") == 0
    assert await db.fetch_value("SELECT count(*) FROM earning_counter") == 0
    done = await award(*facts)
    assert [_given(one.evaluation.awards) for one in done] == [_given(one.awards) for one in seen]


def _given(awards: Sequence[Award]) -> list[tuple[Any, ...]]:
    return [(one.rule_code, one.version, one.amount, one.wanted, one.withheld) for one in awards]
