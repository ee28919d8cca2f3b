import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.calls import CallFailed
from bot.channel import (
    Accepted,
    Channel,
    Forged,
    Malformed,
    Outgoing,
    RawRequest,
    Rejected,
    RejectReason,
    Unknown,
    follow_ups,
)
from bot.http import PlatformHttp
from bot.telegram.adapter import TelegramChannel
from bot.telegram.entrances import publish_entrances
from handlers.messages import SILENT, Button, Inbound, MenuItem, Reply, Text
from loyalty import db
from loyalty.errors import Bug
from tests.bot.telegram.platform_side import (
    SECRET,
    BotApi,
    account,
    chat_member,
    message,
    posted,
    press,
    sent_message,
)

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


@pytest.fixture
async def api() -> BotApi:
    return BotApi()


@pytest.fixture
async def channel(api: BotApi, http: PlatformHttp) -> AsyncIterator[TelegramChannel]:
    async with TestServer(api.application()) as server:
        yield TelegramChannel(account(str(server.make_url("/")).rstrip("/")), http)


@pytest.fixture
def offline(http: PlatformHttp) -> TelegramChannel:
    return TelegramChannel(account(), http)


def only(channel: TelegramChannel, request: RawRequest) -> Inbound:
    (inbound,) = channel.open(request).messages
    return inbound


def test_it_is_a_channel(offline: TelegramChannel) -> None:
    channel: Channel = offline
    assert (channel.name, channel.account, channel.app_id) == ("telegram", "main", "7000000001")


def test_genuine_update_is_opened(offline: TelegramChannel) -> None:
    assert only(offline, posted(message(at=NOW, text="签到"), at=NOW)).content == Text("签到")


@pytest.mark.parametrize("secret", [None, "", "wrong", SECRET[:-1], SECRET + "x", "é", "\udcff"])
def test_without_the_right_secret_nothing_is_read(offline: TelegramChannel, secret: str | None) -> None:
    with pytest.raises(Forged):
        offline.open(posted(b"{not even json", at=NOW, secret=secret))


def test_an_unset_secret_lets_nobody_in(http: PlatformHttp) -> None:
    from dataclasses import replace

    careless = TelegramChannel(replace(account(), webhook_secret=""), http)
    for secret in ("", None):
        with pytest.raises(Forged):
            careless.open(posted(message(at=NOW, text="x"), at=NOW, secret=secret))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"update_id":1,"update_id":2}',
        b'{"update_id":NaN}',
        b'{"update_id":1e999}',
        b'{"update_id":1,"message":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"update_id":1,"message":' + b'{"a":' * 30_00 + b"1" + b"}" * 3000 + b"}",
        b'{"update_id":' + b"9" * 5000 + b"}",
        b'\xff{"update_id":1}',
        b'{"update_id":1,"x":"' + b"a" * 65_536 + b'"}',
    ],
)
def test_unreadable_bodies_are_malformed_and_cheap(offline: TelegramChannel, body: bytes) -> None:
    started = time.perf_counter()
    with pytest.raises(Malformed):
        offline.open(posted(body, at=NOW))
    assert time.perf_counter() - started < 0.05


def test_lone_surrogates_and_nul_can_be_stored(offline: TelegramChannel) -> None:
    body = json.dumps(message(at=NOW, text="\ud800 \x00 签到")).encode()
    content = only(offline, posted(body, at=NOW)).content
    assert content == Text("\ufffd \ufffd 签到")


def test_a_repeat_has_the_same_key(offline: TelegramChannel) -> None:
    request = posted(message(at=NOW, text="/checkin"), at=NOW)
    assert only(offline, request).key == only(offline, request).key


def test_reply_goes_out_with_the_webhook_answer(offline: TelegramChannel) -> None:
    inbound = only(offline, posted(message(at=NOW, text="积分"), at=NOW))
    answer = offline.answer(Reply(text="你有 120 分 ]]> 😀"), to=inbound, now=NOW)
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == {"method": "sendMessage", "chat_id": 42, "text": "你有 120 分 ]]> 😀"}


