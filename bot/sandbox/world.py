"""The state of the fake world: people, what they see, and what each platform remembers."""

import secrets
from dataclasses import dataclass, field, fields
from typing import Any

from bot.sandbox.pay_state import PayState
from bot.sandbox.telegram_state import TelegramState
from bot.sandbox.wechat_state import WechatState
from bot.sandbox.wecom_state import WecomState

LINES_KEPT_PER_PERSON = 400
MEDIA_KEPT = 200


@dataclass
class Flags:
    """Traits that make platforms answer differently about this person."""

    refuses_messages: bool = False
    snapshot: bool = False
    risky: bool = False


@dataclass
class Person:
    """A human. Every platform identity is derived from `id`, see `people.py`."""

    id: str
    name: str
    kind: str = "member"
    phone: str = ""
    language: str = "zh_CN"
    wecom_userid: str = ""
    flags: Flags = field(default_factory=Flags)


@dataclass
class Button:
    """Something to press on a line; `kind` says what pressing does."""

    id: str
    text: str
    kind: str
    value: str = ""
    row: int = 0


@dataclass
class Line:
    """One thing on a person's screen. `rev` grows when it changes."""

    id: int
    rev: int
    at: float
    channel: str
    account: str
    sender: str
    kind: str
    text: str
    buttons: list[Button] = field(default_factory=list)
    state: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Template:
    """A message template; see `TemplateSeed`."""

    template_id: str
    title: str
    keys: list[str] = field(default_factory=list)
    app_id: str = ""


@dataclass
class Media:
    """An uploaded file, base64, good until `expires_at` (world time)."""

    media_id: str
    kind: str
    content_type: str
    content: str
    expires_at: float


@dataclass
class Fault:
    """Something that goes wrong on purpose. `times` None: until deleted."""

    id: str
    platform: str
    api: str
    kind: str
    value: int = 0
    times: int | None = None


@dataclass
class World:
    """All of it. Everything here is JSON-able and survives a restart."""

    format: int = 1
    clock_offset_s: float = 0.0
    people: dict[str, Person] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    wechat: dict[str, WechatState] = field(default_factory=dict)
    wecom: dict[str, WecomState] = field(default_factory=dict)
    telegram: dict[str, TelegramState] = field(default_factory=dict)
    pay: dict[str, PayState] = field(default_factory=dict)
    templates: dict[str, Template] = field(default_factory=dict)
    media: dict[str, Media] = field(default_factory=dict)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    usage_day: str = ""
    recent: dict[str, list[float]] = field(default_factory=dict)
    sms_by_key: dict[str, int] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def next(self, counter: str, start: int = 1) -> int:
        """The next number of a named sequence."""
        value = self.counters.get(counter, start - 1) + 1
        self.counters[counter] = value
        return value

    def become(self, other: "World") -> None:
        """Take over the content of another world while everybody keeps their reference to this one."""
        for item in fields(self):
            setattr(self, item.name, getattr(other, item.name))


def opaque(length: int, prefix: str = "") -> str:
    """A random identifier of URL-safe characters, as platforms hand them out."""
    return (prefix + secrets.token_urlsafe(length))[:length]
