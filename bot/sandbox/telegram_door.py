"""The door of api.telegram.org: which bot, which method, parameters in any accepted form, errors in its shape."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from bot.sandbox.config import TelegramAccount
from bot.sandbox.doors import Door, Incoming, Reply, Upload
from bot.sandbox.people import telegram_id
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.telegram_state import Chat, TelegramState
from bot.sandbox.world import Person

TOO_MANY = 429


class RetryAfter(PlatformError):
    """Too many requests; `seconds` is what the bot must wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__(TOO_MANY, f"Too Many Requests: retry after {seconds}")
        self.seconds = seconds


@dataclass(frozen=True)
class TelegramCall:
    """One method call of one bot."""

    stage: Stage
    account: TelegramAccount
    params: Mapping[str, Any]
    uploads: list[Upload]
    incoming: Incoming

    @property
    def state(self) -> TelegramState:
        """What Telegram remembers about the bot."""
        return self.stage.telegram(self.account.key)

    @property
    def now(self) -> float:
        """World time."""
        return self.stage.clock.world()

    @property
    def where(self) -> tuple[str, str]:
        """The screen that this bot writes on."""
        return self.account.channel, self.account.account

    def text(self, name: str) -> str:
        """A text parameter, empty when absent."""
        return str(self.params.get(name) or "")

    def number(self, name: str) -> int:
        """An integer parameter. Raises PlatformError 400."""
        try:
            return int(self.params.get(name) or 0)
        except (TypeError, ValueError):
            raise PlatformError(400, f"Bad Request: parameter {name} must be an integer") from None

    def value(self, name: str) -> Any:
        """A structured parameter: forms carry it as JSON text. Raises PlatformError 400."""
        given = self.params.get(name)
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given)
        except ValueError:
            raise PlatformError(400, f"Bad Request: can't parse {name} JSON object") from None

    def chat(self) -> tuple[Person, Chat]:
        """The private chat that may be written to. Raises PlatformError 400 or 403."""
        if not self.params.get("chat_id"):
            raise PlatformError(400, "Bad Request: chat_id is empty")
        try:
            person = self.stage.people.by_telegram_id(int(self.params["chat_id"]))
        except (TypeError, ValueError):
            person = None
        if person is None:
            raise PlatformError(400, "Bad Request: chat not found")
        self.incoming.person = person.id
        chat = self.state.chats.get(person.id)
        if chat is None or not chat.started:
            raise PlatformError(403, "Forbidden: bot can't initiate conversation with a user")
        if chat.blocked:
            raise PlatformError(403, "Forbidden: bot was blocked by the user")
        return person, chat

    def spend(self, chat: Chat) -> None:
        """Count one message. Raises RetryAfter beyond the bot's or the chat's rate."""
        config = self.stage.config
        chat.sends = _within(chat.sends, self.now, config.telegram_chat_burst, config.telegram_chat_burst)
        self.state.sends = _within(self.state.sends, self.now, config.telegram_per_second, 1)


def _within(sends: list[float], now: float, limit: int, seconds: float) -> list[float]:
    recent = [at for at in sends if at > now - seconds]
    if len(recent) >= limit:
        raise RetryAfter(max(1, ceil(recent[-limit] + seconds - now)))
    return [*recent, now]


Method = Callable[[TelegramCall], Any]


def user_object(person: Person) -> dict[str, Any]:
    """A person as Telegram's User."""
    language = "zh-hans" if person.language.startswith("zh") else person.language.split("_")[0]
    number = telegram_id(person.id)
    user = {"id": number, "is_bot": False, "first_name": person.name, "username": username(person)}
    return {**user, "language_code": language}


def username(person: Person) -> str:
    """The person's public name."""
    return person.id.replace("-", "_")


def chat_object(person: Person) -> dict[str, Any]:
    """A private chat: its id is the person's."""
    number = telegram_id(person.id)
    return {"id": number, "first_name": person.name, "username": username(person), "type": "private"}


def bot_object(account: TelegramAccount) -> dict[str, Any]:
    """The bot as Telegram's User."""
    number = int(account.bot_token.split(":")[0])
    return {"id": number, "is_bot": True, "first_name": account.name, "username": account.username}


def find_bot(stage: Stage, token: str) -> TelegramAccount:
    """Whose token it is. Raises PlatformError 401."""
    for account in stage.config.telegram:
        if account.bot_token == token:
            return account
    raise PlatformError(401, "Unauthorized")


def telegram_door(stage: Stage, methods: Mapping[str, Method], token: str) -> Door:
    """The door for one call; method names are compared without case."""

    def work(incoming: Incoming) -> Reply:
        account = find_bot(stage, token)
        incoming.channel, incoming.account = account.channel, account.account
        stage.quotas.spend(account.key, incoming.api)
        return call_method(stage, account, methods, incoming, _params(incoming))

    return Door("telegram", work, refuse, RetryAfter(5), lambda _: PlatformError(401, "Unauthorized"))


def call_method(
    stage: Stage, account: TelegramAccount, methods: Mapping[str, Method], incoming: Incoming, params: Mapping[str, Any]
) -> Reply:
    """Run one method. Raises PlatformError."""
    method = methods.get(incoming.api.lower())
    if method is None:
        raise PlatformError(404, "Not Found: method not found")
    result = method(TelegramCall(stage, account, params, incoming.uploads, incoming))
    return Reply({"ok": True, "result": result})


def _params(incoming: Incoming) -> dict[str, Any]:
    params: dict[str, Any] = {**incoming.query, **incoming.form}
    if incoming.content_type == "application/json" and incoming.raw:
        try:
            body = incoming.json()
        except ValueError:
            raise PlatformError(400, "Bad Request: can't parse JSON object") from None
        params |= body if isinstance(body, dict) else {}
    return params


def refuse(error: PlatformError) -> Reply:
    """An error in Telegram's shape: the HTTP status is the error code."""
    answer: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.message}
    if isinstance(error, RetryAfter):
        answer["parameters"] = {"retry_after": error.seconds}
    status = error.code if 400 <= error.code <= 599 else 400
    return Reply(answer, status=status)