def test_silence_and_goodbyes_are_only_acknowledged(offline: TelegramChannel) -> None:
    said = only(offline, posted(message(at=NOW, text="x"), at=NOW))
    blocked = only(offline, posted(chat_member("kicked", at=NOW), at=NOW))
    news = only(offline, posted({"update_id": 5, "channel_post": {"text": "x"}}, at=NOW))
    for reply, to in ((SILENT, said), (Reply(text="再见"), blocked), (Reply(text="?"), news)):
        answer = offline.answer(reply, to=to, now=NOW)
        assert (answer.status, answer.body) == (200, b"")


def test_a_press_is_followed_up_so_that_its_spinner_stops(offline: TelegramChannel) -> None:
    pressed = only(offline, posted(press("points"), at=NOW))
    (ack,) = follow_ups(offline, Reply(text="x"), to=pressed)
    assert (ack.route, ack.token) == ("callback_answer", "4382bfdwdsb323b2d9")
    assert follow_ups(offline, Reply(text="y"), to=pressed) == (ack,)
    said = only(offline, posted(message(at=NOW, text="x"), at=NOW))
    assert follow_ups(offline, Reply(text="x"), to=said) == ()


def outgoing(route: str = "message", reply: Reply | None = None, token: str | None = None) -> Outgoing:
    return Outgoing(
        account="main",
        external_id="42",
        route=route,
        reply=reply or Reply(text="升级了", buttons=(Button("看看", key="tier"),)),
        client_message_id="c1",
        token=token,
    )


async def test_an_accepted_message_has_its_id(channel: TelegramChannel, api: BotApi) -> None:
    api.answers_with(sent_message(900))
    assert await channel.send(outgoing()) == Accepted("900")
    method, parameters = api.calls[0]
    assert method == "sendMessage"
    assert parameters == {
        "chat_id": 42,
        "text": "升级了",
        "reply_markup": {"inline_keyboard": [[{"text": "看看", "callback_data": "tier"}]]},
    }


@pytest.mark.parametrize(
    ("code", "description", "reason"),
    [
        (403, "Forbidden: bot was blocked by the user", RejectReason.BLOCKED),
        (403, "Forbidden: user is deactivated", RejectReason.BLOCKED),
        (403, "Forbidden: bot can't initiate conversation with a user", RejectReason.BLOCKED),
        (400, "Bad Request: chat not found", RejectReason.BLOCKED),
        (400, "Bad Request: PEER_ID_INVALID", RejectReason.BLOCKED),
        (
            400,
            "Bad Request: query is too old and response timeout expired or query ID is invalid",
            RejectReason.NO_WINDOW,
        ),
        (400, "Bad Request: message is too long", RejectReason.CONTENT),
        (400, "Bad Request: BUTTON_DATA_INVALID", RejectReason.CONTENT),
        (401, "Unauthorized", RejectReason.CONFIGURATION),
        (404, "Not Found", RejectReason.CONFIGURATION),
        (409, "Conflict: terminated by other getUpdates request", RejectReason.CONFIGURATION),
    ],
)
async def test_refusals_say_what_to_do_next(
    channel: TelegramChannel, api: BotApi, code: int, description: str, reason: RejectReason
) -> None:
    api.refuses_with(code, description)
    result = await channel.send(outgoing())
    assert result == Rejected(reason, str(code), description)


async def test_too_many_requests_say_when_to_come_back(channel: TelegramChannel, api: BotApi) -> None:
    api.refuses_with(429, "Too Many Requests: retry after 35", retry_after=35)
    result = await channel.send(outgoing())
    assert isinstance(result, Rejected)
    assert (result.reason, result.retry_after_s) == (RejectReason.RATE, 35.0)


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_server_errors_leave_the_outcome_unknown(channel: TelegramChannel, api: BotApi, status: int) -> None:
    api.answers.append(web.Response(status=status, text="<html>Bad Gateway</html>"))
    assert isinstance(await channel.send(outgoing()), Unknown)


async def test_an_answer_that_is_not_json_or_lacks_fields_is_unknown(channel: TelegramChannel, api: BotApi) -> None:
    api.answers.append(web.Response(text="hello"))
    api.answers_with({"message_id": 1})
    assert isinstance(await channel.send(outgoing()), Unknown)
    assert isinstance(await channel.send(outgoing()), Unknown)


async def test_an_unreachable_platform_received_nothing(offline: TelegramChannel) -> None:
    result = await offline.send(outgoing())
    assert isinstance(result, Rejected)
    assert (result.reason, result.code) == (RejectReason.RATE, "unreachable")
    assert "AAtest" not in result.detail


