"""Telegram: updates with the secret, methods with their refusals, replies in the webhook answer, order, retries."""

import json
from typing import Any

import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup

from tests.bot.sandbox.town import BOT_TOKEN


async def chat_id(town: Any, person: str = "lin") -> int:
    return int((await town.person(person))["telegram"]["id"])


async def started(town: Any) -> int:
    await town.act("lin", "telegram/start")
    return await chat_id(town)


async def test_start_carries_payload_and_secret(town: Any) -> None:
    done = await town.act("lin", "telegram/start", payload="ref_1")
    inbound = town.product.inbound[0]
    message = inbound.message["message"]
    assert message["text"] == "/start ref_1"
    assert message["entities"] == [{"type": "bot_command", "offset": 0, "length": 6}]
    assert message["chat"]["id"] == message["from"]["id"] == await chat_id(town)
    assert inbound.headers["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"
    assert done["delivery"]["message_id"] == str(inbound.message["update_id"])
    await town.act("lin", "telegram/say", text="积分")
    assert town.product.inbound[1].message["update_id"] == inbound.message["update_id"] + 1


async def test_a_bot_cannot_write_first_nor_after_a_block(town: Any) -> None:
    number = await chat_id(town)
    refused = await town.telegram("sendMessage", chat_id=number, text="hi")
    assert (refused["error_code"], refused["description"]) == (
        403,
        "Forbidden: bot can't initiate conversation with a user",
    )
    await started(town)
    assert (await town.telegram("sendMessage", chat_id=number, text="hi"))["ok"]
    await town.act("lin", "telegram/block")
    change = town.product.inbound[-1].message["my_chat_member"]
    assert change["new_chat_member"]["status"] == "kicked"
    blocked = await town.telegram("sendMessage", chat_id=number, text="hi")
    assert blocked["description"] == "Forbidden: bot was blocked by the user"
    await town.act("lin", "telegram/say", status=409, text="hi")
    await town.act("lin", "telegram/start")
    statuses = [list(inbound.message)[1] for inbound in town.product.inbound]
    assert statuses == ["message", "my_chat_member", "my_chat_member", "message"]
    assert (await town.telegram("sendMessage", chat_id=number, text="hi"))["ok"]


KEYBOARD = {
    "inline_keyboard": [[{"text": "签到", "callback_data": "v1:checkin"}, {"text": "网", "url": "https://x.example"}]]
}


async def test_an_inline_button_is_pressed_answered_and_edited(town: Any) -> None:
    number = await started(town)
    sent = await town.telegram("sendMessage", chat_id=number, text="选一个", reply_markup=KEYBOARD)
    line = (await town.lines("lin"))[-1]
    assert [(b["kind"], b["row"]) for b in line["buttons"]] == [("callback", 0), ("url", 0)]
    await town.act("lin", "telegram/tap", line=line["id"], button="0")
    query = town.product.inbound[-1].message["callback_query"]
    assert (query["data"], query["message"]["message_id"]) == ("v1:checkin", sent["result"]["message_id"])
    assert (await town.telegram("answerCallbackQuery", callback_query_id=query["id"], text="好"))["ok"]
    again = await town.telegram("answerCallbackQuery", callback_query_id=query["id"])
    assert "query is too old" in again["description"]
    edit = {"chat_id": number, "message_id": sent["result"]["message_id"], "text": "已签到"}
    assert (await town.telegram("editMessageText", **edit))["result"]["text"] == "已签到"
    assert "message is not modified" in (await town.telegram("editMessageText", **edit))["description"]
    lines = await town.lines("lin")
    edited = next(line_ for line_ in lines if line_["id"] == line["id"])
    assert (edited["text"], edited["state"], edited["buttons"]) == ("已签到", "edited", [])
    assert lines[-1]["text"] == "好"


async def test_queries_expire(town: Any) -> None:
    number = await started(town)
    await town.telegram("sendMessage", chat_id=number, text="x", reply_markup=KEYBOARD)
    await town.act("lin", "telegram/tap", line=(await town.lines("lin"))[-1]["id"], button="0")
    query = town.product.inbound[-1].message["callback_query"]
    await town.control("POST", "/clock", advance_s=60)
    assert not (await town.telegram("answerCallbackQuery", callback_query_id=query["id"]))["ok"]


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        ({"text": ""}, "message text is empty"),
        ({"text": "字" * 4097}, "message is too long"),
        ({"text": "😀" * 2049}, "message is too long"),
        ({"chat_id": 42}, "chat not found"),
        ({"chat_id": ""}, "chat_id is empty"),
        ({"text": "<b>x", "parse_mode": "HTML"}, "can't parse entities"),
        ({"text": "<x>x</x>", "parse_mode": "HTML"}, "Unsupported start tag"),
        ({"text": "a.b", "parse_mode": "MarkdownV2"}, "is reserved and must be escaped"),
        ({"text": "*a", "parse_mode": "MarkdownV2"}, "Can't find end"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": "x" * 65}]]}}, "BUTTON_DATA_INVALID"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "a", "callback_data": ""}]]}}, "BUTTON_DATA_INVALID"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "a", "url": "nowhere"}]]}}, "Wrong HTTP URL"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "a", "web_app": {"url": "http://x.org"}}]]}}, "Only HTTPS"),
        ({"reply_markup": {"inline_keyboard": [[{"text": "a"}]]}}, "Text buttons are unallowed"),
        ({"reply_markup": "{"}, "can't parse reply keyboard"),
    ],
)
async def test_refused_messages(town: Any, changes: dict[str, Any], description: str) -> None:
    number = await started(town)
    answer = await town.telegram("sendMessage", **({"chat_id": number, "text": "hi"} | changes))
    assert (answer["ok"], answer["error_code"]) == (False, 400)
    assert description in answer["description"]


