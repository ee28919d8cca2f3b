"""A member reads and changes what is theirs."""

from loyalty import db
from tests.miniapp_api.people import Api, new_member


async def test_a_member_sees_their_card(api: Api) -> None:
    member = await new_member()
    answered = await api.by(member.token).get("/v1/me")
    assert answered.status == 200
    assert answered.json["tier"] == {"code": "basic", "name": "普通会员"}
    assert answered.json["points"] == 0
    assert answered.headers["Cache-Control"] == "no-store"


async def test_the_card_speaks_the_callers_language(api: Api) -> None:
    member = await new_member()
    answered = await api.by(member.token).get("/v1/me", Accept_Language="en-GB,zh;q=0.5")
    assert answered.json["tier"]["name"] == "Member"


async def test_without_a_session_nobody_is_served(api: Api) -> None:
    for token in (None, "x" * 43, "short"):
        answered = await api.by(token).get("/v1/me")
        assert answered.status == 401
        assert answered.headers["WWW-Authenticate"] == "Bearer"


async def test_check_in_pays_once_a_day(api: Api) -> None:
    mine = api.by((await new_member()).token)
    first = await mine.post("/v1/me/check-ins")
    assert (first.status, first.json["points"], first.json["streak"]) == (201, 5, 1)
    again = await mine.post("/v1/me/check-ins")
    assert (again.status, again.code) == (409, "check_ins.already_done")
    statement = await mine.get("/v1/me/points")
    assert statement.json["balance"] == 5
    assert [item["delta"] for item in statement.json["items"]] == [5]
    why = await mine.get(f"/v1/me/points/{statement.json['items'][0]['id']}")
    assert why.json["shares"][0]["amount"] == 5
    assert (await mine.get("/v1/me")).json["points"] == 5


async def test_a_movement_of_another_member_does_not_exist(api: Api) -> None:
    mine, other = api.by((await new_member()).token), api.by((await new_member()).token)
    await mine.post("/v1/me/check-ins")
    movement = (await mine.get("/v1/me/points")).json["items"][0]["id"]
    theirs, absent = (
        await other.get(f"/v1/me/points/{movement}"),
        await other.get("/v1/me/points/0000000000000"),
    )
    assert theirs.status == absent.status == 404
    assert {**theirs.json, "request_id": ""} == {**absent.json, "request_id": ""}


async def test_profile_changes_and_a_birthday_stays(api: Api) -> None:
    mine = api.by((await new_member()).token)
    changed = await mine.call(
        "PATCH",
        "/v1/me/profile",
        {"name": "欧阳小惠", "birthday": "1990-01-31", "locale": "en"},
    )
    assert (
        changed.json["name"],
        changed.json["has_birthday"],
        changed.json["locale"],
    ) == ("欧**", True, "en")
    again = await mine.call("PATCH", "/v1/me/profile", {"birthday": "1990-02-01"})
    assert (again.status, again.code) == (409, "member.birthday_set")
    english = await mine.call("PATCH", "/v1/me/profile", {"name": " "})
    assert english.code == "member.name_refused"
    assert english.json["detail"].isascii(), "the member chose English"


async def test_consents_are_listed_and_changed(api: Api) -> None:
    mine = api.by((await new_member()).token)
    changed = await mine.call(
        "PUT",
        "/v1/me/consents",
        {"consents": {"marketing_wechat": True, "profiling": False}},
    )
    allowed = {entry["purpose"]: entry["allowed"] for entry in changed.json["items"]}
    assert allowed["marketing_wechat"]
    assert not allowed["profiling"]
    refused = await mine.call("PUT", "/v1/me/consents", {"consents": {"account": False}})
    assert (refused.status, refused.code) == (400, "consent.unknown_purpose")


async def test_the_rotating_code_and_its_picture(api: Api) -> None:
    mine = api.by((await new_member()).token)
    shown = await mine.get("/v1/me/code")
    assert shown.json["code"].isdigit()
    assert 0 < shown.json["expires_in_s"] <= 30
    picture = await mine.get("/v1/me/code.svg")
    assert picture.headers["Content-Type"] == "image/svg+xml"
    assert picture.body.startswith(b"<svg")


async def test_a_guest_joins(api: Api) -> None:
    mine = api.by((await new_member(registered=False)).token)
    assert not (await mine.get("/v1/me")).json["is_registered"]
    joined = await mine.post("/v1/me/registration", {"name": "李雷"})
    assert (joined.json["is_registered"], joined.json["name"]) == (True, "李*")
    event = await db.fetch_value("SELECT data::text FROM event WHERE name = 'member.registered'")
    assert '"wechat_mini"' in event


async def test_logging_out_ends_the_session(api: Api) -> None:
    mine = api.by((await new_member()).token)
    assert (await mine.call("DELETE", "/v1/sessions/current")).status == 204
    assert (await mine.get("/v1/me")).status == 401
