"""Earning rules over HTTP: drafted, tried, published, ended; and what purchases then earn."""

from datetime import timedelta
from typing import Any

from loyalty import clock, db
from loyalty.access import Role
from tests.loyalty.earning.written import DOUBLE, document
from tests.miniapp_api.people import Answered, Api, new_member, new_partner, new_staff, new_store
from tests.miniapp_api.test_checkouts import Till

RULES = "/v1/console/earning-rules"
BUDGET = {"total": 1000}


async def marketer(api: Api) -> Api:
    return api.by((await new_staff(Role.MARKETER)).token)


async def published(by: Api, code: str, amount: Any, **more: Any) -> Answered:
    since = (clock.now() - timedelta(days=30)).isoformat()
    draft = await by.post(RULES, document(code, amount, effective_from=since, **{"budget": BUDGET, **more}))
    assert draft.status == 201, draft.body
    return await by.post(f"{RULES}/{code}/publication", {"rule_sha256": draft.json["rule_sha256"]})


async def public_id(member_id: int) -> str:
    return str(await db.fetch_value("SELECT public_id FROM member WHERE id = $1", member_id))


async def bought(till: Api, member: str, number: str, amount_fen: int = 10_000, **more: Any) -> Answered:
    report = {"external_id": number, "member": member, "amount_fen": amount_fen, "occurred_at": clock.now().isoformat()}
    return await till.post("/v1/partner/purchases", {**report, **more})


async def test_from_draft_to_points(api: Api) -> None:
    by = await marketer(api)
    tea = {"op": "any_line", "where": {"op": "eq", "field": "line.category", "value": "tea"}}
    done = await published(by, "tea_double", DOUBLE, condition=tea)
    assert (done.status, done.json["status"], done.json["version"]) == (201, "published", 1)
    member = await new_member()
    who, till = await public_id(member.id), api.by(await new_partner(await new_store()))
    plain = await bought(till, who, "o1")
    lines = [{"no": 1, "amount_fen": 10_000, "category": "tea"}]
    at = clock.now().isoformat()
    double = await bought(till, who, "o2", lines=lines, occurred_at=at)
    assert (plain.json["points"], double.json["points"]) == (100, 200)
    assert (await bought(till, who, "o2", lines=lines, occurred_at=at)).json["points"] == 200
    (listed,) = (await by.get(RULES)).json["items"]
    assert (listed["code"], listed["budget_used"]) == ("tea_double", 100)


async def test_a_new_version_counts_and_every_version_stays(api: Api) -> None:
    by = await marketer(api)
    await published(by, "gift", 10)
    await published(by, "gift", 20)
    versions = (await by.get(f"{RULES}/gift")).json["items"]
    assert [(one["version"], one["document"]["amount"]["points"]) for one in versions] == [(2, 20), (1, 10)]
    ended = await by.post(f"{RULES}/gift/end", {})
    assert ended.status == 201
    assert all(one["effective_until"] for one in ended.json["items"])
    assert (await by.post(f"{RULES}/gift/end", {})).code == "earning.rule_unknown"
    past = (clock.now() - timedelta(days=1)).isoformat()
    assert (await by.post(f"{RULES}/gift/end", {"at": past})).code == "earning.ends_too_early"
    assert (await by.get(f"{RULES}/nothing")).code == "earning.rule_unknown"


async def test_a_rule_is_tried_out_before_anybody_gets_it(api: Api) -> None:
    by, member = await marketer(api), await new_member()
    sunday = {"op": "weekdays", "days": [7]}
    tried = {
        "member": await public_id(member.id),
        "trigger": "purchase",
        "occurred_at": "2026-11-25T12:00:00+08:00",
        "amount_fen": 10_000,
        "tenders": {"points": 2000, "cash": 8000},
        "rule": document("double", {"kind": "multiplier", "percent": 300}, caps=[{"per": "day", "amount": 100}]),
    }
    seen = await by.post(f"{RULES}/preview", tried)
    assert seen.status == 200, seen.body
    assert seen.json["totals"] == {"growth": 80, "points": 180}
    (capped,) = [one for one in seen.json["awards"] if one["rule"] == "double"]
    assert (capped["wanted"], capped["withheld"]) == (160, [{"amount": 60, "reason": "cap:daily", "scope": "rule"}])
    tried["rule"] = document("double", DOUBLE, condition={"op": "all", "of": [sunday]})
    silent = (await by.post(f"{RULES}/preview", tried)).json["unfired"]
    assert ("double", "condition", "of.0") in [(one["rule"], one["why"], one["path"]) for one in silent]
    assert await db.fetch_value("SELECT count(*) FROM earning_fact") == 0


async def test_what_cannot_be_meant_names_its_place(api: Api) -> None:
    by = await marketer(api)
    misspelt = {"op": "all", "of": [{"op": "ge", "field": "member.spending", "value": 1}]}
    unknown = await by.post(RULES, document("a", 1, condition=misspelt))
    assert (unknown.status, unknown.code, unknown.json["path"]) == (400, "conditions.field_unknown", "condition.of.0")
    shape = await by.post(RULES, document("a", 1, condition={"op": "not", "of": {"op": "most"}}))
    assert shape.json["errors"] == [{"field": "condition.of", "problem": "union_tag_invalid"}]
    lines = {"op": "any_line", "where": {"op": "eq", "field": "line.sku", "value": "a"}}
    assert (
        await by.post(RULES, document("a", 1, trigger="check_in", condition=lines))
    ).code == "conditions.field_not_here"
    assert (await by.post(RULES, document("a", 1, asset="points:stars"))).code == "earning.kind_unknown"
    await published(by, "one", 10, group={"code": "g", "mode": "best"})
    assert (
        await by.post(RULES, document("two", 10, group={"code": "g", "mode": "first"}))
    ).code == "earning.group_mixed"
    vocabulary = (await by.get("/v1/console/earning-vocabulary")).json
    assert "member.spend" in {one["name"] for one in vocabulary["fields"]}