@pytest.mark.parametrize(
    ("text", "mode", "shown"),
    [
        ("<b>积分</b> &lt;3 <a href='https://x'>看</a>", "HTML", "积分 <3 看"),
        (r"*积分* 1\.5 \- [看](https://x.example/a_b)", "MarkdownV2", "积分 1.5 - 看"),
        ("1.5 <b>", "", "1.5 <b>"),
    ],
)
async def test_markup_is_shown_as_text(town: Any, text: str, mode: str, shown: str) -> None:
    number = await started(town)
    assert (await town.telegram("sendMessage", chat_id=number, text=text, parse_mode=mode))["ok"]
    assert (await town.lines("lin"))[-1]["text"] == shown


async def test_rates_name_the_seconds_to_wait(town: Any) -> None:
    number = await started(town)
    answers = [await town.telegram("sendMessage", chat_id=number, text=str(i)) for i in range(4)]
    assert [answer["ok"] for answer in answers] == [True, True, True, False]
    assert answers[-1]["error_code"] == 429
    wait = answers[-1]["parameters"]["retry_after"]
    await town.control("POST", "/clock", advance_s=wait)
    assert (await town.telegram("sendMessage", chat_id=number, text="x"))["ok"]


async def test_a_webhook_answer_can_be_a_method_call(town: Any) -> None:
    number = await chat_id(town)
    call = {"method": "sendMessage", "chat_id": number, "text": "欢迎"}
    town.product.reply = lambda _: json.dumps(call)
    done = await town.act("lin", "telegram/start")
    assert [line["text"] for line in done["lines"]] == ["/start", "欢迎"]
    entries = (await town.control("GET", "/wire"))["entries"]
    assert entries[-1]["method"] == "REPLY" or entries[-2]["method"] == "REPLY"


