"""APIs of the official account: tokens, windows, templates, grants, menus, tags, QR codes, quotas."""

from typing import Any

import aiohttp
import pytest

from tests.bot.sandbox.town import MINI_APP, OA_APP

DAY_S = 86_400


async def token(town: Any, path: str = "/platform/wechat/cgi-bin/token", **changes: Any) -> Any:
    grant = {"grant_type": "client_credential", "appid": OA_APP, "secret": "secret"} | changes
    stable = path.endswith("stable_token")
    return await town.raw(path, grant if stable else None, {} if stable else grant)


async def stable(town: Any, **changes: Any) -> Any:
    return await token(town, "/platform/wechat/cgi-bin/stable_token", **changes)


async def works(town: Any, value: str) -> int:
    answer = await town.raw("/platform/wechat/cgi-bin/getcallbackip", None, {"access_token": value})
    return int(answer.get("errcode", 0))


async def send_text(town: Any, openid: str, app: str = OA_APP) -> int:
    body = {"touser": openid, "msgtype": "text", "text": {"content": "你好"}}
    return int((await town.wechat("/cgi-bin/message/custom/send", body, app=app))["errcode"])


async def test_each_token_call_ends_the_previous_token_after_the_overlap(town: Any) -> None:
    first, second = await token(town), await token(town)
    assert first["access_token"] != second["access_token"]
    assert await works(town, first["access_token"]) == 0
    await town.control("POST", "/clock", advance_s=301)
    assert await works(town, first["access_token"]) == 42001
    assert await works(town, second["access_token"]) == 0


async def test_stable_token_stays_the_same_and_is_apart_from_the_other(town: Any) -> None:
    first = await stable(town)
    assert first["expires_in"] == 7200
    await token(town)
    assert (await stable(town))["access_token"] == first["access_token"]
    await town.control("POST", "/clock", advance_s=7200 - 299)
    renewed = await stable(town)
    assert renewed["access_token"] != first["access_token"]
    assert await works(town, first["access_token"]) == 0
    await town.control("POST", "/clock", advance_s=300)
    assert await works(town, first["access_token"]) == 42001


async def test_forced_refresh_ends_the_old_token_at_once_but_not_twice_in_30_s(town: Any) -> None:
    first = await stable(town)
    forced = await stable(town, force_refresh=True)
    assert await works(town, first["access_token"]) == 40001
    assert (await stable(town, force_refresh=True))["access_token"] == forced["access_token"]
    await town.control("POST", "/clock", advance_s=31)
    assert (await stable(town, force_refresh=True))["access_token"] != forced["access_token"]


async def test_forced_refresh_is_limited_per_day(town: Any) -> None:
    for _ in range(21):
        await stable(town, force_refresh=True)
        await town.control("POST", "/clock", advance_s=31)
    assert (await stable(town, force_refresh=True))["errcode"] == 45009


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"secret": "wrong"}, 40125), ({"appid": "wx"}, 40013), ({"appid": ""}, 41002), ({"grant_type": "x"}, 40002)],
)
async def test_bad_credentials(town: Any, changes: dict[str, str], code: int) -> None:
    assert (await token(town, **changes))["errcode"] == code


@pytest.mark.parametrize(("value", "code"), [("", 41001), ("short", 40014), ("x" * 100, 40001)])
async def test_bad_tokens(town: Any, value: str, code: int) -> None:
    assert await works(town, value) == code


async def test_wrong_method_path_and_body(town: Any) -> None:
    assert (await town.wechat("/cgi-bin/message/custom/send"))["errcode"] == 43002
    assert (await town.wechat("/cgi-bin/user/info", {}))["errcode"] == 43001
    assert (await town.wechat("/cgi-bin/nothing"))["errcode"] == 40066
    assert (await town.wechat("/wxa/msg_sec_check", {}))["errcode"] == 48001
    query = {"access_token": town.tokens[OA_APP]}
    async with town.http.post("/platform/wechat/cgi-bin/message/custom/send", params=query, data=b"{") as response:
        assert (await response.json())["errcode"] == 47001


