import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Malformed
from bot.strict_json import parse_object
from bot.telegram import codec
from bot.telegram.codec import BotIdentity, decode_update, message_parameters
from handlers.messages import (
    Ask,
    Button,
    Card,
    CardRow,
    Click,
    Follow,
    Inbound,
    Media,
    Reply,
    SenderKind,
    SharedContact,
    Text,
    Unfollow,
    Unhandled,
)
from loyalty.errors import Bug
from tests.bot.telegram.platform_side import chat_member, message, person, press

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
BOT = BotIdentity(account="main", app_id="7000000001", username="xiaohui_bot")
PAYLOADS = Path(__file__).parent / "payloads"


def decoded(update: dict[str, Any]) -> Inbound:
    return decode_update(update, bot=BOT, received_at=NOW)


def test_words_of_a_person() -> None:
    inbound = decoded(message(at=NOW, text="签到"))
    assert inbound.content == Text("签到")
    assert inbound.key == "100"
    assert inbound.sent_at == NOW
    sender = inbound.sender
    assert (sender.channel, sender.account, sender.app_id, sender.external_id) == (
        "telegram",
        "main",
        "7000000001",
        "42",
    )
    assert (sender.kind, sender.locale, sender.union_id) == (SenderKind.MEMBER, "zh-hans", None)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("/start", Follow()),
        ("/start qr_shop-7", Follow(scene="qr_shop-7")),
        ("/start@xiaohui_bot qr", Follow(scene="qr")),
        ("/start ../../'; DROP TABLE x;--", Follow()),
        ("/start " + "A" * 65, Follow()),
        ("/Points", Text("/points")),
        ("/points@Xiaohui_Bot", Text("/points")),
        ("/points@another_bot", Text("/points@another_bot")),
        ("/redeem ABC 1", Text("/redeem ABC 1")),
        ("/ 签到", Text("/ 签到")),
        ("a\x00b", Text("a\ufffdb")),
        ("", Text("")),
    ],
)
def test_commands_and_start_payloads(text: str, content: object) -> None:
    assert decoded(message(at=NOW, text=text)).content == content


def test_a_bot_without_configured_name_answers_to_any() -> None:
    nameless = BotIdentity(account="main", app_id="7")
    update: dict[str, Any] = message(at=NOW, text="/points@whatever_bot")
    assert decode_update(update, bot=nameless, received_at=NOW).content == Text("/points")


def test_only_the_senders_own_contact_is_their_number() -> None:
    own: dict[str, Any] = {"phone_number": "8613800138000", "first_name": "A", "user_id": 42}
    assert decoded(message(at=NOW, contact=own)).content == SharedContact("8613800138000")
    for foreign in ({**own, "user_id": 43}, {"phone_number": "8613800138000"}):
        content = decoded(message(at=NOW, contact=foreign)).content
        assert isinstance(content, Unhandled)
        assert "13800138000" not in str(content)


@pytest.mark.parametrize(
    ("parts", "content"),
    [
        (
            {"photo": [{"file_id": "small"}, {"file_id": "large"}], "caption": "小票"},
            Media("photo", {"file_id": "large", "caption": "小票"}),
        ),
        (
            {"voice": {"file_id": "v", "mime_type": "audio/ogg"}},
            Media("voice", {"file_id": "v", "mime_type": "audio/ogg"}),
        ),
        (
            {"venue": {"location": {"latitude": 31.2, "longitude": 121.5}, "title": "店"}, "location": {}},
            Media("venue", {"latitude": "31.2", "longitude": "121.5", "title": "店"}),
        ),
        ({"location": {"latitude": 31, "longitude": 121}}, Media("location", {"latitude": "31", "longitude": "121"})),
        ({"photo": []}, Media("photo", {})),
        ({"write_access_allowed": {"web_app_name": "x"}}, Follow()),
        ({"dice": {"value": 6}}, Unhandled("message", recognised=False, fields={"parts": "dice"})),
    ],
)
def test_media_and_service_messages(parts: dict[str, Any], content: object) -> None:
    assert decoded(message(at=NOW, **parts)).content == content


def test_a_press_belongs_to_whoever_pressed() -> None:
    eve = decoded(press("redeem:7", presser=666, chat={"id": -100123, "type": "supergroup"}))
    assert eve.sender.external_id == "666"
    assert eve.content == Click("redeem:7", token="4382bfdwdsb323b2d9")
    assert eve.sent_at == NOW


def test_blocking_and_unblocking() -> None:
    assert decoded(chat_member("kicked", at=NOW)).content == Unfollow()
    assert decoded(chat_member("member", at=NOW)).content == Follow()
    group = decoded(chat_member("kicked", at=NOW, chat_type="supergroup", chat_id=-100123))
    assert group.content == Unhandled("my_chat_member", recognised=True, fields={"status": "kicked"})


def test_groups_are_not_a_place_for_membership() -> None:
    update = message(at=NOW, text="/points", chat={"id": -100123, "type": "supergroup"})
    assert decoded(update).content == Unhandled("message", recognised=True, fields={"chat": "supergroup"})


def test_bots_and_channels_have_no_member() -> None:
    for update in (
        message(at=NOW, text="spam", sender=person(is_bot=True)),
        {"update_id": 1, "channel_post": {"date": 1, "chat": {"id": -1}, "text": "news"}},
    ):
        inbound = decoded(update)
        assert inbound.sender.kind is SenderKind.PLATFORM
        assert isinstance(inbound.content, Unhandled)


