"""Vectors and payloads that nobody here wrote, against the WeCom channel."""

import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.accounts import WecomAccount
from bot.channel import (
    Delivery,
    Forged,
    Handshake,
    Malformed,
    RawRequest,
)
from bot.http import PlatformHttp
from bot.wecom.adapter import WecomChannel
from handlers.messages import CustomerAdded, Inbound, Text
from tests.bot.remembered_tokens import remembered
from tests.bot.wecom.platform_side import (
    account,
)

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)


@pytest.fixture
async def http() -> AsyncIterator[PlatformHttp]:
    pool = PlatformHttp()
    yield pool
    await pool.close()


def only(channel: WecomChannel, request: RawRequest) -> Inbound:
    delivery = channel.open(request)
    assert isinstance(delivery, Delivery)
    (message,) = delivery.messages
    return message


def _account_of(vector: dict[str, str]) -> WecomAccount:
    return account(
        corp_id=vector["receive_id"],
        token=vector["token"],
        encoding_aes_key=vector["encoding_aes_key"],
        callback_window_s=0,
    )


def _query_of(vector: dict[str, str], **more: str) -> dict[str, str]:
    return {name: vector[name] for name in ("msg_signature", "timestamp", "nonce")} | more


@pytest.mark.outside
def test_published_echo_vectors(outside: Path, http: PlatformHttp) -> None:
    manifest = json.loads((outside / "protocol/manifest.json").read_text())
    vectors = [v for v in manifest["vectors"] if v["id"].startswith("wecom-") and v["kind"] == "echostr"]
    assert len(vectors) >= 2
    for vector in vectors:
        channel = WecomChannel(_account_of(vector), http, remembered)
        query = _query_of(vector, echostr=vector["ciphertext"])
        answer = channel.open(RawRequest("GET", query, {}, b"", NOW))
        assert isinstance(answer, Handshake)
        assert answer.response.body == vector["_plaintext"].encode()
        for name, wrong in vector.get("negative", {}).items():
            with pytest.raises(Forged):
                channel.open(RawRequest("GET", {**query, name: wrong}, {}, b"", NOW))


@pytest.mark.outside
def test_published_envelopes(outside: Path, http: PlatformHttp) -> None:
    entries = {e["file"]: e for e in json.loads((outside / "protocol/manifest.json").read_text())["entries"]}

    def opened(name: str) -> Inbound:
        vector = entries[f"wecom/{name}"]["query"]
        body = (outside / "protocol/wecom" / name).read_bytes()
        started = time.perf_counter()
        try:
            return only(
                WecomChannel(_account_of(vector), http, remembered),
                RawRequest("POST", _query_of(vector), {}, body, NOW),
            )
        finally:
            assert time.perf_counter() - started < 0.05

    added = opened("enc_own_add_external_contact.xml").content
    assert isinstance(added, CustomerAdded)
    assert (added.state, added.welcome_code) == ("store42-poster7", "WELCOME1")
    with pytest.raises(Forged):
        opened("hostile_other_corpid.xml")
    wrong_key = next(
        v
        for v in json.loads((outside / "protocol/manifest.json").read_text())["vectors"]
        if v["id"] == "wecom-senparc-wrong-key"
    )
    body = (outside / "protocol/wecom/enc_senparc_wrong_key.xml").read_bytes()
    with pytest.raises((Forged, Malformed)):
        WecomChannel(_account_of(wrong_key), http, remembered).open(
            RawRequest("POST", _query_of(wrong_key), {}, body, NOW)
        )


@pytest.mark.outside
def test_events_out_of_order_keep_their_own_time(outside: Path, http: PlatformHttp) -> None:
    seen = []
    for item in json.loads((outside / "protocol/wecom/hostile_out_of_order.json").read_text()):
        body = f"<xml><Encrypt><![CDATA[{item['encrypt']}]]></Encrypt></xml>".encode()
        channel = WecomChannel(_account_of(item["query"]), http, remembered)
        seen.append(only(channel, RawRequest("POST", _query_of(item["query"]), {}, body, NOW)))
    removed, added = seen
    assert removed.sent_at > added.sent_at
    assert removed.key != added.key
    assert isinstance(added.content, CustomerAdded)
    assert not isinstance(removed.content, Text)
