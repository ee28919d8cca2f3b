"""WeCom: callbacks, messages and cards to staff, customers, the 20-second welcome, 企业群发."""

from typing import Any

import pytest

from tests.bot.sandbox.town import CORP

AGENT = 1000002


async def send(town: Any, kind: str = "text", payload: Any = None, **changes: Any) -> Any:
    body = {"touser": "zhang", "msgtype": kind, "agentid": AGENT, kind: payload or {"content": "你好"}} | changes
    return await town.wecom("/cgi-bin/message/send", body)


def card(**changes: Any) -> dict[str, Any]:
    buttons = [{"text": "核销", "style": 1, "key": "redeem:1"}, {"text": "取消", "style": 2, "key": "cancel:1"}]
    shown = {"card_type": "button_interaction", "main_title": {"title": "小林", "desc": "黄金会员"}}
    rows = [{"keyname": "积分", "value": "120"}]
    return shown | {"horizontal_content_list": rows, "button_list": buttons, "task_id": "task-1"} | changes


async def test_staff_messages_arrive_encrypted_and_are_answered(town: Any) -> None:
    town.product.reply = lambda inbound: town.text_reply(inbound, "找到了")
    done = await town.act("zhang", "wecom/say", text="13800000001")
    message = town.product.inbound[0].message
    assert (message["FromUserName"], message["ToUserName"]) == ("zhang", CORP)
    assert (message["Content"], message["AgentID"]) == ("13800000001", str(AGENT))
    assert "13800000001" not in town.product.inbound[0].raw
    assert done["lines"][-1]["text"] == "找到了"


async def test_app_events(town: Any) -> None:
    for verb, body in [("subscribe", {}), ("enter", {}), ("click", {"key": "TODAY"}), ("scan", {"result": "code-9"})]:
        await town.act("zhang", f"wecom/{verb}", **body)
    events = [inbound.message["Event"] for inbound in town.product.inbound]
    assert events == ["subscribe", "enter_agent", "click", "scancode_waitmsg"]
    assert town.product.inbound[-1].message["ScanCodeInfo"]["ScanResult"] == "code-9"
    await town.act("lin", "wecom/say", status=409, text="I am no staff")


async def test_gettoken_repeats_the_same_token(town: Any) -> None:
    grant = {"corpid": CORP, "corpsecret": "secret"}
    first = await town.raw("/platform/wecom/cgi-bin/gettoken", None, grant)
    assert await town.raw("/platform/wecom/cgi-bin/gettoken", None, grant) == first | {"expires_in": 7200}
    wrong = await town.raw("/platform/wecom/cgi-bin/gettoken", None, grant | {"corpsecret": "x"})
    assert wrong["errcode"] == 40001
    await town.control("POST", "/clock", advance_s=7201)
    query = {"access_token": first["access_token"], "userid": "zhang"}
    assert (await town.raw("/platform/wecom/cgi-bin/user/get", None, query))["errcode"] == 42001
    again = await town.raw("/platform/wecom/cgi-bin/gettoken", None, grant)
    assert again["access_token"] != first["access_token"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"touser": "nobody"}, 81013),
        ({"touser": ""}, 40063),
        ({"agentid": 1}, 40056),
        ({"text": {"content": "字" * 700}}, 45002),
        ({"msgtype": "telegram"}, 44004),
    ],
)
async def test_refused_messages(town: Any, changes: dict[str, Any], code: int) -> None:
    assert (await send(town, **changes))["errcode"] == code


async def test_invalid_users_are_named_in_lower_case(town: Any) -> None:
    answer = await send(town, touser="ZHANG|Ghost")
    assert (answer["errcode"], answer["invaliduser"]) == (0, "ghost")
    assert (await town.lines("zhang"))[-1]["text"] == "你好"


async def test_more_than_thirty_a_minute_to_one_person_are_dropped_silently(town: Any) -> None:
    for number in range(32):
        assert (await send(town, payload={"content": str(number)}))["errcode"] == 0
    assert len(await town.lines("zhang")) == 30