@pytest.mark.parametrize("kind", codec.UPDATE_KINDS)
def test_every_kind_of_update_is_recognised(kind: str) -> None:
    content = decoded({"update_id": 1, kind: {"user": person()}}).content
    assert not isinstance(content, Unhandled) or content.recognised or kind == "message"


def test_a_kind_from_the_future_is_kept_by_name() -> None:
    assert decoded({"update_id": 1, "telepathy": {}}).content == Unhandled("telepathy", recognised=False)
    assert decoded({"update_id": 1}).content == Unhandled("update", recognised=False)


@pytest.mark.parametrize("update_id", [None, "7", 1.5, True])
def test_an_update_that_cannot_be_told_from_its_repeat_is_refused(update_id: object) -> None:
    with pytest.raises(Malformed):
        decoded({"update_id": update_id, "message": {}})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["from", "chat", "id", "text", "date", "contact", "user_id", "photo", "data", "new_chat_member"]
)


@given(kind=st.sampled_from(codec.UPDATE_KINDS), body=json_values | st.dictionaries(fields, json_values, max_size=6))
def test_odd_fields_never_raise(kind: str, body: Any) -> None:
    inbound = decoded({"update_id": 1, kind: body})
    json.dumps(str(inbound.content)).encode()


@pytest.mark.parametrize("path", sorted(PAYLOADS.glob("*.json")), ids=lambda path: path.stem)
def test_own_payloads(path: Path) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    inbound = decoded(case["update"])
    assert (type(inbound.content).__name__, inbound.key) == (case["content"], case["key"])


@pytest.mark.outside
def test_public_updates_are_recognised(outside: Path) -> None:
    files = sorted((outside / "protocol/telegram").glob("update_*.json"))
    assert len(files) >= 14
    for file in files:
        update = parse_object(file.read_bytes(), allow_duplicates=True)
        inbound = decoded(update)
        assert inbound.key == str(update["update_id"]), file.name
        assert not isinstance(inbound.content, Unhandled) or inbound.content.recognised, file.name


@pytest.mark.outside
def test_hostile_updates_do_no_harm(outside: Path) -> None:
    def content_of(name: str) -> object:
        return decoded(parse_object((outside / "protocol/telegram" / name).read_bytes())).content

    assert content_of("hostile_start_payload_illegal.json") == Follow()
    assert content_of("hostile_callback_inaccessible.json") == Click("menu", token="2")
    assert content_of("own_update_kicked.json") == Unfollow()
    assert isinstance(content_of("own_update_contact_foreign.json"), Unhandled)
    stranger = decoded(parse_object((outside / "protocol/telegram/hostile_callback_foreign_user.json").read_bytes()))
    assert stranger.sender.external_id == "666"


def test_reply_is_plain_text_with_buttons_below() -> None:
    reply = Reply(
        text="<b>]]>\"' 😀 \u202e", buttons=(Button("积分", key="points"), Button("官网", url="https://e.cn/x"))
    )
    parameters = message_parameters("42", reply)
    assert parameters["text"] == reply.text
    assert "parse_mode" not in parameters
    assert parameters["reply_markup"] == {
        "inline_keyboard": [
            [{"text": "积分", "callback_data": "points"}],
            [{"text": "官网", "url": "https://e.cn/x"}],
        ]
    }


def test_member_pages_open_as_mini_app() -> None:
    reply = Reply(text="卡", buttons=(Button("会员卡", url="https://m.example.cn/m/card"),))
    parameters = message_parameters("42", reply, mini_app_url="https://m.example.cn/m/")
    assert parameters["reply_markup"] == {
        "inline_keyboard": [[{"text": "会员卡", "web_app": {"url": "https://m.example.cn/m/card"}}]]
    }


def test_card_title_is_bold_by_position() -> None:
    card = Card(title="券 😀", rows=(CardRow("有效期", "明天"),), body="到店出示")
    parameters = message_parameters("42", Reply(text="😀 请看", card=card))
    assert parameters["text"] == "😀 请看\n\n券 😀\n有效期  明天\n到店出示"
    assert parameters["entities"] == [{"type": "bold", "offset": 7, "length": 4}]


def test_asking_for_the_contact_uses_the_label_given() -> None:
    reply = Reply(text="注册", ask=Ask.SHARE_CONTACT, buttons=(Button("分享手机号"),))
    keyboard = message_parameters("42", reply)["reply_markup"]
    assert keyboard == {
        "keyboard": [[{"text": "分享手机号", "request_contact": True}]],
        "resize_keyboard": True,
        "one_time_keyboard": True,
    }


def test_a_button_key_beyond_64_bytes_is_our_bug() -> None:
    with pytest.raises(Bug):
        message_parameters("42", Reply(text="x", buttons=(Button("y", key="键" * 22),)))


@given(st.text(max_size=60), st.integers(min_value=1, max_value=40))
def test_clipping_keeps_the_limit_and_whole_characters(text: str, units: int) -> None:
    clipped = codec.clip(text, units)
    assert len(clipped.encode("utf-16-le")) <= 2 * units
    assert clipped == text or clipped.endswith("…") or "\ufffd" in clipped
