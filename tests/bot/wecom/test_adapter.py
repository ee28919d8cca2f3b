from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from aiohttp.test_utils import TestServer

from bot.channel import (
    Accepted,
    Channel,
    Delivery,
    Forged,
    Handshake,
    Outgoing,
    RawRequest,
    Rejected,
    RejectReason,
    Unknown,
    follow_ups,
)
from bot.http import PlatformHttp
from bot.wecom.adapter import WecomChannel, publish_entrances
from handlers.messages import SILENT, Button, Card, CardRow, Inbound, MenuItem, Reply
from loyalty.errors import Bug
from tests.bot.remembered_tokens import remembered
from tests.bot.wecom.platform_side import (
    AGENT_ID,
    CORP_ID,
    SECRET,
    STAFF_ID,
    WecomServer,
    account,
    address_check,
    in_clear,
    push,
    said,
    sealed,
    shown,
)

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
SEND = "/cgi-bin/message/send"
UPDATE = "/cgi-bin/message/update_template_card"

MEMBER_CARD = Card("王小明", (CardRow("等级", "金卡"), CardRow("可用积分", "1,250")), task_id="find-1")
WITH_BUTTONS = Reply(
    text="找到会员", card=MEMBER_CARD, buttons=(Button("核销", key="redeem:7"), Button("资料", url="https://m/x"))
)


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


@pytest.fixture
def server() -> WecomServer:
    return WecomServer()


@pytest.fixture
async def channel(server: WecomServer, http: PlatformHttp) -> AsyncIterator[WecomChannel]:
    async with TestServer(server.application()) as running:
        yield WecomChannel(account(str(running.make_url("/")).rstrip("/")), http, remembered)


@pytest.fixture
def offline(http: PlatformHttp) -> WecomChannel:
    return WecomChannel(account(), http, remembered)


def only(channel: WecomChannel, request: RawRequest) -> Inbound:
    delivery = channel.open(request)
    assert isinstance(delivery, Delivery)
    (inbound,) = delivery.messages
    return inbound


def outgoing(route: str = "app_message", reply: Reply | None = None, **changes: str) -> Outgoing:
    message = Outgoing("main", STAFF_ID, route, reply or Reply(text="升级了"), "c1")
    return replace(message, **changes)  # type: ignore[arg-type]


def test_it_is_a_channel(offline: WecomChannel) -> None:
    channel: Channel = offline
    assert (channel.name, channel.account, channel.app_id) == ("wecom", "main", CORP_ID)


def test_an_account_without_token_cannot_be_configured(http: PlatformHttp) -> None:
    with pytest.raises(Bug):
        WecomChannel(account(token=""), http, remembered)


def test_the_address_check_gets_the_plain_echo(offline: WecomChannel) -> None:
    checked = offline.open(address_check("5927782489442352469", at=NOW))
    assert isinstance(checked, Handshake)
    assert checked.response.body == b"5927782489442352469"
    with pytest.raises(Forged):
        offline.open(address_check("1", at=NOW, token="another"))


def test_a_body_in_the_clear_is_a_downgrade(offline: WecomChannel) -> None:
    with pytest.raises(Forged):
        offline.open(in_clear(said("核销 1", at=NOW), at=NOW))


def test_another_corps_envelope_is_refused_even_with_our_keys(offline: WecomChannel) -> None:
    with pytest.raises(Forged):
        offline.open(sealed(said("核销 1", at=NOW), at=NOW, corp_id="wwsomebodyelse0000"))


def test_words_are_answered_with_words(offline: WecomChannel) -> None:
    asked = only(offline, sealed(said("帮助", at=NOW), at=NOW))
    answer = shown(offline.answer(Reply(text="发手机号 ]]> 😀"), to=asked, now=NOW))
    assert answer["Content"] == "发手机号 ]]> 😀"
    assert (answer["ToUserName"], answer["FromUserName"], answer["MsgType"]) == (STAFF_ID, CORP_ID, "text")
    assert follow_ups(offline, Reply(text="x"), to=asked) == ()