async def test_five_messages_within_48_hours_of_a_message(town: Any) -> None:
    openid = await town.openid("lin")
    assert await send_text(town, openid) == 45015
    await town.act("lin", "wechat_oa/follow")
    await town.control("POST", "/clock", advance_s=61)
    assert await send_text(town, openid) == 45015
    await town.act("lin", "wechat_oa/say", text="hi")
    assert [await send_text(town, openid) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    await town.act("lin", "wechat_oa/say", text="hi")
    await town.control("POST", "/clock", advance_s=48 * 3600 - 5)
    assert await send_text(town, openid) == 0
    await town.control("POST", "/clock", advance_s=10)
    assert await send_text(town, openid) == 45015


async def test_three_messages_within_a_minute_of_an_action(town: Any) -> None:
    openid = await town.openid("lin")
    await town.act("lin", "wechat_oa/follow")
    assert [await send_text(town, openid) for _ in range(4)] == [0, 0, 0, 45047]
    await town.act("lin", "wechat_oa/click", key="A")
    assert await send_text(town, openid) == 0
    await town.act("lin", "wechat_oa/unfollow")
    assert await send_text(town, openid) == 45015


async def test_a_menu_entry_in_a_message_can_be_tapped(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    entries = [{"id": "101", "content": "领取"}, {"id": "102", "content": "不要"}]
    menu = {"head_content": "有一张券", "list": entries, "tail_content": "今天有效"}
    body = {"touser": await town.openid("lin"), "msgtype": "msgmenu", "msgmenu": menu}
    assert (await town.wechat("/cgi-bin/message/custom/send", body))["errcode"] == 0
    line = (await town.lines("lin"))[-1]
    assert line["text"] == "有一张券\n今天有效"
    await town.act("lin", "wechat_oa/tap", line=line["id"], button="1")
    message = town.product.inbound[-1].message
    assert (message["Content"], message["bizmsgmenuid"]) == ("不要", "102")


async def test_links_in_text_become_buttons(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    text = '看<a href="https://x.example/?a=1&amp;b=2">这里</a>或<a href="weixin://bizmsgmenu?msgmenucontent=y&msgmenuid=7">是</a>'
    body = {"touser": await town.openid("lin"), "msgtype": "text", "text": {"content": text}}
    await town.wechat("/cgi-bin/message/custom/send", body)
    line = (await town.lines("lin"))[-1]
    assert line["text"] == "看这里或是"
    opened = await town.act("lin", "wechat_oa/tap", line=line["id"], button="0")
    assert opened["data"]["open"] == "https://x.example/?a=1&b=2"
    await town.act("lin", "wechat_oa/tap", line=line["id"], button="1")
    assert town.product.inbound[-1].message["bizmsgmenuid"] == "7"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"touser": "nobody"}, 40003),
        ({"msgtype": "telegram"}, 40008),
        ({"text": {"content": "字" * 683}}, 45002),
        ({"text": {"content": ""}}, 44004),
        ({"msgtype": "image", "image": {"media_id": "gone"}}, 40007),
    ],
)
async def test_refused_customer_service_messages(town: Any, change: dict[str, Any], code: int) -> None:
    await town.act("lin", "wechat_oa/follow")
    body = {"touser": await town.openid("lin"), "msgtype": "text", "text": {"content": "hi"}} | change
    assert (await town.wechat("/cgi-bin/message/custom/send", body))["errcode"] == code