async def test_duplicate_check(town: Any) -> None:
    for _ in range(2):
        assert (await send(town, enable_duplicate_check=1))["errcode"] == 0
    assert len(await town.lines("zhang")) == 1
    await town.control("POST", "/clock", advance_s=1801)
    await send(town, enable_duplicate_check=1)
    assert len(await town.lines("zhang")) == 2


async def test_a_card_button_is_pressed_and_the_reply_replaces_it(town: Any) -> None:
    assert (await send(town, "template_card", card()))["response_code"]
    (line,) = await town.lines("zhang")
    assert line["text"] == "小林\n黄金会员\n积分：120"
    town.product.reply = lambda _: (
        "<xml><ToUserName>zhang</ToUserName><FromUserName>x</FromUserName><CreateTime>1</CreateTime>"
        "<MsgType>update_button</MsgType><Button><ReplaceName>已核销</ReplaceName></Button></xml>"
    )
    await town.act("zhang", "wecom/tap", line=line["id"], button="0")
    event = town.product.inbound[-1].message
    assert (event["Event"], event["EventKey"], event["TaskId"]) == ("template_card_event", "redeem:1", "task-1")
    assert event["CardType"] == "button_interaction"
    assert event["ResponseCode"]
    (line,) = await town.lines("zhang")
    assert (line["state"], line["buttons"]) == ("done", [])
    assert line["text"].endswith("〔已核销〕")
    await town.act("zhang", "wecom/tap", status=409, line=line["id"], button="0")


async def test_a_response_code_changes_a_card_once(town: Any) -> None:
    code = (await send(town, "template_card", card()))["response_code"]
    body = {"userids": ["zhang"], "agentid": AGENT, "response_code": code, "button": {"replace_name": "已处理"}}
    update = "/cgi-bin/message/update_template_card"
    assert (await town.wecom(update, body | {"button": {}}))["errcode"] == 40063
    assert (await town.wecom(update, body))["errcode"] == 0
    assert (await town.lines("zhang"))[0]["text"].endswith("〔已处理〕")
    assert (await town.wecom(update, body))["errcode"] == 42015


async def test_a_card_update_can_be_a_whole_card_and_the_code_expires(town: Any) -> None:
    code = (await send(town, "template_card", card()))["response_code"]
    fresh = {
        "card_type": "text_notice",
        "main_title": {"title": "已核销"},
        "card_action": {"type": 1, "url": "https://x"},
    }
    body = {"userids": ["zhang"], "agentid": AGENT, "response_code": code, "template_card": fresh}
    await town.control("POST", "/clock", advance_s=72 * 3600 + 1)
    assert (await town.wecom("/cgi-bin/message/update_template_card", body))["errcode"] == 42015
    code = (await send(town, "template_card", card(task_id="task-2")))["response_code"]
    await town.wecom("/cgi-bin/message/update_template_card", body | {"response_code": code})
    assert (await town.lines("zhang"))[-1]["text"] == "已核销"


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"task_id": ""}, 42017), ({"card_type": "x"}, 42014), ({"button_list": []}, 42019), ({"main_title": {}}, 42018)],
)
async def test_refused_cards(town: Any, changes: dict[str, Any], code: int) -> None:
    assert (await send(town, "template_card", card(**changes)))["errcode"] == code


async def test_choices_of_a_card_come_back(town: Any) -> None:
    options = [{"id": "a", "text": "早"}, {"id": "b", "text": "晚"}]
    vote = {"card_type": "vote_interaction", "main_title": {"title": "几点"}, "task_id": "v1"}
    vote |= {
        "checkbox": {"question_key": "when", "option_list": options},
        "submit_button": {"text": "提交", "key": "go"},
    }
    await send(town, "template_card", vote)
    (line,) = await town.lines("zhang")
    await town.act("zhang", "wecom/tap", line=line["id"], button="0", selected={"when": ["b"]})
    chosen = town.product.inbound[-1].message["SelectedItems"]["SelectedItem"]
    assert chosen == {"QuestionKey": "when", "OptionIds": {"OptionId": "b"}}