def test_passive_text_stays_within_2048_bytes(offline: WecomChannel) -> None:
    asked = only(offline, sealed(said("帮助", at=NOW), at=NOW))
    answer = shown(offline.answer(Reply(text="积" * 1000), to=asked, now=NOW))
    assert len(answer["Content"].encode()) <= 2048
    assert answer["Content"].endswith("…")


def test_a_card_is_sent_because_a_passive_answer_cannot_show_it(offline: WecomChannel) -> None:
    asked = only(offline, sealed(said("13800138000", at=NOW), at=NOW))
    assert offline.answer(WITH_BUTTONS, to=asked, now=NOW) == offline.acknowledge()
    (card,) = follow_ups(offline, WITH_BUTTONS, to=asked)
    assert (card.route, card.external_id, card.reply) == ("app_message", STAFF_ID, WITH_BUTTONS)
    assert follow_ups(offline, WITH_BUTTONS, to=asked) == (card,)


def test_a_pressed_card_is_changed_and_words_are_sent(offline: WecomChannel) -> None:
    press = push(
        NOW, MsgType="event", Event="template_card_event", TaskId="find-1", EventKey="redeem:7", ResponseCode="rc"
    )
    pressed = only(offline, sealed(press, at=NOW))
    assert offline.answer(Reply(text="已核销"), to=pressed, now=NOW) == offline.acknowledge()
    (words,) = follow_ups(offline, Reply(text="已核销"), to=pressed)
    assert (words.route, words.reply.text) == ("app_message", "已核销")
    change, words = follow_ups(offline, Reply(text="剩余 2 张", card=Card("已核销")), to=pressed)
    assert (change.route, change.token, words.reply.text) == ("card_update", "rc", "剩余 2 张")
    assert change.reply.card is not None
    assert change.reply.card.task_id == "find-1"
    change, words = follow_ups(offline, Reply(card=MEMBER_CARD), to=pressed)
    assert (change.route, words.route, words.reply.card) == ("card_update", "app_message", MEMBER_CARD)
    (again,) = follow_ups(offline, replace(WITH_BUTTONS, text=""), to=pressed)
    assert again.route == "card_update"


def test_a_new_customer_is_welcomed_while_the_code_lives(offline: WecomChannel) -> None:
    fields = {"ChangeType": "add_external_contact", "UserID": "lisi", "ExternalUserID": "wm1"}
    report = push(NOW, "sys", MsgType="event", Event="change_external_contact", **fields, WelcomeCode="W1")
    told = only(offline, sealed(report, at=NOW))
    assert offline.answer(Reply(text="欢迎"), to=told, now=NOW) == offline.acknowledge()
    (hello,) = follow_ups(offline, Reply(text="欢迎"), to=told)
    assert (hello.route, hello.external_id, hello.token) == ("welcome", "wm1", "W1")
    assert follow_ups(offline, SILENT, to=told) == ()


def test_reports_and_leavers_hear_nothing(offline: WecomChannel) -> None:
    added = push(
        NOW,
        "sys",
        MsgType="event",
        Event="change_external_contact",
        ChangeType="add_external_contact",
        UserID="a",
        ExternalUserID="wm",
    )
    for xml in (added, push(NOW, MsgType="event", Event="unsubscribe")):
        told = only(offline, sealed(xml, at=NOW))
        assert offline.answer(Reply(text="x"), to=told, now=NOW) == offline.acknowledge()
        assert follow_ups(offline, Reply(text="x"), to=told) == ()


async def test_text_to_staff(channel: WecomChannel, server: WecomServer) -> None:
    server.answers(SEND, {"msgid": "m1"})
    assert await channel.send(outgoing()) == Accepted("m1")
    assert server.asked(SEND) == [
        {"touser": STAFF_ID, "agentid": AGENT_ID, "msgtype": "text", "text": {"content": "升级了"}}
    ]


