"""What went over the wire, newest last, with secrets cut to their first four characters."""

import re
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.sandbox.clock import WorldClock
from bot.sandbox.screens import Events

ENTRIES_KEPT = 600
BODY_KEPT = 20_000
REDACTED_NAMES = "access_token|secret|appsecret|corpsecret|session_key|refresh_token|secret_token|ticket"
IN_QUERY = re.compile(rf"([?&](?:{REDACTED_NAMES})=)([^&#]{{0,4}})[^&#]*")
IN_JSON = re.compile(rf'("(?:{REDACTED_NAMES})"\s*:\s*")([^"]{{0,4}})[^"]*')
IN_BOT_PATH = re.compile(r"(/bot\d*:?)([A-Za-z0-9_-]{0,4})[A-Za-z0-9_:-]*")


def redact(text: str) -> str:
    """Cut every secret in a URL or JSON text."""
    text = IN_QUERY.sub(r"\1\2…", text)
    text = IN_JSON.sub(r"\1\2…", text)
    return IN_BOT_PATH.sub(r"\1\2…", text)


def printable(content: bytes) -> str:
    """A body for people's eyes."""
    try:
        text = content[:BODY_KEPT].decode()
    except UnicodeDecodeError:
        return f"<{len(content)} bytes>"
    return redact(text) + ("…" if len(content) > BODY_KEPT else "")


@dataclass
class Half:
    """One direction of an exchange: as sent, and in clear."""

    headers: dict[str, str] = field(default_factory=dict)
    raw: str = ""
    clear: str = ""


@dataclass
class Entry:
    """One exchange, see README."""

    kind: str
    platform: str
    account: str
    api: str
    method: str
    url: str
    person: str = ""
    status: int = 0
    verdict: str = ""
    ms: float = 0.0
    message_id: str = ""
    attempt: int = 1
    request: Half = field(default_factory=Half)
    response: Half = field(default_factory=Half)
    id: int = 0
    at: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The entry as the control API shows it."""
        data = asdict(self)
        data["try"] = data.pop("attempt")
        return data


class Wire:
    """A ring buffer of exchanges."""

    def __init__(self, clock: WorldClock, events: Events) -> None:
        self._clock, self._events = clock, events
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_KEPT)
        self._last = 0

    def record(self, entry: Entry) -> None:
        """Keep a finished exchange and announce it."""
        self._last += 1
        entry.id, entry.at = self._last, round(self._clock.wire(), 3)
        entry.url = redact(entry.url)
        self._entries.append(entry)
        self._events.publish("wire", entry.as_json())

    def since(self, after: int, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` entries after that number, oldest first."""
        found = [entry.as_json() for entry in self._entries if entry.id > after]
        return found[-limit:] if limit > 0 else []

    @property
    def last(self) -> int:
        """Number of the newest entry."""
        return self._last

    def clear(self) -> None:
        """Forget all entries; the numbers go on."""
        self._entries.clear()