async def test_updates_wait_in_order_until_the_bot_takes_them(town: Any) -> None:
    town.product.statuses = [500, 500, 500]
    failed = await town.act("lin", "telegram/start")
    assert failed["delivery"]["result"] == "failed"
    info = (await town.telegram("getWebhookInfo"))["result"]
    assert info["pending_update_count"] == 1
    assert "500" in info["last_error_message"]
    first = town.product.inbound[0].message["update_id"]
    town.product.inbound.clear()
    await town.act("lin", "telegram/say", text="在吗")
    assert [inbound.message["update_id"] for inbound in town.product.inbound] == [first, first + 1]
    assert (await town.telegram("getWebhookInfo"))["result"]["pending_update_count"] == 0


async def test_contacts_own_and_foreign(town: Any) -> None:
    await started(town)
    await town.act("lin", "telegram/share_contact")
    contact = town.product.inbound[-1].message["message"]["contact"]
    assert (contact["phone_number"], contact["user_id"]) == ("8613800000001", await chat_id(town))
    await town.act("lin", "telegram/share_contact", of="mei")
    message = town.product.inbound[-1].message["message"]
    assert message["contact"]["user_id"] != message["from"]["id"]


async def test_webhook_settings(town: Any) -> None:
    assert "HTTPS" in (await town.telegram("setWebhook", url="http://shop.example/x"))["description"]
    bad = await town.telegram("setWebhook", url="https://shop.example/x", secret_token="a b")
    assert "unallowed characters" in bad["description"]
    assert (await town.telegram("getUpdates"))["error_code"] == 409
    assert (await town.telegram("deleteWebhook"))["result"] is True
    await town.act("lin", "telegram/start")
    assert not town.product.inbound
    (update,) = (await town.telegram("getUpdates"))["result"]
    assert (await town.telegram("getUpdates", offset=update["update_id"] + 1))["result"] == []


async def test_updates_that_were_not_asked_for_do_not_come(town: Any) -> None:
    hook = town.config.telegram[0].callback_url
    await town.telegram("setWebhook", url=hook, allowed_updates=["callback_query"])
    assert (await town.act("lin", "telegram/start"))["delivery"]["result"] == "none"
    assert not town.product.inbound


async def test_unknown_bot_and_method(town: Any) -> None:
    assert (await town.raw("/platform/telegram/bot1:x/getMe", None, {}))["error_code"] == 401
    assert (await town.telegram("sendDice"))["error_code"] == 404


async def test_commands(town: Any) -> None:
    commands = [{"command": "checkin", "description": "签到"}]
    assert (await town.telegram("setMyCommands", commands=commands))["ok"]
    screen = await town.control("GET", "/people/lin/screen")
    assert screen["channels"]["telegram"]["main"]["commands"] == commands
    english = [{"command": "checkin", "description": "Check in"}]
    await town.telegram("setMyCommands", commands=english, language_code="en")
    for person, shown in [("lin", commands), ("mei", english)]:
        screen = await town.control("GET", f"/people/{person}/screen")
        assert screen["channels"]["telegram"]["main"]["commands"] == shown
    bad = [{"command": "Check In", "description": "x"}]
    assert "BOT_COMMAND_INVALID" in (await town.telegram("setMyCommands", commands=bad))["description"]


async def test_the_usual_library_talks_to_it(town: Any) -> None:
    number = await started(town)
    base = str(town.http._base_url).rstrip("/") + "/platform/telegram"
    async with Bot(BOT_TOKEN, base_url=base + "/bot", base_file_url=base + "/file/bot") as bot:
        assert bot.username == "xiaohui_bot"
        markup = InlineKeyboardMarkup([[InlineKeyboardButton("签到", callback_data="c")]])
        message = await bot.send_message(number, "<b>你好</b>", parse_mode="HTML", reply_markup=markup)
        await bot.edit_message_reply_markup(number, message.message_id)
        photo = await bot.send_photo(number, b"\x89PNG bytes", caption="码")
        file = await bot.get_file(photo.photo[-1].file_id)
        assert bytes(await file.download_as_bytearray()) == b"\x89PNG bytes"
        await bot.delete_message(number, message.message_id)
    lines = await town.lines("lin")
    assert [line["state"] for line in lines] == ["", "deleted", ""]
