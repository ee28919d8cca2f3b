"""Every official-account payload of the corpora: read, kept, or refused, and never another exception."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.channel import Delivery, Forged, Malformed, RawRequest
from bot.http import PlatformHttp
from bot.wechat_oa.adapter import WechatOfficialAccount
from bot.wechat_oa.client import page_signature
from bot.wx_messages import Addressee, messages_of
from bot.wx_xml import parse
from handlers.messages import (
    AuthorisationRevoked,
    Click,
    Follow,
    Inbound,
    Media,
    Scan,
    SendOutcome,
    SendReport,
    SubscribeChoice,
    SubscribeGrants,
    Text,
    Unfollow,
    Unhandled,
)
from tests.bot.remembered_tokens import remembered
from tests.bot.wechat_oa.platform_side import account, in_clear

pytestmark = pytest.mark.outside
AT = datetime.fromtimestamp(1_760_000_000, UTC)
TO = Addressee("wechat_oa", "main", "wx1")

MEANING: dict[str, object] = {
    "skit_text_message_event.xml": Text,
    "skit_subscribe_push_event.xml": Follow(),
    "skit_unsubscribe_push_event.xml": Unfollow(),
    "senparc_event_unsubscribe.xml": Unfollow(),
    "skit_scan_push_event.xml": Scan("SCENE_VALUE"),
    "senparc_event_scan.xml": Scan("SCENE_VALUE"),
    "skit_click_push_event.xml": Click("EVENTKEY"),
    "skit_image_message_event.xml": Media,
    "senparc_voice.xml": Media,
    "senparc_location.xml": Media,
    "senparc_link.xml": Media,
    "skit_template_send_job_finish_event.xml": SendReport("200163836", SendOutcome.DELIVERED, detail="success"),
    "skit_subscribe_message_sent_event.xml": SendReport(
        "1700827132819554304", SendOutcome.DELIVERED, "VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc", "0 success"
    ),
    "wxjava_mp_sub_msg_change_from_xml.xml": SubscribeGrants(
        {"VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc": SubscribeChoice.REJECT}, managed=True
    ),
}


def entries(outside: Path, folder: str, origin: str) -> Iterator[dict[str, Any]]:
    manifest = json.loads((outside / "protocol/manifest.json").read_text())
    for entry in manifest["entries"]:
        if entry["file"].startswith(f"{folder}/") and entry["origin"] == origin:
            yield entry


def read(body: bytes) -> tuple[Inbound, ...]:
    return messages_of(parse(body), TO, received_at=AT)


def expected_facts(text: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(", ") if "=" in part)


def test_every_public_push_is_read_as_its_index_says(outside: Path) -> None:
    seen = 0
    for entry in entries(outside, "oa", "public"):
        name = entry["file"].removeprefix("oa/")
        if "MsgType=" not in entry.get("expected", "") or "hostile" in name:
            continue
        seen += 1
        facts = expected_facts(entry["expected"])
        (message, *_rest) = read((outside / "protocol" / entry["file"]).read_bytes())
        assert message.sent_at == datetime.fromtimestamp(int(facts["CreateTime"]), UTC), name
        assert message.sender.external_id == facts["From"], name
        if facts["MsgType"] != "event":
            assert message.key == facts["MsgId"], name
        elif isinstance(message.content, Unhandled):
            assert message.content.recognised, name
            assert message.content.kind == facts["Event"].lower(), name
        meant = MEANING.get(name)
        assert meant is None or message.content == meant or type(message.content) is meant, name
    assert seen > 50


def channel_for(query: dict[str, str], **changes: Any) -> WechatOfficialAccount:
    values: dict[str, Any] = {
        "app_id": query.get("receive_id", "wx1"),
        "token": query.get("token", "t"),
        "encoding_aes_key": query.get("encoding_aes_key", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"),
        **changes,
    }
    return WechatOfficialAccount(account(**values), PlatformHttp(), remembered)


def test_every_hostile_push_is_refused_or_harmless_within_50_ms(outside: Path) -> None:
    seen = 0
    for entry in entries(outside, "oa", "own"):
        if not entry["file"].endswith(".xml"):
            continue
        seen += 1
        body = (outside / "protocol" / entry["file"]).read_bytes()
        query = entry.get("query")
        if query is not None:
            channel = channel_for(query)
            request = RawRequest("POST", query, {}, body, AT)
        else:
            channel = channel_for({}, plain_mode=True, encoding_aes_key="")
            request = in_clear(body, at=AT, token="t")
        started = time.perf_counter()
        try:
            outcome = channel.open(request)
        except (Forged, Malformed):
            outcome = None
        assert time.perf_counter() - started < 0.05, entry["file"]
        if entry["expected"].startswith("accept") and not entry["expected"].startswith("accept or"):
            assert isinstance(outcome, Delivery), entry["file"]
        elif entry["expected"].startswith("reject") and not entry["expected"].startswith("reject or"):
            assert outcome is None, entry["file"]
    assert seen > 30


@pytest.mark.parametrize(
    ("name", "text"),
    [("hostile_cdata_split", "a]]>b"), ("hostile_numeric_entities", "😀你&<b>")],
)
def test_text_that_tests_the_parser_is_read_exactly(outside: Path, name: str, text: str) -> None:
    (message,) = read((outside / f"protocol/oa/{name}.xml").read_bytes())
    assert message.content == Text(text)


def test_an_encrypted_push_opens_and_its_scene_is_read(outside: Path) -> None:
    contents = []
    for entry in entries(outside, "oa", "own"):
        if entry["file"].startswith("oa/enc_own"):
            body = (outside / "protocol" / entry["file"]).read_bytes()
            delivery = channel_for(entry["query"]).open(RawRequest("POST", entry["query"], {}, body, AT))
            assert isinstance(delivery, Delivery)
            contents.append(delivery.messages[0].content)
    assert contents == [Text("encrypted hello"), Follow("store42")]


def test_three_events_of_one_second_have_three_keys(outside: Path) -> None:
    bodies = json.loads((outside / "protocol/oa/hostile_event_same_second.json").read_text())
    assert len({read(body.encode())[0].key for body in bodies}) == 3


def test_a_message_id_that_comes_again_is_the_same_key(outside: Path) -> None:
    bodies = json.loads((outside / "protocol/oa/hostile_msgid_equal_content_differs.json").read_text())
    assert len({read(body.encode())[0].key for body in bodies}) == 1


def test_a_replay_has_the_same_key_inside_the_window_and_is_forged_outside(outside: Path) -> None:
    replay = json.loads((outside / "protocol/oa/hostile_replayed_twice.json").read_text())
    channel = channel_for(replay["query"])
    request = RawRequest("POST", replay["query"], {}, replay["body"].encode(), AT)
    first, second = channel.open(request), channel.open(request)
    assert isinstance(first, Delivery)
    assert first == second
    with pytest.raises(Forged):
        channel.open(RawRequest("POST", replay["query"], {}, replay["body"].encode(), AT + timedelta(hours=1)))


def test_page_signatures_agree(outside: Path) -> None:
    for vector in json.loads((outside / "protocol/oa/sig_jssdk.json").read_text()):
        made = page_signature(
            vector["jsapi_ticket"], vector["noncestr"], int(vector["timestamp"]), vector["url"] + "#there"
        )
        assert made == vector["signature"]


def test_a_revocation_is_about_the_person_it_names(outside: Path) -> None:
    (message,) = read((outside / "protocol/miniprogram/skit_user_authorization_revoke_event.xml").read_bytes())
    assert message.sender.external_id == "owAqB1nqaOYYWl0Ng484G2z5NIwU"
    assert message.content == AuthorisationRevoked(("1",))