async def test_recall_and_text_card(town: Any) -> None:
    payload = {"title": "审批", "description": "<div>请处理</div>", "url": "https://x.example/"}
    sent = await send(town, "textcard", payload)
    (line,) = await town.lines("zhang")
    assert line["text"] == "审批\n请处理"
    opened = await town.act("zhang", "wecom/tap", line=line["id"], button="0")
    assert opened["data"]["open"] == "https://x.example/"
    assert (await town.wecom("/cgi-bin/message/recall", {"msgid": sent["msgid"]}))["errcode"] == 0
    assert (await town.lines("zhang"))[0]["state"] == "recalled"


async def test_staff_login(town: Any) -> None:
    code = (await town.act("zhang", "wecom/oauth"))["data"]["code"]
    assert (await town.wecom("/cgi-bin/auth/getuserinfo", code=code))["userid"] == "zhang"
    assert (await town.wecom("/cgi-bin/auth/getuserinfo", code=code))["errcode"] == 42022
    outsider = (await town.act("lin", "wecom/oauth"))["data"]["code"]
    answer = await town.wecom("/cgi-bin/auth/getuserinfo", code=outsider)
    assert "userid" not in answer
    assert answer["external_userid"] == (await town.person("lin"))["wecom"]["external_userid"]


async def way(town: Any, **changes: Any) -> Any:
    body = {"type": 1, "scene": 2, "state": "store-1", "user": ["zhang"]} | changes
    return await town.wecom("/cgi-bin/externalcontact/add_contact_way", body)


async def test_a_customer_scans_and_is_welcomed_once_within_20_s(town: Any) -> None:
    made = await way(town)
    await town.act("lin", "wecom/add_staff", config_id=made["config_id"])
    event = town.product.inbound[-1].message
    external = (await town.person("lin"))["wecom"]["external_userid"]
    assert (event["ChangeType"], event["State"]) == ("add_external_contact", "store-1")
    assert (event["UserID"], event["ExternalUserID"], event["FromUserName"]) == ("zhang", external, "sys")
    welcome = {"welcome_code": event["WelcomeCode"], "text": {"content": "欢迎"}}
    send_welcome = "/cgi-bin/externalcontact/send_welcome_msg"
    assert (await town.wecom(send_welcome, welcome))["errcode"] == 0
    assert (await town.wecom(send_welcome, welcome))["errcode"] == 41051
    assert (await town.lines("lin"))[-1]["text"] == "欢迎"
    assert (await town.wecom(send_welcome, welcome | {"welcome_code": "x"}))["errcode"] == 41050
    await town.act("lin", "wecom/add_staff", config_id=made["config_id"])
    assert "WelcomeCode" not in town.product.inbound[-1].message


async def test_a_welcome_after_20_s_is_too_late(town: Any) -> None:
    await town.act("zhang", "wecom/add_customer", person="lin", state="card", half=True)
    event = town.product.inbound[-1].message
    assert event["ChangeType"] == "add_half_external_contact"
    await town.control("POST", "/clock", advance_s=21)
    late = {"welcome_code": event["WelcomeCode"], "text": {"content": "欢迎"}}
    assert (await town.wecom("/cgi-bin/externalcontact/send_welcome_msg", late))["errcode"] == 41050


async def test_customer_details_remarks_and_tags(town: Any) -> None:
    external = (await town.person("lin"))["wecom"]["external_userid"]
    get = "/cgi-bin/externalcontact/get"
    assert (await town.wecom(get, external_userid=external))["errcode"] == 84061
    assert (await town.wecom(get, external_userid="wmx"))["errcode"] == 40096
    await town.act("zhang", "wecom/add_customer", person="lin", state="s")
    tags = await town.wecom("/cgi-bin/externalcontact/add_corp_tag", {"group_name": "等级", "tag": [{"name": "黄金"}]})
    tag = tags["tag_group"]["tag"][0]["id"]
    who = {"userid": "zhang", "external_userid": external}
    await town.wecom("/cgi-bin/externalcontact/mark_tag", who | {"add_tag": [tag]})
    await town.wecom("/cgi-bin/externalcontact/remark", who | {"remark": "小林", "remark_mobiles": ["13800000001"]})
    answer = await town.wecom(get, external_userid=external)
    (follow,) = answer["follow_user"]
    assert (follow["state"], follow["remark_mobiles"]) == ("s", ["13800000001"])
    assert follow["tags"][0]["tag_name"] == "黄金"
    assert answer["external_contact"]["unionid"] == (await town.person("lin"))["wechat"]["unionid"]
    assert (await town.wecom("/cgi-bin/externalcontact/mark_tag", who | {"add_tag": ["et"]}))["errcode"] == 40068
    assert (await town.wecom("/cgi-bin/externalcontact/list", userid="zhang"))["external_userid"] == [external]
    batch = await town.wecom("/cgi-bin/externalcontact/batch/get_by_user", {"userid_list": ["zhang"]})
    assert batch["external_contact_list"][0]["follow_info"]["remark"] == "小林"
    await town.act("lin", "wecom/remove_staff", person="zhang")
    assert town.product.inbound[-1].message["ChangeType"] == "del_follow_user"
    assert (await town.wecom(get, external_userid=external))["errcode"] == 84061