async def test_an_unmodified_message_is_what_we_wanted(channel: TelegramChannel, api: BotApi) -> None:
    api.refuses_with(400, "Bad Request: message is not modified: specified new message content …")
    assert await channel.send(outgoing()) == Accepted()


async def test_a_press_is_answered_with_a_short_notice(channel: TelegramChannel, api: BotApi) -> None:
    api.answers_with(True)
    result = await channel.send(outgoing("callback_answer", Reply(text="好" * 300), token="q1"))
    assert result == Accepted()
    assert api.calls == [("answerCallbackQuery", {"callback_query_id": "q1", "text": "好" * 199 + "…"})]


async def test_what_cannot_be_sent_is_rejected_before_the_network(offline: TelegramChannel) -> None:
    for message_out in (outgoing("pigeon"), outgoing(reply=SILENT)):
        result = await offline.send(message_out)
        assert isinstance(result, Rejected)
        assert result.retry_after_s is None


async def test_no_call_inside_a_unit_of_work(offline: TelegramChannel, database: None) -> None:
    async with db.unit_of_work():
        with pytest.raises(Bug):
            await offline.send(outgoing())


async def test_entrances_are_installed(channel: TelegramChannel, api: BotApi) -> None:
    for _ in range(4):
        api.answers_with(True)
    chinese = (
        MenuItem("会员", children=(MenuItem("签到", key="check_in", command="checkin"), MenuItem("帮助", key="help"))),
        MenuItem("会员卡", url="https://m.example.cn/m/"),
    )
    await publish_entrances(
        channel.client,
        {"": chinese, "en": (MenuItem("Check in", key="check_in", command="checkin"),)},
        webhook_url="https://m.example.cn/hooks/telegram/main",
        webhook_secret=SECRET,
    )
    assert [method for method, _ in api.calls] == [
        "setWebhook",
        "setMyCommands",
        "setMyCommands",
        "setChatMenuButton",
    ]
    assert api.calls[0][1]["secret_token"] == SECRET
    assert api.calls[0][1]["allowed_updates"] == ["message", "callback_query", "my_chat_member"]
    assert api.calls[1][1] == {"commands": [{"command": "checkin", "description": "签到"}]}
    assert api.calls[2][1]["language_code"] == "en"


async def test_status_of_the_webhook_and_name_of_the_bot(channel: TelegramChannel, api: BotApi) -> None:
    api.answers_with({"url": "https://x", "has_custom_certificate": False, "pending_update_count": 3})
    status = await channel.client.webhook_status()
    assert (status.url, status.pending, status.last_error) == ("https://x", 3, None)
    api.answers_with({"id": 7, "is_bot": True, "first_name": "小惠", "username": "xiaohui_bot"})
    assert await channel.client.username() == "xiaohui_bot"
    api.refuses_with(401, "Unauthorized")
    with pytest.raises(CallFailed) as failed:
        await channel.client.username()
    assert isinstance(failed.value.result, Rejected)


@pytest.mark.outside
def test_hostile_callers_are_refused(offline: TelegramChannel, outside: Path) -> None:
    for name in ("hostile_update_no_secret.json", "hostile_update_wrong_secret.json"):
        case = json.loads((outside / "protocol/telegram" / name).read_text())
        request = RawRequest("POST", {}, case["headers"], json.dumps(case["body"]).encode(), NOW)
        with pytest.raises(Forged):
            offline.open(request)
    replayed = json.loads((outside / "protocol/telegram/hostile_update_replayed.json").read_text())
    keys = {only(offline, posted(replayed["body"], at=NOW)).key for _ in range(replayed["send"])}
    assert keys == {"4"}


@pytest.mark.outside
async def test_published_errors(channel: TelegramChannel, api: BotApi, outside: Path) -> None:
    for name, reason in (("own_api_error_403", RejectReason.BLOCKED), ("own_api_error_429", RejectReason.RATE)):
        answer = json.loads((outside / f"protocol/telegram/{name}.json").read_text())
        api.answers.append(web.json_response(answer, status=answer["error_code"]))
        result = await channel.send(outgoing())
        assert isinstance(result, Rejected)
        assert result.reason is reason
