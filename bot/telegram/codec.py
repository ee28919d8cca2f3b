"""Telegram updates to neutral messages, and replies to Bot API parameters. Pure: no network, no clock."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bot.channel import Malformed
from bot.strict_json import Json, storable
from handlers.messages import (
    Ask,
    Button,
    Card,
    Click,
    Content,
    Follow,
    Inbound,
    Media,
    Reply,
    Sender,
    SenderKind,
    SharedContact,
    Text,
    Unfollow,
    Unhandled,
)
from loyalty.errors import ensure

MAX_TEXT_UNITS: Final = 4096
"""Longest message text, in UTF-16 code units."""

MAX_CALLBACK_DATA_BYTES: Final = 64
MAX_NOTICE_CHARACTERS: Final = 200
"""Longest text shown over a pressed button."""

SHARE_CONTACT_FALLBACK: Final = "📱"

UPDATE_KINDS: Final = (
    "message",
    "callback_query",
    "my_chat_member",
    "edited_message",
    "channel_post",
    "edited_channel_post",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
    "message_reaction",
    "message_reaction_count",
    "inline_query",
    "chosen_inline_result",
    "shipping_query",
    "pre_checkout_query",
    "purchased_paid_media",
    "poll",
    "poll_answer",
    "chat_member",
    "chat_join_request",
    "chat_boost",
    "removed_chat_boost",
)
"""Every kind of update that the Bot API names; where a faulty update carries several, the first one here counts."""

MEDIA_KINDS: Final = (
    "photo",
    "voice",
    "video",
    "video_note",
    "animation",
    "audio",
    "document",
    "sticker",
    "venue",
    "location",
)
"""Kinds of media in a message; `animation` and `venue` repeat themselves as document and location: they come first."""

_START_PAYLOAD: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_COMMAND: Final = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]{1,32}))?(?:\s+(.*))?", re.ASCII | re.DOTALL)
_LARGEST_TIMESTAMP: Final = 99_999_999_999

_PLATFORM_ID: Final = "telegram"
_LEFT: Final = frozenset({"kicked", "left"})

Node = Mapping[str, Json]
_EMPTY: Final[Node] = {}


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Which bot an update belongs to: our account name, the bot's numeric id, and its user name if configured."""

    account: str
    app_id: str
    username: str = ""


def decode_update(update: Node, *, bot: BotIdentity, received_at: datetime) -> Inbound:
    """The neutral message of one update. Fields that are unknown, missing or odd never raise.

    Raises:
        Malformed: `update_id` is not a number, so that a repeat could not be recognised.
    """
    update_id = update.get("update_id")
    if not isinstance(update_id, int) or isinstance(update_id, bool):
        raise Malformed("update_id is not a number")
    kind = next((name for name in UPDATE_KINDS if name in update), None)
    body = _node(update.get(kind)) if kind else _EMPTY
    sender = _sender(body, bot)
    decode = _DECODERS.get(kind or "")
    if kind is None or decode is None or sender.kind is not SenderKind.MEMBER:
        unknown = next((name for name in update if name != "update_id"), "update")
        content: Content = Unhandled(kind or storable(unknown), recognised=kind is not None)
    else:
        content = decode(body, sender, bot)
    return Inbound(sender=sender, key=str(update_id), sent_at=_moment(body.get("date"), received_at), content=content)


def _message(message: Node, sender: Sender, bot: BotIdentity) -> Content:
    if not _is_private(message, sender):
        return Unhandled("message", recognised=True, fields={"chat": _text(_node(message.get("chat")).get("type"))})
    text = message.get("text")
    if isinstance(text, str):
        return _spoken(storable(text), bot)
    if "contact" in message:
        return _contact(_node(message.get("contact")), sender)
    if "write_access_allowed" in message:
        return Follow()
    for kind in MEDIA_KINDS:
        if kind in message:
            return Media(kind, _media_fields(kind, message))
    return Unhandled("message", recognised=False, fields={"parts": _parts(message)})


def _callback_query(query: Node, _sender: Sender, _bot: BotIdentity) -> Content:
    # Anybody in a group may press, and `data` is only what we once wrote on the button: the presser is `from`.
    data = _text(query.get("data"))
    if not data:
        return Unhandled("callback_query", recognised=True)
    return Click(key=data, token=_text(query.get("id")) or None)


def _my_chat_member(change: Node, sender: Sender, _bot: BotIdentity) -> Content:
    status = _text(_node(change.get("new_chat_member")).get("status"))
    if not _is_private(change, sender):
        return Unhandled("my_chat_member", recognised=True, fields={"status": status})
    return Unfollow() if status in _LEFT else Follow()


_DECODERS: Final[Mapping[str, Callable[[Node, Sender, BotIdentity], Content]]] = {
    "message": _message,
    "callback_query": _callback_query,
    "my_chat_member": _my_chat_member,
}


def _spoken(text: str, bot: BotIdentity) -> Content:
    """`/start` begins the chat; another command stays text, without the bot's name; what it means is not ours."""
    command = _COMMAND.fullmatch(text.strip())
    if command is None:
        return Text(text)
    name, addressee, argument = command[1].lower(), command[2], (command[3] or "").strip()
    if addressee and bot.username and addressee.lower() != bot.username.lower():
        return Text(text)
    if name == "start":
        return Follow(scene=argument if _START_PAYLOAD.fullmatch(argument) else None)
    return Text(f"/{name} {argument}".rstrip())