async def test_large_budgets_and_changed_drafts_are_not_published_alone(api: Api) -> None:
    by = await marketer(api)
    endless = await published(by, "endless", 10, budget=None)
    assert (endless.json["status"], endless.json["published_at"]) == ("waiting", None)
    assert (await published(by, "large", 10, budget={"total": 1_000_001})).json["status"] == "waiting"
    finance = api.by((await new_staff(Role.FINANCE)).token)
    (large,) = [one for one in (await by.get(RULES)).json["items"] if one["code"] == "large"]
    agreed = {"rule_sha256": large["rule_sha256"]}
    assert (await by.post(f"{RULES}/large/approval", agreed)).status == 403
    assert (await finance.post(f"{RULES}/large/approval", {"rule_sha256": "0" * 64})).code == "earning.rule_changed"
    assert (await finance.post(f"{RULES}/large/approval", agreed)).json["status"] == "published"
    assert (await finance.post(f"{RULES}/large/approval", agreed)).code == "earning.rule_changed"
    (listed,) = (await finance.get("/v1/staff/approvals")).json["items"]
    assert (listed["kind"], listed["id"], listed["member"]) == ("earning_rule", endless.json["approval"], None)
    assert (await by.post(RULES, document("endless", 11, budget=None))).code == "earning.rule_changed"
    decision = f"/v1/staff/approvals/{endless.json['approval']}/decision"
    manager = api.by((await new_staff(Role.MANAGER, store_id=await new_store())).token)
    assert (await manager.post(decision, {"approve": True})).status == 403
    assert (await finance.post(decision, {"approve": False})).json["status"] == "refused"
    again = await by.post(RULES, document("endless", 11, budget=None))
    assert (again.json["version"], again.json["status"]) == (2, "draft")
    draft = await by.post(RULES, document("gift", 10, budget=BUDGET))
    await by.post(RULES, document("gift", 11, budget=BUDGET))
    changed = await by.post(f"{RULES}/gift/publication", {"rule_sha256": draft.json["rule_sha256"]})
    assert changed.code == "earning.rule_changed"


async def test_only_marketers_write_rules(api: Api) -> None:
    for role in (Role.CLERK, Role.FINANCE, Role.AUDITOR):
        someone = api.by((await new_staff(role, store_id=await new_store())).token)
        assert (await someone.post(RULES, document("gift", 10))).status == 403


async def test_a_partner_reports_an_event_and_hears_what_it_earned(api: Api) -> None:
    by = await marketer(api)
    stars = {"op": "ge", "field": "event.data.stars", "value": 5}
    await published(by, "review", 30, trigger="event:reviewed", condition=stars)
    member, till = await new_member(), api.by(await new_partner())
    told = {
        "external_id": "r1",
        "member": await public_id(member.id),
        "name": "reviewed",
        "occurred_at": clock.now().isoformat(),
        "data": {"stars": 5, "text": "好喝"},
    }
    dry = await till.post("/v1/partner/events", {**told, "dry_run": True})
    assert (dry.status, dry.json["points"], dry.json["dry_run"]) == (201, 30, True)
    done = await till.post("/v1/partner/events", told)
    assert (done.json["points"], done.json["replayed"]) == (30, False)
    assert (await till.post("/v1/partner/events", told)).json["replayed"]
    assert (await till.post("/v1/partner/events", {**told, "name": "shared"})).code == "member_events.key_reused"
    few = await till.post("/v1/partner/events", {**told, "external_id": "r2", "data": {"stars": 4}})
    assert [one["why"] for one in few.json["earned"]["unfired"]] == ["condition"]


async def test_a_till_hears_before_paying_what_rules_will_give(api: Api) -> None:
    await published(await marketer(api), "double", DOUBLE)
    till = await Till(api).opened()
    seen = await till.evaluated("A", 6000, 4000, points_fen=2000)
    await till.holds("A", 6000, 4000, points_fen=2000)
    done = await till.settles("A", tenders={"points": 2000, "wechat": 7000})
    assert seen["earns_points"] == done.json["points"] == 140


async def test_a_rule_is_replayed_over_history_before_it_is_published(api: Api) -> None:
    by, till = await marketer(api), api.by(await new_partner(await new_store()))
    for number in range(3):
        await bought(till, await public_id((await new_member()).id), f"r{number}", 1000 * (number + 1))
    asked = {
        "rule": document("double", DOUBLE, budget={"total": 45}),
        "begins": (clock.now() - timedelta(days=1)).isoformat(),
        "ends": (clock.now() + timedelta(days=1)).isoformat(),
        "limit": 2,
    }
    first = await by.post(f"{RULES}/replay", asked)
    assert first.status == 200, first.body
    # ¥10 and ¥20 doubled give 30 of the 45; a hundred points pay one yuan.
    assert (first.json["units"], first.json["delta"], first.json["left"]) == (30, 30, 1)
    more = {"after": first.json["next_after"], "budgets": first.json["budgets"]}
    last = (await by.post(f"{RULES}/replay", {**asked, **more})).json
    assert (last["units"], last["withheld"], last["next_after"]) == (15, {"budget": 15}, None)
    assert await db.fetch_value("SELECT count(*) FROM earning_rule") == 0
    early = await by.post(f"{RULES}/replay", {**asked, "ends": asked["begins"]})
    assert early.code == "earning.period_empty"
    clerk = api.by((await new_staff(Role.CLERK, store_id=await new_store())).token)
    assert (await clerk.post(f"{RULES}/replay", asked)).status == 403
