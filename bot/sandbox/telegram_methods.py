"""Bot API methods about messages."""

from typing import Any

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.telegram_door import Method, TelegramCall, bot_object, chat_object
from bot.sandbox.telegram_keyboard import keyboard_buttons, parsed
from bot.sandbox.telegram_state import Message, TelegramState
from bot.sandbox.telegram_text import shown_text, utf16_length
from bot.sandbox.wechat_media import keep_media
from bot.sandbox.world import Line, Person, opaque

TEXT_LONGEST = 4096
CAPTION_LONGEST = 1024
ANSWER_LONGEST = 200
MESSAGES_KEPT = 2000
ACTIONS = frozenset(
    [
        *("typing", "choose_sticker", "find_location"),
        *("upload_photo", "upload_video", "upload_voice", "upload_document", "upload_video_note"),
        *("record_video", "record_voice", "record_video_note"),
    ]
)
NOT_MODIFIED = (
    "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a"
    " current content and reply markup of the message"
)


def remember(stage: Stage, state: TelegramState, key: str, message: Message) -> dict[str, Any]:
    """Give a message its number and keep it so that it can be edited and pressed."""
    number = stage.world.next(f"message {key}")
    message.payload = {"message_id": number, **message.payload}
    state.messages[number] = message
    for old in list(state.messages)[:-MESSAGES_KEPT]:
        del state.messages[old]
    if line := stage.screens.find(message.person, message.line):
        line.data = {**line.data, "message_id": number}
    return message.payload


def _text(call: TelegramCall, name: str, longest: int) -> str:
    shown = shown_text(call.text(name), call.text("parse_mode")).strip()
    if utf16_length(shown) > longest:
        what = "message caption is too long" if name == "caption" else "message is too long"
        raise PlatformError(400, f"Bad Request: {what}")
    return shown


def _compose(call: TelegramCall, person: Person, line: Line, content: dict[str, Any]) -> dict[str, Any]:
    payload = {"from": bot_object(call.account), "chat": chat_object(person), "date": int(call.stage.clock.wire())}
    payload |= content
    markup = parsed(call.params.get("reply_markup"))
    if markup and "inline_keyboard" in markup:
        payload["reply_markup"] = markup
    return remember(call.stage, call.state, call.account.key, Message(person.id, line.id, True, payload))


def send_message(call: TelegramCall) -> dict[str, Any]:
    """Send a text."""
    person, chat = call.chat()
    text = _text(call, "text", TEXT_LONGEST)
    if not text:
        raise PlatformError(400, "Bad Request: message text is empty")
    buttons = keyboard_buttons(parsed(call.params.get("reply_markup")))
    call.spend(chat)
    data = {"message": dict(call.params)}
    line = call.stage.screens.show(person.id, call.where, "account", "text", text, buttons=buttons, data=data)
    return _compose(call, person, line, {"text": text})


def send_photo(call: TelegramCall) -> dict[str, Any]:
    """Send a picture: uploaded, by URL, or by file_id."""
    person, chat = call.chat()
    caption = _text(call, "caption", CAPTION_LONGEST)
    buttons = keyboard_buttons(parsed(call.params.get("reply_markup")))
    url, file_id, size = _photo(call)
    call.spend(chat)
    data = {"url": url, "message": {key: value for key, value in call.params.items() if key != "photo"}}
    line = call.stage.screens.show(
        person.id, call.where, "account", "photo", caption or "[图片]", buttons=buttons, data=data
    )
    photo = {"file_id": file_id, "file_unique_id": file_id[:12], "width": 430, "height": 430, "file_size": size}
    return _compose(call, person, line, {"photo": [photo], **({"caption": caption} if caption else {})})


def _photo(call: TelegramCall) -> tuple[str, str, int]:
    upload = next(iter(call.uploads), None)
    base = call.stage.config.public_base
    if upload is not None:
        media = keep_media(call.stage, "image", upload.content_type, upload.content)
        return (f"{base}/control/media/{media.media_id}", media.media_id, len(upload.content))
    given = call.text("photo")
    if given.startswith(("http://", "https://")):
        return given, opaque(40), 0
    if given in call.stage.world.media:
        return f"{base}/control/media/{given}", given, 0
    raise PlatformError(
        400, "Bad Request: there is no photo in the request" if not given else "Bad Request: wrong file"
    )


