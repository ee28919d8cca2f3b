"""Message text in Telegram's parse modes: what is shown, or why it is refused."""

import html
import re
from html.parser import HTMLParser

from bot.sandbox.platform_error import PlatformError

TAGS = frozenset(
    [
        *("a", "b", "blockquote", "code", "del", "em", "i", "ins"),
        *("pre", "s", "span", "strike", "strong", "tg-emoji", "tg-spoiler", "u"),
    ]
)
RESERVED = ">#+-=|{}.!"
PAIRS = ("```", "__", "||", "*", "_", "~", "`")
MARKDOWN_LINK = re.compile(r"\[((?:\\.|[^\]\\])*)\]\(((?:\\.|[^)\\])*)\)")


def utf16_length(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


def shown_text(text: str, parse_mode: str) -> str:
    """The text without markup. Raises PlatformError 400 when the markup is wrong."""
    mode = parse_mode.lower()
    if mode == "html":
        return _Html().shown(text)
    if mode in ("markdownv2", "markdown"):
        return _markdown(text, strict=mode == "markdownv2")
    if mode:
        raise PlatformError(400, "Bad Request: unsupported parse_mode")
    return text


class _Html(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self._text: list[str] = []

    def shown(self, text: str) -> str:
        if re.search(r"<(?![a-zA-Z/])", text):
            raise PlatformError(400, "Bad Request: can't parse entities: Unsupported start tag")
        self.feed(text)
        self.close()
        if self._open:
            raise _no_end(self._open[-1])
        return "".join(self._text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            raise PlatformError(400, f'Bad Request: can\'t parse entities: Unsupported start tag "{tag}"')
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            raise PlatformError(400, f'Bad Request: can\'t parse entities: Unexpected end tag "{html.escape(tag)}"')
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._text.append(data)


def _no_end(tag: str) -> PlatformError:
    why = f'Can\'t find end tag corresponding to start tag "{tag}"'
    return PlatformError(400, f"Bad Request: can't parse entities: {why}")


def _markdown(text: str, *, strict: bool) -> str:
    text = MARKDOWN_LINK.sub(lambda match: match[1], text)
    shown: list[str] = []
    open_marks: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            shown.append(text[at + 1])
            at += 2
            continue
        mark = next((pair for pair in PAIRS if text.startswith(pair, at)), "")
        if mark:
            if open_marks and open_marks[-1] == mark:
                open_marks.pop()
            else:
                open_marks.append(mark)
            at += len(mark)
            continue
        if strict and text[at] in RESERVED and not (open_marks and open_marks[-1] in ("`", "```")):
            why = f"Character '{text[at]}' is reserved and must be escaped with the preceding '\\'"
            raise PlatformError(400, f"Bad Request: can't parse entities: {why}")
        shown.append(text[at])
        at += 1
    if open_marks:
        raise PlatformError(400, "Bad Request: can't parse entities: Can't find end of the entity")
    return "".join(shown)
