"""Draws over HTTP: written, published, drawn, handed over, and checked by anybody."""

from datetime import timedelta
from typing import Any

from loyalty import clock
from loyalty.access import Role
from loyalty.draws import proof
from tests.loyalty.draws.fair import document, nothing, prize
from tests.miniapp_api.people import Api, new_member, new_staff, new_store


def written(*prizes: Any, **more: Any) -> dict[str, Any]:
    now = clock.now()
    times = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(days=5)).isoformat()}
    return document(*prizes) | times | more


async def published(api: Api, *prizes: Any, **more: Any) -> Api:
    marketer = api.by((await new_staff(Role.MARKETER)).token)
    draft = await marketer.post("/v1/console/draws", written(*prizes, **more))
    assert draft.status == 201, draft.body
    done = await marketer.post("/v1/console/draws/fair/publication", {"rules_sha256": draft.json["rules_sha256"]})
    assert done.json["status"] == "published"
    return marketer


async def test_from_draft_to_a_day_that_anybody_checks(api: Api) -> None:
    await published(api, prize("none", 1), prize("rare", 1, stock=1))
    mine = api.by((await new_member()).token)
    (offered,) = (await mine.get("/v1/draws")).json["items"]
    assert [(odds["prize"], odds["weight"], odds["left"]) for odds in offered["odds"]] == [
        ("none", 1, None),
        ("rare", 1, 1),
    ]
    drawn = await mine.post("/v1/me/draws/fair", {"nonce": "mine-1"}, key="first-draw")
    assert drawn.status == 201
    assert (await mine.post("/v1/me/draws/fair", {"nonce": "mine-1"}, key="first-draw")).json == drawn.json
    assert (await mine.post("/v1/me/draws/fair", {"nonce": "mine-2"})).code == "draws.no_chance"

    clerk = api.by((await new_staff(Role.CLERK, store_id=await new_store())).token)
    assert (await clerk.post("/v1/staff/handings", {"code": drawn.json["code"]})).json["prize"] == drawn.json["prize"]
    assert (await clerk.post("/v1/staff/handings", {"code": drawn.json["code"]})).code == "draws.already_handed_over"
    assert [win["status"] for win in (await mine.get("/v1/me/wins")).json["items"]] == ["handed_over"]

    anybody, day = api.by(None), drawn.json["receipt"]["day"]
    promise = (await anybody.get("/v1/draws/fair")).json
    before = (await anybody.get(f"/v1/draws/fair/days/{day}")).json
    assert (before["seed"], before["records"]) == (None, [])
    clock.shift(timedelta(days=1, minutes=11))
    after = (await anybody.get(f"/v1/draws/fair/days/{day}")).json
    assert list(proof.check(after)) == []
    assert after["rules_sha256"] == promise["rules_sha256"]
    assert after["commitment"] in {one["commitment"] for one in promise["days"]}
    receipt = drawn.json["receipt"]
    assert after["records"][0]["link"] == receipt["link"] == after["head"]
    assert (await anybody.get("/v1/draws/fair/days/2001-01-01")).status == 404
    assert (await anybody.get("/v1/draws/fair/days/today")).status == 404


async def test_what_cannot_be_promised_is_refused_in_words(api: Api) -> None:
    marketer = api.by((await new_staff(Role.MARKETER)).token)
    over = await marketer.post("/v1/console/draws", written(nothing(1), prize("car", 1, stock=1, worth_fen=5_000_001)))
    assert (over.status, over.code) == (400, "draws.prize_over_cap")
    twice = {"per_ticket": 2}
    added = written(nothing(1), prize("car", 1, stock=1, worth_fen=2_500_001), chances=twice)
    assert (await marketer.post("/v1/console/draws", added)).code == "draws.prize_over_cap"
    allowed = written(nothing(1), prize("car", 1, stock=1, worth_fen=2_500_000), chances=twice)
    assert (await marketer.post("/v1/console/draws", allowed)).status == 201
    limited = await marketer.post("/v1/console/draws", written(nothing(1), fallback="absent"))
    assert limited.json["errors"] == [{"field": "", "problem": "fallback_runs_out"}]


async def test_a_published_draw_cannot_be_changed(api: Api) -> None:
    marketer = await published(api, nothing(1))
    assert (await marketer.post("/v1/console/draws", written(nothing(2)))).code == "draws.frozen"
    assert (await marketer.call("DELETE", "/v1/console/draws/fair")).code == "draws.frozen"


async def test_odds_and_prizes_above_the_limit_wait_for_another_person(api: Api) -> None:
    marketer = api.by((await new_staff(Role.MARKETER)).token)
    finance = api.by((await new_staff(Role.FINANCE)).token)
    manager = api.by((await new_staff(Role.MANAGER, store_id=await new_store())).token)
    draft = await marketer.post("/v1/console/draws", written(nothing(1), prize("car", 1, stock=1, worth_fen=1_000_001)))
    meant = {"rules_sha256": draft.json["rules_sha256"]}
    asked = await marketer.post("/v1/console/draws/fair/publication", meant)
    assert (asked.status, asked.json["status"]) == (201, "draft")
    again = await marketer.post("/v1/console/draws/fair/publication", meant)
    assert again.json["approval"] == asked.json["approval"]
    assert (await api.by((await new_member()).token).get("/v1/draws")).json["items"] == []
    (listed,) = (await finance.get("/v1/staff/approvals")).json["items"]
    assert (listed["kind"], listed["amount"], listed["unit"]) == ("draw", 1_000_001, "fen")
    decision = f"/v1/staff/approvals/{asked.json['approval']}/decision"
    assert (await manager.post(decision, {"approve": True})).status == 403
    # Other odds are another draw: who agreed did not agree to them.
    await marketer.post("/v1/console/draws", written(nothing(1), prize("car", 2, stock=1, worth_fen=1_000_001)))
    assert (await finance.post(decision, {"approve": True})).code == "draws.changed"
    assert (await finance.post(decision, {"approve": False})).json["status"] == "refused"
    unlimited = await marketer.post("/v1/console/draws", written(nothing(1), prize("tea", 1, worth_fen=2_000)))
    meant = {"rules_sha256": unlimited.json["rules_sha256"]}
    asked = await marketer.post("/v1/console/draws/fair/publication", meant)
    decision = f"/v1/staff/approvals/{asked.json['approval']}/decision"
    assert (await finance.post(decision, {"approve": True})).json["status"] == "approved"
    assert [draw["status"] for draw in (await marketer.get("/v1/console/draws")).json["items"]] == ["published"]


async def test_only_marketers_write_draws(api: Api) -> None:
    for role in (Role.CLERK, Role.FINANCE, Role.AUDITOR):
        someone = api.by((await new_staff(role, store_id=await new_store())).token)
        assert (await someone.post("/v1/console/draws", written(nothing(1)))).status == 403
