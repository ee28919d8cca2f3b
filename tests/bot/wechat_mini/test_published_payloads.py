"""Every mini-program payload and vector of the corpora."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.channel import Delivery, Forged, Handshake, Malformed, RawRequest
from bot.http import PlatformHttp
from bot.wechat_mini.adapter import WechatMiniProgram
from bot.wechat_mini.user_data import is_signed, open_user_data
from bot.wx_callback import fields_of
from bot.wx_messages import Addressee, messages_of
from handlers.messages import AuthorisationRevoked, EnterChat, SubscribeChoice, SubscribeGrants, Text, Unhandled
from tests.bot.remembered_tokens import remembered
from tests.bot.wechat_oa.platform_side import account, in_clear

pytestmark = pytest.mark.outside
AT = datetime.fromtimestamp(1_760_000_000, UTC)
TO = Addressee("wechat_mini", "main", "wx1")
MEANING: dict[str, object] = {
    "skit_text_message_event.json": Text("this is a test"),
    "skit_user_enter_temp_session_event.json": EnterChat("sessionFrom"),
    "skit_user_enter_temp_session_event.xml": EnterChat("sessionFrom"),
    "skit_user_authorization_revoke_event.json": AuthorisationRevoked(("201",)),
    "skit_user_authorization_revoke_event.xml": AuthorisationRevoked(("1",)),
    "wxjava_ma_subscribe_msg_change_event.json": SubscribeGrants(
        {"BEwX0BOT3MqK3Uc5oTU3CGBqzjpndk2jzUf7VfExd8": SubscribeChoice.REJECT}, managed=True
    ),
    "wxjava_ma_subscribe_msg_popup_event.json": SubscribeGrants(
        {"VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc": SubscribeChoice.ACCEPT}
    ),
    "skit_subscribe_message_popup_event_list.json": SubscribeGrants(
        {"hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68": SubscribeChoice.ACCEPT}
    ),
}


def manifest(outside: Path) -> dict[str, list[dict[str, Any]]]:
    loaded: dict[str, list[dict[str, Any]]] = json.loads((outside / "protocol/manifest.json").read_text())
    return loaded


def vectors(outside: Path, kind: str) -> Iterator[dict[str, Any]]:
    return (vector for vector in manifest(outside)["vectors"] if vector["kind"] == kind)


def test_every_public_push_is_read_as_its_index_says(outside: Path) -> None:
    seen = 0
    for entry in manifest(outside)["entries"]:
        name = entry["file"].removeprefix("miniprogram/")
        if name == entry["file"] or "MsgType=" not in entry.get("expected", ""):
            continue
        seen += 1
        facts = dict(part.split("=", 1) for part in entry["expected"].split(", "))
        body = (outside / "protocol" / entry["file"]).read_bytes()
        (message,) = messages_of(fields_of(body), TO, received_at=AT)
        assert message.sent_at == datetime.fromtimestamp(int(facts["CreateTime"]), UTC), name
        if isinstance(message.content, Unhandled):
            assert message.content.recognised, name
        if name in MEANING:
            assert message.content == MEANING[name], name
    assert seen >= 14


@pytest.mark.parametrize("name", ["nan", "deep", "lone_surrogate", "nul_char"])
def test_odd_json_is_refused_or_can_be_stored(outside: Path, name: str) -> None:
    body = (outside / f"protocol/miniprogram/hostile_{name}.json").read_bytes()
    channel = WechatMiniProgram(account(plain_mode=True), PlatformHttp(), remembered)
    started = time.perf_counter()
    try:
        outcome = channel.open(in_clear(body, at=AT))
    except Malformed:
        assert name in ("nan", "deep")
    else:
        assert isinstance(outcome, Delivery)
        content = outcome.messages[0].content
        assert isinstance(content, Text)
        assert "\0" not in content.text
        assert content.text.encode()
    assert time.perf_counter() - started < 0.05


def test_the_documented_json_envelope_opens(outside: Path) -> None:
    (vector,) = vectors(outside, "envelope_json")
    channel = WechatMiniProgram(
        account(
            app_id=vector["receive_id"],
            token=vector["token"],
            encoding_aes_key=vector["encoding_aes_key"],
            callback_window_s=0,
        ),
        PlatformHttp(),
        remembered,
    )
    query = {"timestamp": vector["timestamp"], "nonce": vector["nonce"], "msg_signature": vector["msg_signature"]}
    body = (outside / "protocol" / vector["file"]).read_bytes()
    delivery = channel.open(RawRequest("POST", query, {}, body, AT))
    assert isinstance(delivery, Delivery)
    assert delivery.messages[0].content == Unhandled(
        "debug_demo", recognised=False, fields={"debug_str": "hello world"}
    )
    with pytest.raises(Forged):
        channel.open(RawRequest("POST", {**query, "msg_signature": vector["plain_signature"]}, {}, body, AT))


def test_the_documented_address_check_is_answered(outside: Path) -> None:
    (check, _push) = vectors(outside, "sha1_plain")
    channel = WechatMiniProgram(account(token=check["token"], callback_window_s=0), PlatformHttp(), remembered)
    query = {name: check[name] for name in ("timestamp", "nonce", "signature")}
    outcome = channel.open(RawRequest("GET", {**query, "echostr": "4375120948345356249"}, {}, b"", AT))
    assert isinstance(outcome, Handshake)
    assert (outcome.response.body, outcome.response.content_type) == (b"4375120948345356249", "text/plain")


def test_sealed_user_data_opens_only_with_its_key_and_app(outside: Path) -> None:
    seen = 0
    for vector in vectors(outside, "wxa_data"):
        seen += 1
        sealed = {"iv": vector["iv"], "session_key": vector["session_key"]}
        opened = open_user_data(vector["ciphertext"], **sealed, app_id=vector["appid"])
        assert {name: opened[name] for name in vector["expect"]} == vector["expect"]
        with pytest.raises(Forged):
            open_user_data(vector["ciphertext"], **sealed, app_id="wx0000000000000000")
    assert seen == 2


def test_a_stale_session_key_is_refused(outside: Path) -> None:
    seen = 0
    for vector in vectors(outside, "wxa_negative"):
        seen += 1
        with pytest.raises(Forged):
            open_user_data(
                vector["ciphertext"], iv=vector["iv"], session_key=vector["session_key"], app_id=vector["appid"]
            )
    assert seen == 2


@pytest.mark.parametrize("name", ["watermark_other_appid", "encrypted_data_ragged"])
def test_hostile_user_data_is_refused(outside: Path, name: str) -> None:
    hostile = json.loads((outside / f"protocol/miniprogram/hostile_{name}.json").read_text())
    with pytest.raises((Forged, Malformed)):
        open_user_data(
            hostile["encryptedData"], iv=hostile["iv"], session_key=hostile["session_key"], app_id=hostile["appid"]
        )


def test_raw_data_signatures_agree(outside: Path) -> None:
    for vector in json.loads((outside / "protocol/miniprogram/sig_rawdata.json").read_text()):
        assert is_signed(vector["rawData"], vector["signature"], vector["session_key"])
        assert not is_signed(vector["rawData"] + " ", vector["signature"], vector["session_key"])
