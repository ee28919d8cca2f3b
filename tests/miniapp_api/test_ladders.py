"""Ladders through the console: drafted by a marketer, tried, published by finance, refused in words when impossible."""

from typing import Any

from loyalty import clock
from loyalty.access import Role
from tests.loyalty.tiers.scene import grow
from tests.miniapp_api.people import Api, new_member, new_staff

STEPS: list[dict[str, Any]] = [
    {"code": "basic", "names": {"zh-CN": "普通", "en": "Member"}, "reach_from": 0},
    {"code": "silver", "names": {"zh-CN": "银卡", "en": "Silver"}, "reach_from": 500, "keep_from": 300},
    {
        "code": "rose",
        "names": {"zh-CN": "玫瑰", "en": "Rose"},
        "reach_from": 1000,
        "keep_from": 600,
        "benefits": {"multiplier_percent": 130, "texts": [{"zh-CN": "专属茶席", "en": "a table of your own"}]},
    },
]
LADDER: dict[str, Any] = {
    "names": {"zh-CN": "会员等级", "en": "Membership"},
    "measure": {"metric": "growth", "window": {"kind": "rolling", "months": 12}},
    "validity": {"kind": "fixed", "months": 12},
    "grace": {"months": 1, "rounds_up_to": "month"},
    "fall": "one_step",
    "notice_days": [60, 30, 7],
    "steps": STEPS,
}


async def test_a_ladder_is_drafted_tried_and_published_by_two_people(api: Api) -> None:
    marketer, finance = await new_staff(Role.MARKETER), await new_staff(Role.FINANCE)
    member = await new_member()
    await grow(member.id, 1200, clock.now())
    in_force = (await api.by(marketer.token).get("/v1/console/ladders")).json["items"]
    assert [(one["ladder"], one["version"], one["status"]) for one in in_force] == [("main", 0, "built_in")]
    draft = (await api.by(marketer.token).post("/v1/console/ladders", LADDER)).json
    assert (draft["version"], draft["status"], draft["document"]["fall"]) == (1, "draft", "one_step")
    path = "/v1/console/ladders/main/versions/1"
    dry = (await api.by(marketer.token).post(f"{path}/dry-run", {"downgrades": "at_once"})).json
    assert (dry["status"], dry["looked_at"], dry["is_dry"]) == ("done", 1, True)
    assert [(one["old"], one["new"], one["members"]) for one in dry["moves"]] == [("silver", "rose", 1)]
    assert len(dry["moves"][0]["samples"][0]) == 10
    assert (await api.by(marketer.token).post(f"{path}/publication", {})).status == 403
    done = (await api.by(finance.token).post(f"{path}/publication", {})).json
    assert (done["status"], done["moves"]) == ("done", dry["moves"])
    assert (await api.by(member.token).get("/v1/me/tier")).json["tier"]["code"] == "rose"
    again = await api.by(finance.token).post(f"{path}/publication", {})
    assert (again.status, again.code) == (409, "ladders.published")
    seen = (await api.by(finance.token).get(f"/v1/console/ladder-moves/{done['id']}")).json
    assert seen["holders"] == {"rose": 1}
    moves = (await api.by(finance.token).get("/v1/console/ladders/main/moves")).json["items"]
    assert [one["is_dry"] for one in moves] == [False, True]
    versions = (await api.by(finance.token).get("/v1/console/ladders/main/versions")).json["items"]
    assert [(one["version"], one["status"]) for one in versions] == [(1, "published")]


async def test_another_ladder_beside_the_main_one(api: Api) -> None:
    marketer, finance = await new_staff(Role.MARKETER), await new_staff(Role.FINANCE)
    partner = {
        "code": "partner",
        "names": {"zh-CN": "伙伴", "en": "Partner"},
        "measure": {"metric": "visits", "window": {"kind": "calendar", "unit": "year"}},
        "steps": [
            {"code": "visitor", "names": {"zh-CN": "访客", "en": "Visitor"}, "reach_from": 0},
            {"code": "regular", "names": {"zh-CN": "常客", "en": "Regular"}, "reach_from": 12},
        ],
    }
    await api.by(marketer.token).post("/v1/console/ladders", partner)
    await api.by(finance.token).post("/v1/console/ladders/partner/versions/1/publication", {})
    member = await new_member()
    items = (await api.by(member.token).get("/v1/me/tiers")).json["items"]
    assert [(one["ladder"], one["metric"], one["missing"]) for one in items] == [
        ("main", "growth", 500),
        ("partner", "visits", 12),
    ]


async def test_case_61_impossible_ladders_are_refused_in_both_languages(api: Api) -> None:
    marketer = api.by((await new_staff(Role.MARKETER)).token)
    wrong = {**LADDER, "steps": [STEPS[0], {**STEPS[1], "keep_from": 900}]}
    for language, words in (("zh-CN", "保级值"), ("en", "asks more than reaching it")):
        refused = await marketer.post("/v1/console/ladders", wrong, Accept_Language=language)
        assert (refused.status, refused.code, refused.json["tier"]) == (422, "ladders.keep_above_reach", "silver")
        assert words in refused.json["detail"]
    balance = {**LADDER, "measure": {"metric": "points_balance", "window": {"kind": "calendar"}}}
    assert (await marketer.post("/v1/console/ladders", balance)).code == "ladders.balance_has_no_window"
    assert (await marketer.post("/v1/console/ladders", {**LADDER, "grace": {"months": 1, "days": 3}})).status == 400
    assert (await marketer.post("/v1/console/ladders", {**LADDER, "unheard": 1})).status == 400
