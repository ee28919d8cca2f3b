"""Linking channels, seeing everything, and leaving for good."""

from loyalty import db
from tests.miniapp_api.people import Api, new_member


async def test_two_channels_become_one_member(api: Api) -> None:
    chat, app = await new_member(channel="telegram"), await new_member(registered=False)
    await api.by(chat.token).post("/v1/me/check-ins")
    code = (await api.by(chat.token).post("/v1/me/link-code")).json["code"]
    linked = await api.by(app.token).post("/v1/me/link", {"code": code.lower()})
    assert (linked.status, linked.json["points"]) == (200, 5)
    used = await api.by((await new_member()).token).post("/v1/me/link", {"code": code})
    assert (used.status, used.code) == (409, "link.wrong_code")


async def test_wrong_link_codes_are_counted(api: Api) -> None:
    guesser = api.by((await new_member()).token)
    codes = [(await guesser.post("/v1/me/link", {"code": "0000-0000"})).code for _ in range(6)]
    assert codes == ["link.wrong_code"] * 5 + ["attempts.too_many"]


async def test_my_data_is_all_there(api: Api) -> None:
    mine = api.by((await new_member()).token)
    await mine.call("PATCH", "/v1/me/profile", {"name": "欧阳小惠"})
    data = (await mine.get("/v1/me/data")).json["data"]
    assert data["profile"]["name"] == "欧阳小惠"


async def test_an_account_closes_only_when_it_is_meant(api: Api) -> None:
    member = await new_member()
    mine = api.by(member.token)
    refused = await mine.call("DELETE", "/v1/me", {"confirm": "yes"})
    assert (refused.status, refused.code) == (400, "close.not_confirmed")
    assert (await mine.call("DELETE", "/v1/me", {"confirm": "DELETE"})).status == 204
    assert (await mine.get("/v1/me")).status == 401
    assert await db.fetch_value("SELECT status FROM member WHERE id = $1", member.id) == "closed"
