"""Codes and logins: OAuth of the official account, wx.login, the phone button, content safety, mini-program codes."""

import hashlib
import hmac
import json
from typing import Any

import pytest
from wechatpy.crypto import WeChatWxaCrypto

from tests.bot.sandbox.town import MINI_APP, OA_APP


async def oauth(town: Any, code: str, **changes: str) -> Any:
    query = {"appid": OA_APP, "secret": "secret", "code": code, "grant_type": "authorization_code"}
    return await town.raw("/platform/wechat/sns/oauth2/access_token", None, query | changes)


async def session(town: Any, code: str) -> Any:
    query = {"appid": MINI_APP, "secret": "secret", "js_code": code, "grant_type": "authorization_code"}
    return await town.raw("/platform/wechat/sns/jscode2session", None, query)


async def login(town: Any, **body: Any) -> str:
    return str((await town.act("lin", "wechat_mini/login", **body))["data"]["code"])


async def test_the_authorise_page_sends_the_browser_back_with_a_code(town: Any) -> None:
    query = {"appid": OA_APP, "redirect_uri": "https://shop.example/back?x=1", "response_type": "code"}
    query |= {"scope": "snsapi_userinfo", "state": "s1"}
    page = "/platform/wechat/connect/oauth2/authorize"
    async with town.http.get(page, params=query) as response:
        assert "小林" in await response.text()
    async with town.http.get(page, params=query | {"person": "lin"}, allow_redirects=False) as response:
        location = response.headers["Location"]
    assert location.startswith("https://shop.example/back?x=1&code=")
    assert location.endswith("&state=s1")
    answer = await oauth(town, location.split("code=")[1].split("&")[0])
    person = await town.person("lin")
    assert answer["openid"] == person["wechat"]["openids"][OA_APP]
    assert answer["unionid"] == person["wechat"]["unionid"]
    userinfo = {"access_token": answer["access_token"], "openid": answer["openid"]}
    assert (await town.raw("/platform/wechat/sns/userinfo", None, userinfo))["nickname"] == "小林"


async def test_silent_scope_gives_no_unionid(town: Any) -> None:
    code = (await town.act("lin", "wechat_oa/oauth"))["data"]["code"]
    assert "unionid" not in await oauth(town, code)


async def test_the_virtual_user_of_snapshot_mode(town: Any) -> None:
    code = (await town.act("lin", "wechat_oa/oauth", scope="snsapi_userinfo", snapshot=True))["data"]["code"]
    answer = await oauth(town, code)
    assert answer["is_snapshotuser"] == 1
    assert answer["openid"] != await town.openid("lin")


async def test_codes_work_once_and_for_five_minutes(town: Any) -> None:
    code = await login(town)
    assert (await session(town, code))["openid"] == await town.openid("lin", MINI_APP)
    assert (await session(town, code))["errcode"] == 40163
    assert (await session(town, "made-up"))["errcode"] == 40029
    late = await login(town)
    await town.control("POST", "/clock", advance_s=301)
    assert (await session(town, late))["errcode"] == 42003
    oauth_code = (await town.act("lin", "wechat_oa/oauth"))["data"]["code"]
    assert (await session(town, oauth_code))["errcode"] == 40029
    assert (await oauth(town, oauth_code, secret="wrong"))["errcode"] == 40125


async def test_a_risky_person_is_blocked(town: Any) -> None:
    await town.control("PATCH", "/people/lin", flags={"risky": True})
    assert (await session(town, await login(town)))["errcode"] == 40226


async def test_session_keys_check_refresh_and_decrypt(town: Any) -> None:
    first = (await session(town, await login(town)))["session_key"]
    assert (await session(town, await login(town)))["session_key"] == first
    sealed = (await town.act("lin", "wechat_mini/encrypted", payload={"nickName": "小林"}))["data"]
    opened = WeChatWxaCrypto(first, sealed["iv"], MINI_APP).decrypt_message(sealed["encryptedData"])
    assert opened["nickName"] == "小林"
    assert sealed["signature"] == hashlib.sha1((sealed["rawData"] + first).encode()).hexdigest()  # noqa: S324 - theirs
    signature = hmac.new(first.encode(), b"", hashlib.sha256).hexdigest()
    check = {"openid": await town.openid("lin", MINI_APP), "signature": signature, "sig_method": "hmac_sha256"}
    assert (await town.wechat("/wxa/checksession", app=MINI_APP, **check))["errcode"] == 0
    assert (await session(town, await login(town, refresh=True)))["session_key"] != first
    assert (await town.wechat("/wxa/checksession", app=MINI_APP, **check))["errcode"] == 87009


