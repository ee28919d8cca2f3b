"""Keyboards under Telegram messages: what can be pressed, or why the markup is refused."""

import json
from typing import Any
from urllib.parse import urlsplit

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.world import Button

CALLBACK_DATA_BYTES = 64
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def parsed(value: Any) -> dict[str, Any] | None:
    """reply_markup as an object: forms carry it as JSON text. Raises PlatformError 400."""
    if value in (None, ""):
        return None
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise PlatformError(400, "Bad Request: can't parse reply keyboard markup JSON object") from None
    if not isinstance(value, dict):
        raise PlatformError(400, "Bad Request: object expected as reply markup")
    return value


def keyboard_buttons(markup: dict[str, Any] | None) -> list[Button]:
    """The buttons of an inline or reply keyboard. Raises PlatformError 400."""
    if markup is None:
        return []
    inline = markup.get("inline_keyboard")
    rows = inline if inline is not None else markup.get("keyboard") or []
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise PlatformError(
            400, 'Bad Request: field "inline_keyboard" of the InlineKeyboardMarkup should be an Array of Arrays'
        )
    make = _inline if inline is not None else _reply
    found: list[Button] = []
    for number, row in enumerate(rows):
        for item in row:
            kind, text, value = make(item)
            found.append(Button(str(len(found)), text, kind, value, number))
    return found


def _inline(item: Any) -> tuple[str, str, str]:
    text = str(item.get("text") or "") if isinstance(item, dict) else ""
    if not text:
        raise PlatformError(400, "Bad Request: inline keyboard button text must be non-empty")
    if "callback_data" in item:
        data = str(item["callback_data"])
        if not 1 <= len(data.encode()) <= CALLBACK_DATA_BYTES:
            raise PlatformError(400, "Bad Request: BUTTON_DATA_INVALID")
        return "callback", text, data
    if "url" in item:
        url = str(item["url"])
        if urlsplit(url).scheme not in ("http", "https", "tg") or not urlsplit(url).netloc:
            raise PlatformError(400, f"Bad Request: inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
        return "url", text, url
    if "web_app" in item:
        url = str((item["web_app"] or {}).get("url", ""))
        if not secure_or_local(url):
            why = "Only HTTPS links are allowed"
            raise PlatformError(400, f"Bad Request: inline keyboard button Web App URL '{url}' is invalid: {why}")
        return "web_app", text, url
    raise PlatformError(
        400, "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"
    )


def _reply(item: Any) -> tuple[str, str, str]:
    if isinstance(item, str):
        return "command", item, item
    text = str(item.get("text") or "")
    if item.get("request_contact"):
        return "contact", text, ""
    if "web_app" in item:
        return "web_app", text, str(item["web_app"].get("url", ""))
    return "command", text, text


def secure_or_local(url: str) -> bool:
    """HTTPS, or plain HTTP to this machine, which only the sandbox allows."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
