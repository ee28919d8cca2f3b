"""Tiers over HTTP: what members, tills, clerks and auditors are told, and tiers set by hand."""

from datetime import timedelta
from typing import Any

import pytest

from loyalty import clock, db
from loyalty.access import Role
from loyalty.ladders.rules import Benefits, Fixed
from loyalty.members import queries as members
from scheduler.sweeps import tiers as sweep
from tests.loyalty.shop import publish_ladder
from tests.loyalty.tiers.scene import grow, ladder, rolling
from tests.miniapp_api.people import Api, LoggedIn, new_member, new_partner, new_staff, new_store
from tests.scheduler.stage import hands

TEXT = {"zh-CN": "生日蛋糕", "en": "a birthday cake"}


async def programme() -> None:
    window = rolling(kind="rolling", months=12)
    made = ladder(("silver", 500, 300), ("gold", 2000), measure=window, validity=Fixed(months=12))
    lowest, silver, gold = made.steps
    given = Benefits(
        multiplier_percent=150, birthday_points=200, free_shipping=True, member_price_percent=95, texts=(TEXT,)
    )
    silver = silver.model_copy(update={"benefits": given})
    now = clock.now() - timedelta(days=900)
    await publish_ladder(made.model_copy(update={"steps": (lowest, silver, gold)}), now=now)
    partner = ladder(("friend", 100), measure=rolling(kind="calendar"))
    steps = (partner.steps[0].model_copy(update={"code": "visitor"}), partner.steps[1])
    await publish_ladder(partner.model_copy(update={"code": "partner", "steps": steps}), now=now)


async def public_id(member: LoggedIn) -> str:
    return str((await members.card(member.id, at=clock.now())).public_id)


async def test_a_member_sees_every_ladder_with_gap_date_and_benefits(api: Api) -> None:
    await programme()
    member = await new_member()
    await grow(member.id, 600, clock.now())
    main, partner = (await api.by(member.token).get("/v1/me/tiers", Accept_Language="en")).json["items"]
    codes = (main["ladder"], main["tier"]["code"], main["next_tier"]["code"], main["missing"])
    assert codes == ("main", "silver", "gold", 1400)
    assert (main["growth"], main["in_grace"], main["set_by_hand"]) == (600, False, False)
    assert main["benefits"] == {
        "multiplier_percent": 150,
        "birthday_points": 200,
        "birthday_coupon": None,
        "free_shipping": True,
        "member_price_percent": 95,
        "texts": ["a birthday cake"],
    }
    assert [(step["tier"]["code"], step["reach_from"], step["keep_from"]) for step in main["steps"]] == [
        ("basic", 0, 0),
        ("silver", 500, 300),
        ("gold", 2000, 2000),
    ]
    assert [held["reason"] for held in main["history"]] == ["growth"]
    assert (partner["ladder"], partner["tier"]["code"], partner["next_tier"]) == ("partner", "friend", None)
    one = await api.by(member.token).get("/v1/me/tiers/partner")
    assert one.json["tier"]["code"] == "friend"
    assert (await api.by(member.token).get("/v1/me/tiers/unknown")).status == 404
    assert (await api.by(member.token).get("/v1/me/tier")).json["ladder"] == "main"


async def test_case_33_the_tier_multiplies_what_a_till_reports(api: Api) -> None:
    await programme()
    member = await new_member()
    await grow(member.id, 500, clock.now())
    till = api.by(await new_partner(await new_store()))
    report = {
        "external_id": "A1",
        "member": await public_id(member),
        "amount_fen": 10_000,
        "occurred_at": clock.now().isoformat(),
    }
    assert (await till.post("/v1/partner/purchases", report)).json["points"] == 150


@pytest.mark.parametrize(("used", "lands"), [(False, "basic"), (True, "silver")])
async def test_case_62_a_till_refunds_the_purchase_that_raised(api: Api, *, used: bool, lands: str) -> None:
    await programme()
    member = await new_member()
    till = api.by(await new_partner(await new_store()))

    async def sell(number: str, yuan: int) -> None:
        report = {
            "external_id": number,
            "member": await public_id(member),
            "amount_fen": yuan * 100,
            "occurred_at": clock.now().isoformat(),
        }
        assert (await till.post("/v1/partner/purchases", report)).status == 201

    await sell("raises", 1000)
    assert (await api.by(member.token).get("/v1/me/tier")).json["tier"]["code"] == "silver"
    if used:
        await sell("uses", 10)
    refund = {
        "external_id": "back",
        "purchase": "raises",
        "amount_fen": 100_000,
        "occurred_at": clock.now().isoformat(),
    }
    assert (await till.post("/v1/partner/refunds", refund)).status == 201
    mine = (await api.by(member.token).get("/v1/me/tier")).json
    assert (mine["tier"]["code"], [held["reason"] for held in mine["history"]]) == (lands, ["refund", "growth"])


