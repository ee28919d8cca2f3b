"""What people see: lines on their screens, and the live stream of everything that changes."""

import asyncio
import contextlib
import html
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bot.sandbox.clock import WorldClock
from bot.sandbox.world import LINES_KEPT_PER_PERSON, Button, Line, World

STREAM_BACKLOG = 1000
ANCHOR = re.compile(r"<a\b([^>]*)>(.*?)</a>", re.DOTALL | re.IGNORECASE)
ATTRIBUTE = re.compile(r"([\w-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")


class Events:
    """Fans live events out to whoever listens; a listener that falls far behind loses the oldest."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Queue[tuple[str, dict[str, Any]] | None]] = set()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Tell every listener."""
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait((kind, data))

    @contextlib.contextmanager
    def listening(self) -> Iterator[asyncio.Queue[tuple[str, dict[str, Any]] | None]]:
        """A queue of (kind, data); None means the sandbox is closing."""
        queue: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue(STREAM_BACKLOG)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    def close(self) -> None:
        """Let every listener end."""
        for queue in self._listeners:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)


class Screens:
    """Writes lines on screens."""

    def __init__(self, world: World, clock: WorldClock, events: Events) -> None:
        self._world, self._clock, self._events = world, clock, events

    def show(
        self,
        person: str,
        where: tuple[str, str],
        sender: str,
        kind: str,
        text: str,
        *,
        buttons: Sequence[Button] = (),
        data: dict[str, Any] | None = None,
    ) -> Line:
        """Add a line. `where` is (channel, account); `sender` is `person`, `account` or `system`."""
        number = self._world.next("rev")
        line = Line(number, number, self._clock.wire(), *where, sender, kind, text, list(buttons), "", data or {})
        lines = self._world.lines.setdefault(person, [])
        lines.append(line)
        del lines[:-LINES_KEPT_PER_PERSON]
        self._events.publish("line", {"person": person, "line": line_json(line)})
        return line

    def changed(self, person: str, line: Line) -> None:
        """Announce that a line was edited."""
        line.rev = self._world.next("rev")
        self._events.publish("line", {"person": person, "line": line_json(line)})

    def find(self, person: str, line_id: int) -> Line | None:
        """A line still kept on that screen."""
        return next((line for line in self._world.lines.get(person, []) if line.id == line_id), None)

    def since(self, person: str, rev: int) -> list[Line]:
        """Lines that appeared or changed after `rev`, in screen order."""
        return [line for line in self._world.lines.get(person, []) if line.rev > rev]

    @property
    def rev(self) -> int:
        """The newest revision anywhere."""
        return self._world.counters.get("rev", 0)


def line_json(line: Line) -> dict[str, Any]:
    """A line as the control API shows it."""
    return {
        "id": line.id,
        "rev": line.rev,
        "at": round(line.at, 3),
        "channel": line.channel,
        "account": line.account,
        "from": line.sender,
        "kind": line.kind,
        "text": line.text,
        "buttons": [vars(button) for button in line.buttons],
        "state": line.state,
        "data": line.data,
    }


def links_as_buttons(text: str) -> tuple[str, list[Button]]:
    """Split chat text with `<a>` links into what is shown and what can be pressed."""
    buttons: list[Button] = []
    for match in ANCHOR.finditer(text):
        attributes = {m[1].lower(): html.unescape(m[2] or m[3] or "") for m in ATTRIBUTE.finditer(match[1])}
        label = html.unescape(re.sub(r"<[^>]*>", "", match[2]))
        href = attributes.get("href", "")
        kind, value = "url", href
        if href.startswith("weixin://bizmsgmenu"):
            kind = "callback"
        elif "data-miniprogram-path" in attributes:
            kind, value = "miniprogram", attributes["data-miniprogram-path"]
        buttons.append(Button(str(len(buttons)), label, kind, value, len(buttons)))
    return ANCHOR.sub(lambda match: match[2], text), buttons