def _editable(call: TelegramCall) -> tuple[Message, Line]:
    person, _ = call.chat()
    message = call.state.messages.get(call.number("message_id"))
    if message is None or message.person != person.id:
        raise PlatformError(400, "Bad Request: message to edit not found")
    if not message.from_bot:
        raise PlatformError(400, "Bad Request: message can't be edited")
    line = call.stage.screens.find(message.person, message.line)
    if line is None or line.state == "deleted":
        raise PlatformError(400, "Bad Request: message to edit not found")
    return message, line


def _replace(call: TelegramCall, message: Message, line: Line, content: dict[str, str]) -> dict[str, Any]:
    markup = parsed(call.params.get("reply_markup"))
    buttons = keyboard_buttons(markup)
    before = (message.payload.get("text"), message.payload.get("caption"), message.payload.get("reply_markup"))
    after = {**message.payload, **content}
    after.pop("reply_markup", None)
    if markup and markup.get("inline_keyboard"):
        after["reply_markup"] = markup
    if before == (after.get("text"), after.get("caption"), after.get("reply_markup")):
        raise PlatformError(400, NOT_MODIFIED)
    message.payload = {**after, "edit_date": int(call.stage.clock.wire())}
    line.text, line.buttons, line.state = (next(iter(content.values()), line.text), buttons, "edited")
    call.stage.screens.changed(message.person, line)
    return message.payload


def edit_text(call: TelegramCall) -> dict[str, Any]:
    """Replace text and inline keyboard."""
    message, line = _editable(call)
    text = _text(call, "text", TEXT_LONGEST)
    if not text:
        raise PlatformError(400, "Bad Request: message text is empty")
    if "text" not in message.payload:
        raise PlatformError(400, "Bad Request: there is no text in the message to edit")
    return _replace(call, message, line, {"text": text})


def edit_caption(call: TelegramCall) -> dict[str, Any]:
    """Replace caption and inline keyboard."""
    message, line = _editable(call)
    return _replace(call, message, line, {"caption": _text(call, "caption", CAPTION_LONGEST)})


def edit_markup(call: TelegramCall) -> dict[str, Any]:
    """Replace the inline keyboard only."""
    message, line = _editable(call)
    return _replace(call, message, line, {})


def delete_message(call: TelegramCall) -> bool:
    """Take a message away."""
    person, _ = call.chat()
    message = call.state.messages.pop(call.number("message_id"), None)
    if message is None or message.person != person.id:
        raise PlatformError(400, "Bad Request: message to delete not found")
    if line := call.stage.screens.find(person.id, message.line):
        line.state, line.text, line.buttons = "deleted", "（消息已删除）", []
        call.stage.screens.changed(person.id, line)
    return True


def answer_query(call: TelegramCall) -> bool:
    """Stop the button's spinner, with a toast when there is text."""
    query = call.state.queries.get(call.text("callback_query_id"))
    if query is None or query.answered or query.expires_at <= call.now:
        why = "query is too old and response timeout expired or query ID is invalid"
        raise PlatformError(400, f"Bad Request: {why}")
    text = call.text("text")
    if utf16_length(text) > ANSWER_LONGEST:
        raise PlatformError(400, "Bad Request: MESSAGE_TOO_LONG")
    query.answered = True
    call.incoming.person = query.person
    if text:
        data = {"alert": bool(call.value("show_alert"))}
        call.stage.screens.show(query.person, call.where, "system", "notice", text, data=data)
    return True


def chat_action(call: TelegramCall) -> bool:
    """“typing…” and the like."""
    call.chat()
    if call.text("action") not in ACTIONS:
        raise PlatformError(400, "Bad Request: wrong parameter action in request")
    return True


METHODS: dict[str, Method] = {
    "sendmessage": send_message,
    "sendphoto": send_photo,
    "editmessagetext": edit_text,
    "editmessagecaption": edit_caption,
    "editmessagereplymarkup": edit_markup,
    "deletemessage": delete_message,
    "answercallbackquery": answer_query,
    "sendchataction": chat_action,
}