async def test_the_phone_code_is_used_up(town: Any) -> None:
    code = (await town.act("lin", "wechat_mini/phone"))["data"]["code"]
    answer = await town.wechat("/wxa/business/getuserphonenumber", {"code": code}, app=MINI_APP)
    assert answer["phone_info"]["purePhoneNumber"] == "13800000001"
    assert answer["phone_info"]["watermark"]["appid"] == MINI_APP
    again = await town.wechat("/wxa/business/getuserphonenumber", {"code": code}, app=MINI_APP)
    assert again["errcode"] == 40163
    login_code = await login(town)
    wrong = await town.wechat("/wxa/business/getuserphonenumber", {"code": login_code}, app=MINI_APP)
    assert wrong["errcode"] == 40029
    await town.act("zhang", "wechat_mini/phone", status=409)


async def test_subscription_messages_check_every_field(town: Any) -> None:
    await town.act("lin", "wechat_mini/subscribe", template_ids=["tier"])
    body: dict[str, Any] = {"touser": await town.openid("lin", MINI_APP), "template_id": "tier"}
    for value, key in [("字" * 21, "thing1"), ("昨天", "time2")]:
        data = {"thing1": {"value": "好"}, "time2": {"value": "2026-01-01 10:00"}} | {key: {"value": value}}
        refused = await town.wechat("/cgi-bin/message/subscribe/send", body | {"data": data}, app=MINI_APP)
        assert refused["errcode"] == 47003
        assert key in refused["errmsg"]
    good = {"thing1": {"value": "好"}, "time2": {"value": "2026年1月1日 10:00"}}
    codes = [
        (await town.wechat("/cgi-bin/message/subscribe/send", body | {"data": good}, app=MINI_APP))["errcode"]
        for _ in range(2)
    ]
    assert codes == [0, 43101]
    await town.control("POST", "/settle")
    assert len(town.product.events("subscribe_msg_sent_event")) == 1


async def test_mini_program_codes(town: Any) -> None:
    await town.wechat("/cgi-bin/getcallbackip", app=MINI_APP)
    query = {"access_token": town.tokens[MINI_APP]}
    address = "/platform/wechat/wxa/getwxacodeunlimit"
    async with town.http.post(address, params=query, json={"scene": "m=1", "page": "pages/card/index"}) as response:
        assert response.content_type == "image/png"
        assert (await response.read()).startswith(b"\x89PNG")
    for bad in ("", "x" * 33, "有"):
        assert (await town.raw(address, {"scene": bad}, query))["errcode"] == 40169


async def test_content_safety(town: Any) -> None:
    body = {"version": 2, "scene": 1, "content": "小林", "openid": await town.openid("lin", MINI_APP)}
    assert (await town.wechat("/wxa/msg_sec_check", body, app=MINI_APP))["errcode"] == 61010
    await session(town, await login(town))
    assert (await town.wechat("/wxa/msg_sec_check", body, app=MINI_APP))["result"]["suggest"] == "pass"
    risky = await town.wechat("/wxa/msg_sec_check", body | {"content": "违规昵称"}, app=MINI_APP)
    assert risky["result"]["suggest"] == "risky"
    assert (await town.wechat("/wxa/msg_sec_check", body | {"scene": 9}, app=MINI_APP))["errcode"] == 40129


async def test_the_chat_of_the_mini_program(town: Any) -> None:
    openid = await town.openid("lin", MINI_APP)
    body = {"touser": openid, "msgtype": "text", "text": {"content": "你好"}}
    send = "/cgi-bin/message/custom/send"
    assert (await town.wechat(send, body, app=MINI_APP))["errcode"] == 45015
    await town.act("lin", "wechat_mini/enter", session_from="card")
    assert town.product.inbound[-1].message["SessionFrom"] == "card"
    codes = [(await town.wechat(send, body, app=MINI_APP))["errcode"] for _ in range(3)]
    assert codes == [0, 0, 45047]


@pytest.mark.parametrize(
    "path", ["/platform/wechat/connect/oauth2/authorize", "/platform/wecom/connect/oauth2/authorize"]
)
async def test_the_authorise_pages_refuse_strange_requests(town: Any, path: str) -> None:
    for query in ({}, {"appid": OA_APP, "redirect_uri": "javascript:alert(1)", "scope": "snsapi_base"}):
        async with town.http.get(path, params=query) as response:
            assert response.status == 400


async def test_init_data_is_signed_with_the_bot_token(town: Any) -> None:
    from urllib.parse import parse_qsl

    raw = (await town.act("lin", "telegram/init_data", start_param="ref1"))["data"]["init_data"]
    fields = dict(parse_qsl(raw, strict_parsing=True))
    claimed = fields.pop("hash")
    secret = hmac.new(b"WebAppData", town.config.telegram[0].bot_token.encode(), hashlib.sha256).digest()
    lines = "\n".join(f"{key}={fields[key]}" for key in sorted(fields))
    assert hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest() == claimed
    assert json.loads(fields["user"])["id"] == (await town.person("lin"))["telegram"]["id"]
    assert fields["start_param"] == "ref1"
