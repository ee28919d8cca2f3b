"""Callbacks of WeChat: envelopes both ways, retries with the same id, the deadline, replies that are not good."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest


async def test_follow_scan_and_text_reach_the_product_encrypted(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow", scene="store-1")
    await town.act("lin", "wechat_oa/say", text="签到 ]]> <b>&")
    follow, text = town.product.inbound
    assert follow.message["Event"] == "subscribe"
    assert follow.message["EventKey"] == "qrscene_store-1"
    assert follow.message["Ticket"]
    assert "MsgId" not in follow.message
    assert text.message["Content"] == "签到 ]]> <b>&"
    assert int(text.message["MsgId"]) > 2**53
    assert text.message["FromUserName"] == await town.openid("lin") == text.query["openid"]
    assert text.query["encrypt_type"] == "aes"
    assert "签到" not in text.raw


async def test_a_passive_reply_is_decrypted_and_shown(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.reply = lambda inbound: town.text_reply(inbound, "签到成功，连续 3 天")
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["result"] == "replied"
    assert [(line["from"], line["text"]) for line in done["lines"]] == [
        ("person", "签到"),
        ("account", "签到成功，连续 3 天"),
    ]


async def test_success_and_empty_show_nothing(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    for answer in ("success", ""):
        town.product.reply = lambda _, answer=answer: answer
        done = await town.act("lin", "wechat_oa/say", text="hi")
        assert done["delivery"]["result"] == "accepted"
        assert [line["from"] for line in done["lines"]] == ["person"]


async def test_three_tries_with_the_same_message_id_and_then_the_error_line(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.inbound.clear()
    town.product.statuses = [500, 502, 500]
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["statuses"] == [500, 502, 500]
    assert done["delivery"]["result"] == "failed"
    assert len({inbound.message["MsgId"] for inbound in town.product.inbound}) == 1
    assert len({inbound.query["nonce"] for inbound in town.product.inbound}) == 3
    assert done["lines"][-1]["from"] == "system"
    assert "服务出现故障" in done["lines"][-1]["text"]


async def test_a_slow_first_try_is_cut_at_the_deadline_and_the_second_answers(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.inbound.clear()
    town.product.reply = lambda inbound: town.text_reply(inbound, "好")

    async def slow_at_first(inbound: Any) -> None:
        if len(town.product.inbound) == 1:
            await asyncio.sleep(2)

    town.product.during = slow_at_first
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["statuses"] == ["timeout", 200]
    assert done["lines"][-1]["text"] == "好"


@pytest.mark.parametrize(
    "bad",
    [
        '{"text": "JSON is not a reply"}',
        "<xml><Content>to nobody</Content></xml>",
        "<!DOCTYPE x><xml></xml>",
        "<xml",
        "ok",
    ],
)
async def test_a_malformed_reply_counts_as_none(town: Any, bad: str) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.reply = lambda _: bad
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["statuses"] == ["malformed"] * 3


async def test_a_clear_reply_in_safe_mode_is_malformed(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    town.product.clear_replies = True
    town.product.reply = lambda inbound: town.text_reply(inbound, "hi")
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["result"] == "failed"


async def test_a_product_that_is_away_is_a_reset(open_town: Any) -> None:
    town = await open_town(
        lambda config: replace(config, wechat=(replace(config.wechat[0], callback_url="http://127.0.0.1:9/oa"),))
    )
    done = await town.act("lin", "wechat_oa/follow")
    assert done["delivery"]["statuses"] == ["reset"] * 3


@pytest.mark.parametrize("mode", ["plain", "compat"])
async def test_other_modes_carry_clear_fields(open_town: Any, mode: str) -> None:
    town = await open_town(lambda config: replace(config, wechat=(replace(config.wechat[0], mode=mode),)))
    town.product.clear_replies = mode == "plain"
    town.product.reply = lambda inbound: town.text_reply(inbound, "好")
    await town.act("lin", "wechat_oa/follow")
    done = await town.act("lin", "wechat_oa/say", text="签到")
    assert done["delivery"]["result"] == "replied"
    assert "签到" in town.product.inbound[-1].raw
    assert ("encrypt_type" in town.product.inbound[-1].query) == (mode == "compat")


@pytest.mark.parametrize("body", ["xml", "json"])
async def test_the_mini_program_speaks_xml_or_json(open_town: Any, body: str) -> None:
    town = await open_town(
        lambda config: replace(config, wechat=(config.wechat[0], replace(config.wechat[1], body=body)))
    )
    town.product.reply = lambda _: "success"
    await town.act("lin", "wechat_mini/subscribe", template_ids=["tier"])
    message = town.product.inbound[0].message
    assert message["Event"] == "subscribe_msg_popup_event"
    report = message["List"] if body == "json" else message["SubscribeMsgPopupEvent"]["List"]
    assert report == {"TemplateId": "tier", "SubscribeStatusString": "accept", "PopupScene": "0"}
    done = await town.act("lin", "wechat_mini/say", text="在吗")
    assert done["delivery"]["result"] == "accepted"
    assert town.product.inbound[1].message["Content"] == "在吗"


async def test_events_of_the_menu_and_of_privacy(town: Any) -> None:
    await town.act("lin", "wechat_oa/follow")
    button = {"name": "会员", "sub_button": [{"type": "click", "name": "签到", "key": "CHECKIN"}]}
    view = {"type": "view", "name": "商城", "url": "https://shop.example/"}
    assert (await town.wechat("/cgi-bin/menu/create", {"button": [button, view]}))["errcode"] == 0
    await town.act("lin", "wechat_oa/menu", path=[0, 0])
    opened = await town.act("lin", "wechat_oa/menu", path=[1])
    await town.act("lin", "wechat_oa/revoke", info="8")
    click, visit, revoke = [inbound.message for inbound in town.product.inbound[1:]]
    assert (click["Event"], click["EventKey"]) == ("CLICK", "CHECKIN")
    assert (visit["Event"], opened["data"]["open"]) == ("VIEW", "https://shop.example/")
    openid = await town.openid("lin")
    assert revoke["OpenID"] == openid
    assert revoke["FromUserName"] != openid
    await town.act("lin", "wechat_oa/menu", status=409, path=[0])


@pytest.mark.parametrize("kind", ["image", "voice", "video", "location", "link"])
async def test_messages_of_every_kind(town: Any, kind: str) -> None:
    await town.act("lin", "wechat_oa/follow")
    await town.act("lin", "wechat_oa/send", kind=kind)
    message = town.product.inbound[-1].message
    assert message["MsgType"] == kind
    if "PicUrl" in message:
        path = message["PicUrl"].removeprefix(town.config.public_base)
        async with town.http.get(path) as response:
            assert (await response.read()).startswith(b"\x89PNG")


async def test_who_does_not_follow_cannot_talk(town: Any) -> None:
    assert (await town.act("lin", "wechat_oa/say", status=409, text="hi"))["error"] == "bad_act"
    await town.act("lin", "wechat_oa/follow")
    await town.act("lin", "wechat_oa/follow", status=409)
    await town.act("lin", "wechat_oa/unfollow")
    assert town.product.inbound[-1].message["Event"] == "unsubscribe"


async def test_url_verification(town: Any) -> None:
    for channel in ("wechat_oa", "wecom"):
        result = await town.control("POST", "/verify", channel=channel, echo="5927782489442352469")
        assert result == {"passed": True, "status": 200, "answer": "5927782489442352469"}