async def test_an_openid_of_another_app_is_nobody(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    assert await send_text(town, await town.openid("lin", MINI_APP)) == 40003


async def test_typing_shortly_after_contact(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    body = {"touser": await town.openid("lin"), "command": "Typing"}
    assert (await town.wechat("/cgi-bin/message/custom/typing", body))["errcode"] == 0
    assert (await town.wechat("/cgi-bin/message/custom/typing", body | {"command": "x"}))["errcode"] == 45072
    await town.control("POST", "/clock", advance_s=35)
    assert (await town.wechat("/cgi-bin/message/custom/typing", body))["errcode"] == 45080


async def template(town: Any, **changes: Any) -> Any:
    data = {"thing1": {"value": "黄金"}, "time2": {"value": "2026年1月1日"}}
    body = {"touser": await town.openid("lin"), "template_id": "tier", "data": data} | changes
    return await town.wechat("/cgi-bin/message/template/send", body)


async def test_template_messages(town: Any) -> None:
    assert (await template(town))["errcode"] == 43004
    await town.act("lin", "wechat_oa/follow")
    assert (await template(town, template_id="none"))["errcode"] == 40037
    missing = await template(town, data={"thing1": {"value": "x"}})
    assert missing["errcode"] == 47003
    assert "time2" in missing["errmsg"]
    await town.control("PATCH", "/people/lin", flags={"refuses_messages": True})
    assert (await template(town))["errcode"] == 48002
    await town.control("PATCH", "/people/lin", flags={"refuses_messages": False})
    sent = await template(town, url="https://shop.example/")
    await town.control("POST", "/settle")
    finished = town.product.events("TEMPLATESENDJOBFINISH")
    assert (finished[0]["MsgID"], finished[0]["Status"]) == (str(sent["msgid"]), "success")
    line = (await town.lines("lin"))[-1]
    assert line["kind"] == "template"
    assert line["text"] == "等级变动\n黄金\n2026年1月1日"


async def test_a_template_message_with_the_same_client_id_is_sent_once(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    first = await template(town, client_msg_id="m-1")
    assert (await template(town, client_msg_id="m-1"))["msgid"] == first["msgid"]
    assert len([line for line in await town.lines("lin") if line["kind"] == "template"]) == 1
    await town.control("POST", "/clock", advance_s=601)
    assert (await template(town, client_msg_id="m-1"))["msgid"] != first["msgid"]
    await town.control("POST", "/settle")


async def test_a_subscription_notice_needs_a_grant_per_message(town: Any) -> None:
    data = {"thing1": {"value": "黄金"}, "time2": {"value": "2026年1月1日 10:00"}}
    body = {"touser": await town.openid("lin"), "template_id": "tier", "data": data}
    send = "/cgi-bin/message/subscribe/bizsend"
    assert (await town.wechat(send, body))["errcode"] == 43101
    await town.act("lin", "wechat_oa/subscribe", template_ids=["tier"], accept=False)
    assert (await town.wechat(send, body))["errcode"] == 43101
    await town.act("lin", "wechat_oa/subscribe", template_ids=["tier"])
    await town.act("lin", "wechat_oa/subscribe", template_ids=["tier"])
    await town.wechat(send, body)
    assert (await town.control("GET", "/people/lin/screen"))["channels"]["wechat_oa"]["main"]["grants"] == {"tier": 1}
    await town.act("lin", "wechat_oa/manage_subscriptions", template_ids=["tier"])
    assert (await town.wechat(send, body))["errcode"] == 43101
    await town.control("POST", "/settle")
    (report,) = town.product.events("subscribe_msg_sent_event")
    assert report["SubscribeMsgSentEvent"]["List"]["ErrorCode"] == "0"
    assert len(town.product.events("subscribe_msg_change_event")) == 1


async def test_menus_and_who_sees_which(town: Any) -> None:
    button = [{"type": "click", "name": "会员", "key": "A"}]
    assert (await town.wechat("/cgi-bin/menu/get"))["errcode"] == 46003
    rule = {"button": button, "matchrule": {"tag_id": "100"}}
    assert (await town.wechat("/cgi-bin/menu/addconditional", rule))["errcode"] == 65303
    for bad, code in [
        ([], 40016),
        ([{"type": "click", "name": "x" * 17, "key": "A"}], 40018),
        ([{"name": "A"}], 40017),
    ]:
        assert (await town.wechat("/cgi-bin/menu/create", {"button": bad}))["errcode"] == code
    await town.wechat("/cgi-bin/menu/create", {"button": button})
    await town.act("lin", "wechat_oa/follow")
    await town.wechat("/cgi-bin/tags/create", {"tag": {"name": "gold"}})
    gold = [{"type": "click", "name": "黄金", "key": "G"}]
    await town.wechat("/cgi-bin/menu/addconditional", {"button": gold, "matchrule": {"tag_id": "100"}})
    refused = {"button": gold, "matchrule": {"sex": "1"}}
    assert (await town.wechat("/cgi-bin/menu/addconditional", refused))["errcode"] == 65320
    openid = await town.openid("lin")
    assert (await town.wechat("/cgi-bin/menu/trymatch", {"user_id": openid}))["button"] == button
    await town.wechat("/cgi-bin/tags/members/batchtagging", {"openid_list": [openid], "tagid": 100})
    assert (await town.wechat("/cgi-bin/menu/trymatch", {"user_id": openid}))["button"] == gold
    screen = await town.control("GET", "/people/lin/screen")
    assert screen["channels"]["wechat_oa"]["main"]["menu"] == gold


async def test_escaped_unicode_is_refused_in_menus(town: Any) -> None:
    await town.wechat("/cgi-bin/menu/get")
    raw = rb'{"button": [{"type": "click", "name": "\u4f1a", "key": "A"}]}'
    query = {"access_token": town.tokens[OA_APP]}
    async with town.http.post("/platform/wechat/cgi-bin/menu/create", params=query, data=raw) as response:
        assert (await response.json())["errcode"] == 40033


async def test_followers_and_their_details(town: Any) -> None:
    openid = await town.openid("lin")
    assert (await town.wechat("/cgi-bin/user/info", openid=openid))["subscribe"] == 0
    await town.act("lin", "wechat_oa/follow", scene="store-1")
    await town.act("mei", "wechat_oa/follow")
    info = await town.wechat("/cgi-bin/user/info", openid=openid)
    assert (info["qr_scene_str"], info["subscribe_scene"]) == ("store-1", "ADD_SCENE_QR_CODE")
    assert info["unionid"] == (await town.person("lin"))["wechat"]["unionid"]
    page = await town.wechat("/cgi-bin/user/get")
    assert page["total"] == 2
    rest = await town.wechat("/cgi-bin/user/get", next_openid=page["data"]["openid"][0])
    assert rest["count"] == 1
    batch = {"user_list": [{"openid": openid}]}
    assert (await town.wechat("/cgi-bin/user/info/batchget", batch))["user_info_list"][0]["openid"] == openid


async def test_a_scene_qr_code_follows_scans_and_expires(town: Any) -> None:
    create = "/cgi-bin/qrcode/create"
    action = {"action_name": "QR_STR_SCENE", "action_info": {"scene": {"scene_str": "table-7"}}, "expire_seconds": 600}
    made = await town.wechat(create, action)
    async with town.http.get("/platform/wechat/cgi-bin/showqrcode", params={"ticket": made["ticket"]}) as response:
        assert (await response.read()).startswith(b"\x89PNG")
    await town.act("lin", "wechat_oa/scan", ticket=made["ticket"])
    await town.act("lin", "wechat_oa/scan", url=made["url"])
    keys = [(i.message["Event"], i.message["EventKey"]) for i in town.product.inbound]
    assert keys == [("subscribe", "qrscene_table-7"), ("SCAN", "table-7")]
    await town.control("POST", "/clock", advance_s=601)
    expired = await town.act("lin", "wechat_oa/scan", ticket=made["ticket"])
    assert expired["lines"][0]["text"] == "二维码已过期"
    for bad in ({"scene_str": ""}, {"scene_str": "x" * 65}):
        assert (await town.wechat(create, action | {"action_info": {"scene": bad}}))["errcode"] == 40053
    limit = {"action_name": "QR_LIMIT_SCENE", "action_info": {"scene": {"scene_id": 100_001}}}
    assert (await town.wechat(create, limit))["errcode"] == 40053


async def test_daily_quota_until_midnight_in_beijing(open_town: Any) -> None:
    town = await open_town(limits={"/cgi-bin/menu/get": 2})
    codes = [(await town.wechat("/cgi-bin/menu/get"))["errcode"] for _ in range(3)]
    assert codes == [46003, 46003, 45009]
    quota = await town.wechat("/cgi-bin/openapi/quota/get", {"cgi_path": "/cgi-bin/menu/get"})
    assert quota["quota"] == {"daily_limit": 2, "used": 2, "remain": 0}
    assert (await town.wechat("/cgi-bin/clear_quota", {"appid": OA_APP}))["errcode"] == 0
    assert (await town.wechat("/cgi-bin/menu/get"))["errcode"] == 46003
    await town.wechat("/cgi-bin/menu/get")
    await town.control("POST", "/clock", advance_s=DAY_S)
    assert (await town.wechat("/cgi-bin/menu/get"))["errcode"] == 46003


async def test_media_lives_three_days(town: Any) -> None:
    await town.wechat("/cgi-bin/getcallbackip")
    form = aiohttp.FormData()
    form.add_field("media", b"\x89PNG picture", filename="a.png", content_type="image/png")
    query = {"access_token": town.tokens[OA_APP], "type": "image"}
    async with town.http.post("/platform/wechat/cgi-bin/media/upload", params=query, data=form) as response:
        media_id = (await response.json())["media_id"]
    query = {"access_token": town.tokens[OA_APP], "media_id": media_id}
    async with town.http.get("/platform/wechat/cgi-bin/media/get", params=query) as response:
        assert await response.read() == b"\x89PNG picture"
    await town.control("POST", "/clock", advance_s=3 * DAY_S)
    assert (await town.wechat("/cgi-bin/media/get", media_id=media_id))["errcode"] == 40007


async def test_tags_have_limits(town: Any) -> None:
    create = "/cgi-bin/tags/create"
    assert (await town.wechat(create, {"tag": {"name": "x" * 31}}))["errcode"] == 45158
    assert (await town.wechat(create, {"tag": {"name": "gold"}}))["tag"]["id"] == 100
    assert (await town.wechat(create, {"tag": {"name": "gold"}}))["errcode"] == 45157
    tagging = "/cgi-bin/tags/members/batchtagging"
    assert (await town.wechat(tagging, {"openid_list": ["nobody"], "tagid": 100}))["errcode"] == 49003
    openid = await town.openid("lin")
    await town.act("lin", "wechat_oa/follow")
    assert (await town.wechat(tagging, {"openid_list": [openid], "tagid": 999}))["errcode"] == 45159
    assert (await town.wechat("/cgi-bin/tags/delete", {"tag": {"id": 1}}))["errcode"] == 45058
