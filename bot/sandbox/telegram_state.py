"""What Telegram remembers about one bot."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Chat:
    """A private chat. A bot may write only after `started` and while not `blocked`."""

    started: bool = False
    blocked: bool = False
    sends: list[float] = field(default_factory=list)


@dataclass
class Message:
    """A message by its message_id: whose screen it is on and what it says."""

    person: str
    line: int
    from_bot: bool
    payload: dict[str, Any]


@dataclass
class Query:
    """A pressed inline button that waits for answerCallbackQuery."""

    person: str
    expires_at: float
    answered: bool = False


@dataclass
class Webhook:
    """What setWebhook left."""

    url: str = ""
    secret: str = ""
    allowed_updates: list[str] = field(default_factory=list)
    max_connections: int = 40
    last_error_date: int = 0
    last_error_message: str = ""


@dataclass
class Pending:
    """An update the bot has not taken yet."""

    person: str
    update: dict[str, Any]


@dataclass
class TelegramState:
    """Everything one bot owns; people are named by sandbox id."""

    webhook: Webhook = field(default_factory=Webhook)
    chats: dict[str, Chat] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    commands: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    sends: list[float] = field(default_factory=list)

    def commands_for(self, language: str) -> list[dict[str, str]]:
        """The command menu in a person's language (`zh_CN`), or the one for everybody."""
        return self.commands.get(language.split("_", maxsplit=1)[0], self.commands.get("", []))
