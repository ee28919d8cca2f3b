"""What every channel must do, whatever it speaks: one suite for all."""

import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.channel import (
    Accepted,
    Channel,
    Delivery,
    Forged,
    Malformed,
    RawRequest,
    Rejected,
    RejectReason,
    Unknown,
    follow_ups,
)
from bot.http import PlatformHttp
from bot.registry import CHANNELS
from handlers.messages import SILENT, Inbound, Reply, SenderKind, Text, Unhandled
from tests.bot.sides import SIDES, Side

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
SAYINGS = {
    "check-in": "签到",
    "end of CDATA": "a]]>b<![CDATA[c]]>",
    "quotes and markup": '"it\'s" <b>&amp; {{ name }} %s \\n',
    "emoji": "👨‍👩‍👧‍👦🏳️‍🌈🎁",
    "right to left": "\u202emirrored\u202c שלום",
    "beyond the basic plane": "𠮷野家で𝒳",
    "lines": "one\ntwo",
}

_NOT_IN_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
ROOT = Path(__file__).resolve().parents[2]
PROMISES = {
    "signature_checked",
    "constant_time",
    "replay_window",
    "mode_downgrade_refused",
    "body_limit",
    "dtd_refused",
    "retries_deduplicated",
    "reply_within_5s",
    "unknown_events_stored",
    "token_single_flight",
    "errors_classified",
    "window_modelled",
    "media_upload",
    "payloads_captured",
}

every_side = pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
every_saying = pytest.mark.parametrize("text", SAYINGS.values(), ids=SAYINGS.keys())


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


def opened(side: Side, http: PlatformHttp, request: RawRequest, *, window_s: int = 300) -> Inbound:
    delivery = side.channel(http, window_s=window_s).open(request)
    assert isinstance(delivery, Delivery)
    (message,) = delivery.messages
    return message


def is_refused(channel: Channel, request: RawRequest) -> bool:
    try:
        channel.open(request)
    except (Forged, Malformed):
        return True
    return False


def test_every_registered_channel_is_in_this_suite() -> None:
    assert set(CHANNELS) == {side.name.partition("-")[0] for side in SIDES}


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_channel_has_papers(channel: str) -> None:
    folder = ROOT / "bot" / channel
    assert (folder / "README.md").read_text().strip()
    assert any((ROOT / "tests/bot" / channel / "payloads").iterdir())
    sheet = yaml.safe_load((folder / "quality.yaml").read_text())
    assert set(sheet) == PROMISES
    for promise, row in sheet.items():
        assert row["state"] in {"done", "exempt", "missing"}, promise
        assert row["by" if row["state"] == "done" else "why"], promise
        for file, name in re.findall(r"(tests/\S+\.py)::(\w+)", row.get("by", "")):
            assert f"def {name}(" in (ROOT / file).read_text(), f"{promise} names a test that is not there"


@every_side
@every_saying
async def test_a_genuine_message_is_read_exactly(side: Side, text: str, http: PlatformHttp) -> None:
    message = opened(side, http, side.genuine(text, at=NOW))
    assert message.content == Text(text)
    assert message.sent_at == NOW
    assert message.sender.channel == side.name.partition("-")[0]
    assert message.sender.app_id == side.channel(http).app_id
    assert message.sender.external_id


@every_side
async def test_a_forgery_is_refused_before_anything_is_read(side: Side, http: PlatformHttp) -> None:
    channel = side.channel(http)
    for what, request in side.forgeries(side.genuine("hi", at=NOW)).items():
        assert is_refused(channel, request), f"accepted with a wrong {what}"


@every_side
async def test_a_replay_outside_the_window_is_forged_unless_the_window_is_off(side: Side, http: PlatformHttp) -> None:
    if not side.signs_time:
        pytest.skip(f"{side.name} signs no time; repeats are caught by their key")
    request = side.genuine("hi", at=NOW)
    for later in (timedelta(seconds=301), timedelta(seconds=-301), timedelta(days=30)):
        late = replace(request, received_at=NOW + later)
        with pytest.raises(Forged):
            side.channel(http).open(late)
        assert opened(side, http, late, window_s=0).content == Text("hi")
    assert opened(side, http, replace(request, received_at=NOW + timedelta(seconds=299))).content == Text("hi")


@every_side
async def test_an_overlong_body_is_refused_at_once(side: Side, http: PlatformHttp) -> None:
    request = side.genuine("x" * 100, at=NOW)
    started = time.perf_counter()
    with pytest.raises((Forged, Malformed)):
        side.channel(http).open(replace(request, body=request.body + b" " * 70_000))
    assert time.perf_counter() - started < 0.05


@every_side
async def test_a_repeat_has_the_same_key_and_another_message_another(side: Side, http: PlatformHttp) -> None:
    first = opened(side, http, side.genuine("hi", at=NOW))
    assert first == opened(side, http, side.genuine("hi", at=NOW))
    assert first.key != opened(side, http, side.genuine("hi", at=NOW, number=2)).key
    assert 0 < len(first.key) <= 200