async def test_a_card_with_buttons(channel: WecomChannel, server: WecomServer) -> None:
    server.answers(SEND, {"msgid": "m1", "response_code": "rc"})
    assert await channel.send(outgoing(reply=WITH_BUTTONS)) == Accepted("m1", "rc")
    (sent,) = server.asked(SEND)
    assert sent["enable_duplicate_check"] == 1
    assert sent["template_card"] == {
        "card_type": "button_interaction",
        "task_id": "find-1",
        "main_title": {"title": "王小明"},
        "sub_title_text": "找到会员",
        "horizontal_content_list": [{"keyname": "等级", "value": "金卡"}, {"keyname": "可用积分", "value": "1,250"}],
        "button_list": [
            {"text": "核销", "style": 1, "type": 0, "key": "redeem:7"},
            {"text": "资料", "style": 4, "type": 1, "url": "https://m/x"},
        ],
    }


@pytest.mark.parametrize(
    ("token_answer", "expected"),
    [
        ({"errcode": 81013, "errmsg": "all invalid"}, RejectReason.BLOCKED),
        ({"errcode": 60111, "errmsg": "userid not found"}, RejectReason.BLOCKED),
        ({"invaliduser": "zhangsan"}, RejectReason.BLOCKED),
        ({"unlicenseduser": "zhangsan"}, RejectReason.BLOCKED),
        ({"errcode": 45009, "errmsg": "freq"}, RejectReason.QUOTA),
        ({"errcode": -1, "errmsg": "busy"}, RejectReason.RATE),
        ({"errcode": 60020, "errmsg": "not allow to access from your ip"}, RejectReason.CONFIGURATION),
        ({"errcode": 45002, "errmsg": "too long"}, RejectReason.CONTENT),
        ({"errcode": 99999, "errmsg": "?"}, RejectReason.CONTENT),
    ],
)
async def test_refusals_say_what_to_do_next(
    channel: WecomChannel, server: WecomServer, token_answer: dict[str, object], expected: RejectReason
) -> None:
    server.answers(SEND, token_answer)
    result = await channel.send(outgoing())
    assert isinstance(result, Rejected)
    assert result.reason is expected
    assert (result.retry_after_s is not None) == (expected in (RejectReason.QUOTA, RejectReason.RATE))


async def test_answers_that_say_nothing_leave_the_outcome_unknown(channel: WecomChannel, server: WecomServer) -> None:
    server.answers(SEND, "<html>oops</html>")
    server.answers(SEND, "bad gateway", status=502)
    server.answers(SEND, "too many", status=429)
    assert isinstance(await channel.send(outgoing()), Unknown)
    assert isinstance(await channel.send(outgoing()), Unknown)
    refused = await channel.send(outgoing())
    assert isinstance(refused, Rejected)
    assert refused.reason is RejectReason.RATE


async def test_an_expired_token_is_renewed_once(channel: WecomChannel, server: WecomServer) -> None:
    server.answers(SEND, {"msgid": "m1"})
    await channel.send(outgoing())
    server.expire_token()
    server.answers(SEND, {"msgid": "m2"})
    assert await channel.send(outgoing()) == Accepted("m2")
    assert server.tokens_issued == 2
    assert len(server.asked(SEND)) == 3


async def test_a_token_that_stays_refused_is_a_configuration_error(channel: WecomChannel, server: WecomServer) -> None:
    server.answers(SEND, {"errcode": 40014, "errmsg": "invalid access_token"})
    server.answers(SEND, {"errcode": 40014, "errmsg": "invalid access_token"})
    result = await channel.send(outgoing())
    assert isinstance(result, Rejected)
    assert (result.reason, result.code) == (RejectReason.CONFIGURATION, "40014")
    assert len(server.asked(SEND)) == 2