def _contact(contact: Node, sender: Sender) -> Content:
    # People share other people's contacts too: only a contact that names the sender is their own number.
    if _identifier(contact.get("user_id")) != sender.external_id:
        return Unhandled("message", recognised=True, fields={"parts": "contact_of_another"})
    phone = _text(contact.get("phone_number"))
    return SharedContact(phone) if phone else Unhandled("message", recognised=True, fields={"parts": "contact"})


def _media_fields(kind: str, message: Node) -> dict[str, str]:
    value = message.get(kind)
    if kind == "photo" and isinstance(value, list) and value:
        value = value[-1]  # sizes ascend
    part = _node(value)
    if kind == "venue":
        part = {**_node(part.get("location")), **part}
    fields = {name: _scalar(part.get(name)) for name in ("file_id", "mime_type", "latitude", "longitude", "title")}
    fields["caption"] = _text(message.get("caption"))
    return {name: text for name, text in fields.items() if text}


def _parts(message: Node) -> str:
    return ",".join(sorted(storable(name) for name in message if name not in {"from", "chat", "date", "message_id"}))


def _sender(body: Node, bot: BotIdentity) -> Sender:
    person = _node(body.get("from") or body.get("user"))
    identity = _identifier(person.get("id"))
    if identity is None or person.get("is_bot") is True:
        return Sender("telegram", bot.account, bot.app_id, _PLATFORM_ID, kind=SenderKind.PLATFORM)
    locale = _text(person.get("language_code")) or None
    return Sender("telegram", bot.account, bot.app_id, identity, locale=locale)


def _is_private(body: Node, sender: Sender) -> bool:
    # In a private chat the chat's id is the person's; samples of the official guide leave `type` out.
    return _identifier(_node(body.get("chat")).get("id")) == sender.external_id


def _identifier(value: Json) -> str | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    return storable(value) if isinstance(value, str) and value else None


def _moment(value: Json, received_at: datetime) -> datetime:
    # An inaccessible message has date 0, and a press has none.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _LARGEST_TIMESTAMP:
        return received_at
    return datetime.fromtimestamp(value, tz=UTC)


def _node(value: Json) -> Node:
    return value if isinstance(value, Mapping) else _EMPTY


def _text(value: Json) -> str:
    return storable(value) if isinstance(value, str) else ""


def _scalar(value: Json) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return _text(value)


def message_parameters(chat_id: str, reply: Reply, *, mini_app_url: str = "") -> dict[str, object]:
    """`sendMessage` parameters for `reply`.

    Plain text with entities and without parse mode: nothing a member or marketer writes can break or forge markup.
    Text beyond 4096 UTF-16 units ends in "…".
    """
    text, entities = _boxed(reply)
    parameters: dict[str, object] = {"chat_id": int(chat_id), "text": clip(text, MAX_TEXT_UNITS)}
    if entities:
        parameters["entities"] = entities
    markup = _markup(reply, mini_app_url)
    if markup is not None:
        parameters["reply_markup"] = markup
    return parameters


def notice_parameters(callback_query_id: str, reply: Reply) -> dict[str, object]:
    """`answerCallbackQuery` parameters: stop the spinner of a pressed button, with a notice if there are words."""
    parameters: dict[str, object] = {"callback_query_id": callback_query_id}
    if reply.text:
        parameters["text"] = clip(reply.text, MAX_NOTICE_CHARACTERS)
    return parameters


def clip(text: str, units: int) -> str:
    """`text` cut to at most `units` UTF-16 code units, never inside a character, ending in "…" when cut."""
    encoded = storable(text).encode("utf-16-le")
    if len(encoded) <= 2 * units:
        return storable(text)
    return encoded[: 2 * (units - 1)].decode("utf-16-le", "ignore") + "…"


def _boxed(reply: Reply) -> tuple[str, list[dict[str, object]]]:
    if reply.card is None:
        return reply.text, []
    lead = f"{reply.text}\n\n" if reply.text else ""
    title = {"type": "bold", "offset": _units(lead), "length": _units(reply.card.title)}
    return lead + _card_text(reply.card), [title]


def _card_text(card: Card) -> str:
    rows = [f"{row.label}  {row.value}" for row in card.rows]
    return "\n".join(part for part in (card.title, *rows, card.body) if part)


def _units(text: str) -> int:
    return len(storable(text).encode("utf-16-le")) // 2


def _markup(reply: Reply, mini_app_url: str) -> dict[str, object] | None:
    if reply.ask is Ask.SHARE_CONTACT:
        label = next((button.text for button in reply.buttons if not button.key and not button.url), None)
        ask = {"text": label or SHARE_CONTACT_FALLBACK, "request_contact": True}
        return {"keyboard": [[ask]], "resize_keyboard": True, "one_time_keyboard": True}
    if not reply.buttons:
        return None
    return {"inline_keyboard": [[_inline_button(button, mini_app_url)] for button in reply.buttons]}


def _inline_button(button: Button, mini_app_url: str) -> dict[str, object]:
    if button.url is None:
        ensure(0 < len(button.key.encode()) <= MAX_CALLBACK_DATA_BYTES, f"button key {button.key!r} has 1 to 64 bytes")
        return {"text": button.text, "callback_data": button.key}
    if mini_app_url and button.url.startswith(mini_app_url):
        return {"text": button.text, "web_app": {"url": button.url}}
    return {"text": button.text, "url": button.url}


def identity_of(account: str, bot_token: str, username: str) -> BotIdentity:
    """The bot that `bot_token` belongs to: the digits before the colon are its id, and need no network to know."""
    return BotIdentity(account=account, app_id=bot_token.partition(":")[0], username=username)