async def test_a_group_message_waits_for_the_staff(town: Any) -> None:
    task = {"chat_type": "single", "text": {"content": "周末双倍积分"}}
    add = "/cgi-bin/externalcontact/add_msg_template"
    assert (await town.wecom(add, task))["errcode"] == 41048
    await town.act("zhang", "wecom/add_customer", person="lin")
    await town.act("zhang", "wecom/add_customer", person="mei")
    external = (await town.person("lin"))["wecom"]["external_userid"]
    made = await town.wecom(add, task | {"external_userid": [external, "wm-ghost"], "sender": "zhang"})
    assert made["fail_list"] == ["wm-ghost"]
    assert not [line for line in await town.lines("lin") if line["kind"] == "groupmsg"]
    query = {"msgid": made["msgid"], "userid": "zhang"}
    results = "/cgi-bin/externalcontact/get_groupmsg_send_result"
    assert (await town.wecom(results, query))["send_list"][0]["status"] == 0
    screen = await town.control("GET", "/people/zhang/screen")
    assert screen["channels"]["wecom"]["main"]["waiting"] == [{"msgid": made["msgid"], "text": "周末双倍积分"}]
    done = await town.act("zhang", "wecom/confirm", msgid=made["msgid"])
    assert done["data"]["sent"] == 1
    assert (await town.lines("lin"))[-1]["text"] == "周末双倍积分"
    assert (await town.wecom(results, query))["send_list"][0]["status"] == 1
    second = await town.wecom(add, task | {"external_userid": [external]})
    await town.act("zhang", "wecom/confirm", msgid=second["msgid"])
    limited = await town.wecom(results, {"msgid": second["msgid"], "userid": "zhang"})
    assert limited["send_list"][0]["status"] == 3


async def test_reminders_are_limited(town: Any) -> None:
    await town.act("zhang", "wecom/add_customer", person="lin")
    made = await town.wecom("/cgi-bin/externalcontact/add_msg_template", {"text": {"content": "x"}})
    remind = "/cgi-bin/externalcontact/remind_groupmsg_send"
    codes = [(await town.wecom(remind, {"msgid": made["msgid"]}))["errcode"] for _ in range(4)]
    assert codes == [0, 0, 0, 45009]
    await town.wecom("/cgi-bin/externalcontact/cancel_groupmsg_send", {"msgid": made["msgid"]})
    await town.act("zhang", "wecom/confirm", status=409, msgid=made["msgid"])


async def test_contact_ways_are_checked(town: Any) -> None:
    assert (await way(town, state="x" * 31))["errcode"] == 45002
    assert (await way(town, user=["nobody"]))["errcode"] == 60111
    assert (await way(town, type=1, user=["zhang", "zhang"]))["errcode"] == 40058
    made = await way(town)
    async with town.http.get(made["qr_code"].removeprefix(town.config.public_base)) as response:
        assert response.content_type == "image/png"


async def test_unionid_finds_the_customer(town: Any) -> None:
    body = {"unionid": (await town.person("lin"))["wechat"]["unionid"], "openid": await town.openid("lin")}
    path = "/cgi-bin/idconvert/unionid_to_external_userid"
    assert (await town.wecom(path, body))["errcode"] == 84061
    await town.act("zhang", "wecom/add_customer", person="lin")
    external = (await town.person("lin"))["wecom"]["external_userid"]
    assert (await town.wecom(path, body))["external_userid"] == external