async def test_a_till_is_told_what_to_apply(api: Api) -> None:
    await programme()
    member = await new_member()
    await grow(member.id, 600, clock.now())
    number = (await members.card(member.id, at=clock.now())).number
    store = await new_store()
    seen = (await api.by(await new_partner(store)).post("/v1/partner/lookups", {"number": number})).json
    assert [(one["ladder"], one["tier"]["code"], one["until"] is None) for one in seen["tiers"]] == [
        ("main", "silver", False),
        ("partner", "friend", True),
    ]
    assert (seen["benefits"]["member_price_percent"], seen["benefits"]["free_shipping"]) == (95, True)
    clerk = await new_staff(Role.CLERK, store_id=store)
    card = (await api.by(clerk.token).post("/v1/staff/lookups", {"number": number})).json["member"]
    assert (card["tier"]["code"], card["tiers"][0]["set_by_hand"]) == ("silver", False)


async def _set(api: Api, token: str, member: LoggedIn, tier: str, **more: Any) -> Any:
    body = {
        "member": await public_id(member),
        "tier": tier,
        "until": (clock.now() + timedelta(days=30)).isoformat(),
        "reason": "complaint",
        **more,
    }
    return await api.by(token).post("/v1/staff/tier-overrides", body)


async def test_a_manager_sets_a_tier_and_everybody_sees_it(api: Api) -> None:
    await programme()
    store, member = await new_store(), await new_member()
    manager = await new_staff(Role.MANAGER, store_id=store)
    done = await _set(api, manager.token, member, "silver")
    assert (done.status, done.json["status"]) == (201, "active")
    mine = (await api.by(member.token).get("/v1/me/tier")).json
    assert (mine["tier"]["code"], mine["set_by_hand"], mine["set_until"] is not None) == ("silver", True, True)
    auditor = await new_staff(Role.AUDITOR)
    seen = (await api.by(auditor.token).get(f"/v1/console/members/{await public_id(member)}/tiers")).json
    assert [(held["tier"]["code"], held["reason"]) for held in seen["history"]] == [("silver", "override")]
    assert (seen["overrides"][0]["reason"], seen["overrides"][0]["set_by"]) == ("complaint", manager.id)
    path = f"/v1/staff/tier-overrides/{done.json['id']}/end"
    assert (await api.by(manager.token).post(path, {"reason": "mistaken"})).json["status"] == "ended"
    assert (await api.by(member.token).get("/v1/me/tier")).json["tier"]["code"] == "basic"


async def test_two_people_for_a_tier_that_is_far_above(api: Api) -> None:
    await programme()
    store, member = await new_store(), await new_member()
    asker, other = await new_staff(Role.MANAGER, store_id=store), await new_staff(Role.MANAGER, store_id=store)
    asked = (await _set(api, asker.token, member, "gold")).json
    assert asked["status"] == "pending"
    waiting = (await api.by(other.token).get("/v1/staff/approvals")).json["items"]
    assert [(one["kind"], one["id"]) for one in waiting] == [("tier_override", asked["approval"])]
    path = f"/v1/staff/approvals/{asked['approval']}/decision"
    assert (await api.by(asker.token).post(path, {"approve": True})).code == "access.own_request"
    assert (await api.by(other.token).post(path, {"approve": True})).status == 200
    assert (await api.by(member.token).get("/v1/me/tier")).json["tier"]["code"] == "gold"


async def test_an_override_is_over_at_its_end_whoever_looks(api: Api) -> None:
    await programme()
    store, member = await new_store(), await new_member()
    manager = await new_staff(Role.MANAGER, store_id=store)
    await _set(api, manager.token, member, "silver", until=(clock.now() + timedelta(minutes=5)).isoformat())
    clock.shift(timedelta(minutes=6))
    assert (await api.by(member.token).get("/v1/me/tier")).json["tier"]["code"] == "basic"
    await sweep.run(hands())
    auditor = await new_staff(Role.AUDITOR)
    seen = (await api.by(auditor.token).get(f"/v1/console/members/{await public_id(member)}/tiers")).json
    assert seen["overrides"][0]["status"] == "ended"
    assert [held["reason"] for held in seen["history"]] == ["override_ended", "override"]
    assert await db.fetch_value("SELECT count(*) FROM outbox WHERE notice = 'tier_lowered'") == 1