@every_side
async def test_an_unknown_event_is_kept_and_nobody_fails(side: Side, http: PlatformHttp) -> None:
    content = opened(side, http, side.unknown_event(at=NOW)).content
    assert isinstance(content, Unhandled)
    assert not content.recognised
    assert len(content.kind) <= 40


@every_side
@every_saying
async def test_a_reply_arrives_as_it_was_meant(side: Side, text: str, http: PlatformHttp) -> None:
    to = opened(side, http, side.genuine("hi", at=NOW))
    channel, reply = side.channel(http), Reply(text)
    response = channel.answer(reply, to=to, now=NOW)
    assert response.status == 200
    if side.passive:
        assert side.shown(response) == text
        return
    assert side.shown(response) == ""
    (follow_up,) = follow_ups(channel, reply, to=to)
    assert follow_up.external_id == to.sender.external_id
    assert follow_up.reply == reply
    assert follow_ups(channel, reply, to=to) == (follow_up,)


@every_side
@every_saying
async def test_a_sent_message_arrives_as_it_was_meant(side: Side, text: str, http: PlatformHttp) -> None:
    api = side.api()
    async with TestServer(api.application()) as server:
        api.accepts()
        channel = side.channel(http, api_base=str(server.make_url("/")).rstrip("/"))
        assert isinstance(await channel.send(side.outgoing(text)), Accepted)
    assert api.said == [text]


@pytest.mark.outside
@every_side
async def test_naughty_strings_survive_both_ways(side: Side, http: PlatformHttp, outside: Path) -> None:
    strings = json.loads((outside / "security/blns/blns.json").read_text())
    channel = side.channel(http)
    seen = 0
    for text in strings:
        if not text.strip() or _NOT_IN_XML.search(text):
            continue
        seen += 1
        message = opened(side, http, side.genuine(text, at=NOW))
        if isinstance(message.content, Text):
            assert message.content.text.strip() == text.strip()
        shown = side.shown(channel.answer(Reply(text), to=message, now=NOW))
        # WeChat shows anchors as links, so one that nobody made goes out with a full-width bracket.
        assert not side.passive or shown.replace("＜", "<") == text.replace("＜", "<")
    assert seen > 400


@every_side
async def test_silence_is_acknowledged_and_says_nothing(side: Side, http: PlatformHttp) -> None:
    to = opened(side, http, side.genuine("hi", at=NOW))
    channel = side.channel(http)
    assert channel.answer(SILENT, to=to, now=NOW) == channel.acknowledge()
    assert side.shown(channel.acknowledge()) == ""
    assert channel.acknowledge().status == 200
    assert follow_ups(channel, SILENT, to=to) == ()


@every_side
async def test_a_report_of_the_platform_is_never_answered_with_words(side: Side, http: PlatformHttp) -> None:
    to = opened(side, http, side.genuine("hi", at=NOW))
    about_them = replace(to, sender=replace(to.sender, kind=SenderKind.PLATFORM))
    channel = side.channel(http)
    assert side.shown(channel.answer(Reply("words"), to=about_them, now=NOW)) == ""
    assert follow_ups(channel, Reply("words"), to=about_them) == ()


@every_side
async def test_each_outcome_of_a_send_is_told_apart(side: Side, http: PlatformHttp) -> None:
    api = side.api()
    async with TestServer(api.application()) as server:
        channel = side.channel(http, api_base=str(server.make_url("/")).rstrip("/"))
        api.accepts()
        assert isinstance(await channel.send(side.outgoing("1")), Accepted)
        api.refuses()
        refused = await channel.send(side.outgoing("2"))
        assert isinstance(refused, Rejected)
        assert refused.reason is RejectReason.BLOCKED
        api.drops()
        assert isinstance(await channel.send(side.outgoing("3")), Unknown)
        api.breaks()
        assert isinstance(await channel.send(side.outgoing("4")), Unknown)
    assert api.said == ["1", "2", "3", "4"], "nothing is sent twice by itself"


@every_side
async def test_an_unreachable_platform_is_tried_again_later(side: Side, http: PlatformHttp) -> None:
    result = await side.channel(http).send(side.outgoing("hi"))
    assert isinstance(result, Rejected)
    assert result.reason is RejectReason.RATE
    assert result.retry_after_s


@every_side
async def test_a_route_that_does_not_exist_is_a_configuration_error(side: Side, http: PlatformHttp) -> None:
    result = await side.channel(http).send(replace(side.outgoing("hi"), route="pigeon"))
    assert isinstance(result, Rejected)
    assert result.reason is RejectReason.CONFIGURATION


@every_side
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    query=st.dictionaries(
        st.sampled_from(["signature", "msg_signature", "timestamp", "nonce", "echostr", "encrypt_type"]), st.text()
    ),
    body=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace")),
)
def test_noise_is_refused_without_another_error(side: Side, method: str, query: dict[str, str], body: bytes) -> None:
    with pytest.raises((Forged, Malformed)):
        side.channel(PlatformHttp()).open(RawRequest(method, query, {}, body, NOW))
