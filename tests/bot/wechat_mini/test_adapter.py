"""The mini-program end to end: its chat, its events, its API."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from bot.calls import CallFailed
from bot.channel import Accepted, Delivery, Malformed, Outgoing, Rejected, RejectReason, SendResult, Unknown
from bot.http import PlatformHttp
from bot.wechat_mini.adapter import WechatMiniProgram, publish_entrances
from bot.wechat_mini.client import TextVerdict
from bot.wx_api import CodeRefused
from handlers.messages import (
    Button,
    Click,
    Content,
    EnterChat,
    Media,
    MenuItem,
    Reply,
    SenderKind,
    SendOutcome,
    SendReport,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unhandled,
)
from tests.bot.remembered_tokens import remembered
from tests.bot.wechat_oa.platform_side import APP_ID, OPENID, WechatServer, account, in_clear, sealed

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
PAYLOADS = Path(__file__).parent / "payloads"
SUBSCRIBE = "/cgi-bin/message/subscribe/send"
PHONE = "/wxa/business/getuserphonenumber"


@pytest.fixture
def wechat() -> WechatServer:
    return WechatServer()


@pytest.fixture
async def channel(wechat: WechatServer) -> AsyncIterator[WechatMiniProgram]:
    http = PlatformHttp()
    async with TestServer(wechat.application()) as server:
        yield WechatMiniProgram(account(str(server.make_url("/")).rstrip("/")), http, remembered)
    await http.close()


MEANING: dict[str, Content] = {
    "text.json": Text("积分怎么没到账"),
    "text.xml": Text("积分怎么没到账"),
    "enter_session.json": EnterChat("from=card"),
    "enter_session_silent.xml": EnterChat(),
    "card_page.json": Media("miniprogrampage", {"Title": "会员卡", "AppId": APP_ID, "PagePath": "pages/card/index"}),
    "popup_single.json": SubscribeGrants({"T1": SubscribeChoice.ACCEPT}),
    "popup_list.json": SubscribeGrants({"T1": SubscribeChoice.ACCEPT, "T2": SubscribeChoice.REJECT}),
    "sent.json": SendReport("1700827132819554304", SendOutcome.FAILED, "T1", "43101 user refuse"),
    "media_check.json": Unhandled(
        "wxa_media_check",
        recognised=True,
        fields={"appid": APP_ID, "trace_id": "60f96f1d-3845297a-1976a3ae", "version": "2"},
    ),
}


@pytest.mark.parametrize("name", MEANING)
def test_each_captured_push_means_what_it_should(name: str) -> None:
    channel = WechatMiniProgram(account(), PlatformHttp(), remembered)
    delivery = channel.open(sealed((PAYLOADS / name).read_text().strip(), at=NOW))
    assert isinstance(delivery, Delivery)
    assert delivery.messages[0].content == MEANING[name]
    assert delivery.messages[0].sender.channel == "wechat_mini"


def test_every_captured_push_is_tested() -> None:
    assert {path.name for path in PAYLOADS.iterdir()} == set(MEANING)


def test_an_id_beyond_2_to_the_53_keeps_its_digits() -> None:
    channel = WechatMiniProgram(account(), PlatformHttp(), remembered)
    delivery = channel.open(sealed((PAYLOADS / "text.json").read_text().strip(), at=NOW))
    assert isinstance(delivery, Delivery)
    assert delivery.messages[0].key == "24853461237890123"


@pytest.mark.parametrize(
    "body",
    [
        b'{"FromUserName":"o","FromUserName":"p","MsgType":"text"}',
        b'{"FromUserName":"o","MsgType":"text","Content":NaN}',
        b'{"FromUserName":"o","MsgType":"text","x":' + b"[" * 60_000,
        b'{"FromUserName":["o"],"MsgType":"text"}',
        b'{"FromUserName":"o","MsgType":{"a":1}}',
        b"[]",
        b"null",
    ],
)
def test_json_with_two_meanings_is_malformed(body: bytes) -> None:
    channel = WechatMiniProgram(account(plain_mode=True), PlatformHttp(), remembered)
    with pytest.raises(Malformed):
        channel.open(in_clear(body, at=NOW))


async def send(channel: WechatMiniProgram, route: str, **changes: object) -> SendResult:
    message = Outgoing("main", OPENID, route, Reply("words"), "outbox-1")
    return await channel.send(replace(message, **changes))  # type: ignore[arg-type]


async def test_a_subscribe_message_uses_a_grant_up(channel: WechatMiniProgram, wechat: WechatServer) -> None:
    wechat.answers(SUBSCRIBE, {"errcode": 0, "errmsg": "ok", "msgid": 123})
    sent = {"template_id": "T1", "template_data": {"thing1": "优惠券"}, "page": "/pages/coupons/index"}
    assert await send(channel, "subscribe", **sent) == Accepted("123")
    body = json.loads(wechat.asked(SUBSCRIBE)[0][1])
    assert (body["page"], body["miniprogram_state"]) == ("pages/coupons/index", "formal")
    wechat.answers(SUBSCRIBE, {"errcode": 43101, "errmsg": "user refuse to accept the msg rid: 1-2-3"})
    refused = await send(channel, "subscribe", **sent)
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.code) == (RejectReason.NO_GRANT, "43101")
    wechat.answers(SUBSCRIBE, {"errcode": 45009, "errmsg": "reach max api minute quota"})
    limited = await send(channel, "subscribe", **sent)
    assert isinstance(limited, Rejected)
    assert (limited.reason, limited.retry_after_s) == (RejectReason.QUOTA, 60.0)


async def test_buttons_are_said_in_words_in_a_chat_without_them(
    channel: WechatMiniProgram, wechat: WechatServer
) -> None:
    path = "/cgi-bin/message/custom/send"
    wechat.answers(path, {"errcode": 0})
    reply = Reply("选一个", buttons=(Button("积分", key="points"), Button("商城", url="https://m.example/")))
    assert isinstance(await send(channel, "customer_service", reply=reply), Accepted)
    content = json.loads(wechat.asked(path)[0][1])["text"]["content"]
    assert content == '选一个\n· 积分\n\n<a href="https://m.example/">商城</a>'


async def test_a_login_code_becomes_a_person_or_a_refusal(channel: WechatMiniProgram, wechat: WechatServer) -> None:
    path = "/sns/jscode2session"
    wechat.answers(path, {"openid": OPENID, "session_key": "tiihtNczf5v6AKRyjwEUhQ==", "unionid": "u1"})
    login = await channel.client.exchange_code("c1")
    assert (login.openid, login.union_id) == (OPENID, "u1")
    ((query, _body),) = wechat.asked(path)
    assert (query["js_code"], query["appid"]) == ("c1", APP_ID)
    for code in (40029, 40163):
        wechat.answers(path, {"errcode": code, "errmsg": "invalid code"})
        with pytest.raises(CodeRefused):
            await channel.client.exchange_code("c1")
    wechat.answers(path, {"errcode": 40226, "errmsg": "code blocked"})
    with pytest.raises(CallFailed) as raised:
        await channel.client.exchange_code("c1")
    assert isinstance(raised.value.result, Rejected)
    assert raised.value.result.reason is RejectReason.BLOCKED
    wechat.answers(path, {"session_key": "no openid"})
    with pytest.raises(CallFailed):
        await channel.client.exchange_code("c1")


@pytest.mark.parametrize("country", ["86", 86, "+86"])
async def test_a_phone_code_becomes_a_number(
    channel: WechatMiniProgram, wechat: WechatServer, country: str | int
) -> None:
    info = {"phoneNumber": "13800138000", "purePhoneNumber": "13800138000", "countryCode": country}
    wechat.answers(PHONE, {"errcode": 0, "phone_info": {**info, "watermark": {"timestamp": 1, "appid": APP_ID}}})
    assert (await channel.client.phone_number("p1")).number == "+8613800138000"


async def test_a_phone_number_of_another_app_or_a_used_code_is_refused(
    channel: WechatMiniProgram, wechat: WechatServer
) -> None:
    info = {"purePhoneNumber": "13800138000", "countryCode": "86", "watermark": {"appid": "wxother"}}
    wechat.answers(PHONE, {"errcode": 0, "phone_info": info})
    with pytest.raises(CallFailed) as raised:
        await channel.client.phone_number("p1")
    assert isinstance(raised.value.result, Unknown)
    wechat.answers(PHONE, {"errcode": 40029, "errmsg": "invalid code"})
    with pytest.raises(CodeRefused):
        await channel.client.phone_number("p1")


async def test_a_code_picture_is_bytes_and_an_error_is_not(channel: WechatMiniProgram, wechat: WechatServer) -> None:
    path = "/wxa/getwxacodeunlimit"
    wechat.answers(path, b"\xff\xd8jpeg")
    assert await channel.client.code_picture("s=abc", page="/pages/card/index") == b"\xff\xd8jpeg"
    assert json.loads(wechat.asked(path)[0][1])["page"] == "pages/card/index"
    wechat.answers(path, {"errcode": 41030, "errmsg": "invalid page"})
    with pytest.raises(CallFailed):
        await channel.client.code_picture("s=abc")
    with pytest.raises(ValueError, match="32"):
        await channel.client.code_picture("x" * 33)


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        ({"suggest": "pass", "label": 100}, TextVerdict.PASS),
        ({"suggest": "risky", "label": 20002}, TextVerdict.RISKY),
        ({"suggest": "something new"}, TextVerdict.REVIEW),
        (None, TextVerdict.REVIEW),
    ],
)
async def test_words_pass_only_when_told_so(
    channel: WechatMiniProgram, wechat: WechatServer, result: object, verdict: TextVerdict
) -> None:
    wechat.answers("/wxa/msg_sec_check", {"errcode": 0, "result": result, "trace_id": "t"})
    assert await channel.client.check_text(OPENID, "小明" * 3000) is verdict
    assert len(json.loads(wechat.asked("/wxa/msg_sec_check")[0][1])["content"]) == 2500


async def test_there_is_no_menu_to_install(channel: WechatMiniProgram, wechat: WechatServer) -> None:
    await publish_entrances(channel, (MenuItem("签到", key="check_in"),))
    assert wechat.calls == []


def test_nothing_follows_a_report_or_silence() -> None:
    channel = WechatMiniProgram(account(), PlatformHttp(), remembered)
    delivery = channel.open(sealed((PAYLOADS / "text.json").read_text().strip(), at=NOW))
    assert isinstance(delivery, Delivery)
    message = delivery.messages[0]
    assert message.sender.kind is SenderKind.MEMBER
    (follow_up,) = channel.follow_ups(Reply("好的"), to=replace(message, content=Click("x")))
    assert (follow_up.route, follow_up.external_id) == ("customer_service", OPENID)