async def test_a_wrong_secret_is_told_without_being_quoted(server: WecomServer, http: PlatformHttp) -> None:
    async with TestServer(server.application()) as running:
        wrong = replace(account(str(running.make_url("/")).rstrip("/")), app_secret="not-" + SECRET)
        result = await WecomChannel(wrong, http, remembered).send(outgoing())
    assert isinstance(result, Rejected)
    assert (result.reason, result.code) == (RejectReason.CONFIGURATION, "40001")
    assert SECRET not in str(result)


async def test_a_card_is_updated_with_its_code(channel: WecomChannel, server: WecomServer) -> None:
    for _ in range(2):
        server.answers(UPDATE, {})
    greyed = outgoing("card_update", Reply(card=Card("已核销")), token="rc")
    assert await channel.send(greyed) == Accepted()
    assert await channel.send(replace(greyed, reply=WITH_BUTTONS)) == Accepted()
    first, second = server.asked(UPDATE)
    assert first == {
        "userids": [STAFF_ID],
        "agentid": AGENT_ID,
        "response_code": "rc",
        "button": {"replace_name": "已核销"},
    }
    card = second["template_card"]
    assert isinstance(card, dict)
    assert (card["card_type"], card["task_id"]) == ("button_interaction", "find-1")


async def test_the_welcome_uses_its_code_once(channel: WecomChannel, server: WecomServer) -> None:
    path = "/cgi-bin/externalcontact/send_welcome_msg"
    server.answers(path, {})
    server.answers(path, {"errcode": 41051, "errmsg": "already chatting"})
    hello = outgoing(
        "welcome", Reply(text="欢迎", buttons=(Button("领券", url="https://m/c"),)), token="W1", external_id="wm1"
    )
    assert await channel.send(hello) == Accepted()
    assert server.asked(path)[0] == {
        "welcome_code": "W1",
        "text": {"content": "欢迎"},
        "attachments": [{"msgtype": "link", "link": {"title": "领券", "url": "https://m/c"}}],
    }
    result = await channel.send(hello)
    assert isinstance(result, Rejected)
    assert result.reason is RejectReason.NO_WINDOW


async def test_a_group_send_waits_for_staff(channel: WecomChannel, server: WecomServer) -> None:
    path = "/cgi-bin/externalcontact/add_msg_template"
    server.answers(path, {"msgid": "g1", "fail_list": []})
    server.answers(path, {"msgid": "g2", "fail_list": ["wm1"]})
    offer = outgoing("group_send", Reply(text="新品"), token="lisi", external_id="wm1")
    assert await channel.send(offer) == Accepted("g1")
    assert server.asked(path)[0] == {
        "chat_type": "single",
        "external_userid": ["wm1"],
        "sender": "lisi",
        "text": {"content": "新品"},
    }
    left_out = await channel.send(offer)
    assert isinstance(left_out, Rejected)
    assert left_out.reason is RejectReason.BLOCKED


async def test_what_cannot_be_sent_is_rejected_before_the_network(offline: WecomChannel) -> None:
    for message in (outgoing("pigeon"), outgoing(reply=SILENT), outgoing("welcome"), outgoing("card_update")):
        result = await offline.send(message)
        assert isinstance(result, Rejected)
        assert result.retry_after_s is None


async def test_the_menu_is_installed(channel: WecomChannel, server: WecomServer) -> None:
    server.answers("/cgi-bin/menu/create", {})
    items = (
        MenuItem("会员", children=(MenuItem("查会员", key="find"), MenuItem("扫码", key="scan", camera=True))),
        MenuItem("今日", url="https://m/today"),
    )
    await publish_entrances(channel, items)
    path, query, body = server.calls[-1]
    assert (path, query["agentid"]) == ("/cgi-bin/menu/create", str(AGENT_ID))
    assert body == {
        "button": [
            {
                "name": "会员",
                "sub_button": [
                    {"type": "click", "name": "查会员", "key": "find"},
                    {"type": "scancode_waitmsg", "name": "扫码", "key": "scan"},
                ],
            },
            {"type": "view", "name": "今日", "url": "https://m/today"},
        ]
    }
