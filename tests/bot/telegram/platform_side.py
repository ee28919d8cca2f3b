"""Telegram's side of the webhook and of the Bot API, as the tests play it."""

import json
from collections.abc import Mapping
from datetime import datetime

from aiohttp import web

from bot.accounts import TelegramAccount
from bot.channel import RawRequest

BOT_TOKEN = "7000000001:AAtest-token-of-nobody"
SECRET = "header-secret_1"
MEMBER_ID = 42


def account(api_base: str = "http://127.0.0.1:1", **changes: str) -> TelegramAccount:
    """The configured bot; by default its API cannot be reached."""
    return TelegramAccount(account="main", bot_token=BOT_TOKEN, webhook_secret=SECRET, api_base=api_base, **changes)


def posted(update: object, *, at: datetime, secret: str | None = SECRET) -> RawRequest:
    """`update` as Telegram posts it; a str or bytes body goes out as it is."""
    headers = {"Content-Type": "application/json"}
    if secret is not None:
        headers["X-Telegram-Bot-Api-Secret-Token"] = secret
    body = update if isinstance(update, bytes) else json.dumps(update, ensure_ascii=False).encode()
    return RawRequest(method="POST", query={}, headers=headers, body=body, received_at=at)


def person(identity: int = MEMBER_ID, **changes: object) -> dict[str, object]:
    """A Telegram user."""
    return {"id": identity, "is_bot": False, "first_name": "小明", "language_code": "zh-hans", **changes}


def message(
    *, at: datetime, update_id: int = 100, sender: dict[str, object] | None = None, **parts: object
) -> dict[str, object]:
    """A message update in the private chat of `person()`."""
    body = {
        "message_id": 7,
        "from": sender or person(),
        "chat": {"id": MEMBER_ID, "type": "private", "first_name": "小明"},
        "date": int(at.timestamp()),
        **parts,
    }
    return {"update_id": update_id, "message": body}


def press(
    data: str, *, update_id: int = 101, presser: int = MEMBER_ID, chat: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A pressed inline button."""
    shown_in = chat or {"id": MEMBER_ID, "type": "private"}
    query = {
        "id": "4382bfdwdsb323b2d9",
        "from": person(presser),
        "chat_instance": "1",
        "message": {"message_id": 5, "chat": dict(shown_in), "date": 0},
        "data": data,
    }
    return {"update_id": update_id, "callback_query": query}


def chat_member(
    status: str, *, at: datetime, chat_type: str = "private", chat_id: int = MEMBER_ID
) -> dict[str, object]:
    """The bot's own standing in a chat changed to `status`."""
    bot = {"id": 7000000001, "is_bot": True, "first_name": "xiaohui"}
    change = {
        "chat": {"id": chat_id, "type": chat_type},
        "from": person(),
        "date": int(at.timestamp()),
        "old_chat_member": {"user": bot, "status": "member"},
        "new_chat_member": {"user": bot, "status": status, "until_date": 0},
    }
    return {"update_id": 102, "my_chat_member": change}


class BotApi:
    """A Bot API that answers as told and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, object]]] = []
        self.answers: list[web.Response] = []

    def answers_with(self, result: object) -> None:
        """The next call succeeds with `result`."""
        self.answers.append(web.json_response({"ok": True, "result": result}))

    def refuses_with(self, code: int, description: str, **parameters: int) -> None:
        """The next call is refused."""
        answer = {"ok": False, "error_code": code, "description": description}
        self.answers.append(
            web.json_response({**answer, **({"parameters": parameters} if parameters else {})}, status=code)
        )

    def application(self) -> web.Application:
        """The server to start."""
        app = web.Application()
        app.router.add_route("*", f"/bot{BOT_TOKEN}/{{method}}", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append((request.match_info["method"], await request.json()))
        return self.answers.pop(0)


def sent_message(message_id: int = 900) -> dict[str, object]:
    """`sendMessage`'s result."""
    chat = {"id": MEMBER_ID, "type": "private", "first_name": "小明"}
    return {"message_id": message_id, "date": 1_760_000_000, "chat": chat, "text": "…"}
