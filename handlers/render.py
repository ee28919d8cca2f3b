"""Words to replies: a template says everything that a person reads, buttons and cards included.

A template of `templates/chat/<locale>/<name>.j2` renders to plain text with three kinds of special lines:
`# title` first makes a card, `- label: value` is one of its rows, and `[text](key)` is a button whose
key comes back as a click (or opens a page when it is an address).
"""

import re
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from handlers.messages import Button, Card, CardRow, Reply
from loyalty.money import yuan

LOCALES: Final = ("zh-CN", "en")
FOLDER: Final = Path(__file__).resolve().parents[1] / "templates"

_BUTTON: Final = re.compile(r"^\[(?P<text>[^\]]+)\]\((?P<key>\S+)\)$")
_ROW: Final = re.compile(r"^- (?P<label>[^:：]+)[:：]\s*(?P<value>.*)$")


@cache
def environment() -> Environment:
    """The templates' environment; an unknown name in a template is an error, never an empty word."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - plain text for chats; pages have their own escaping
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["yuan"] = yuan
    made.filters["day"] = lambda value: value.strftime("%Y-%m-%d")
    return made


def locale_of(wanted: str | None) -> str:
    """The locale we have words in: English for English speakers, Chinese for everybody else."""
    return "en" if (wanted or "").lower().startswith("en") else "zh-CN"


def render(name: str, locale: str, *, task_id: str | None = None, folder: str = "chat", **facts: object) -> Reply:
    """The reply that template `name` says in `locale`."""
    text = environment().get_template(f"{folder}/{locale_of(locale)}/{name}.j2").render(**facts)
    return parse(text, task_id=task_id)


def parse(text: str, *, task_id: str | None = None) -> Reply:
    """Rendered text as a reply: title, rows and buttons taken out, the rest kept as it stands."""
    title: str | None = None
    rows: list[CardRow] = []
    buttons: list[Button] = []
    kept: list[str] = []
    for line in text.strip().splitlines():
        if line.startswith("# ") and title is None and not kept:
            title = line[2:].strip()
        elif title is not None and (row := _ROW.match(line)):
            rows.append(CardRow(row["label"].strip(), row["value"].strip()))
        elif button := _BUTTON.match(line.strip()):
            buttons.append(_button(button["text"], button["key"]))
        else:
            kept.append(line.rstrip())
    body = "\n".join(kept).strip()
    if title is None:
        return Reply(text=body, buttons=tuple(buttons))
    card = Card(title=title, rows=tuple(rows), body=body, task_id=task_id)
    return Reply(text=_card_text(card), buttons=tuple(buttons), card=card)


def _button(text: str, key: str) -> Button:
    return Button(text=text, url=key) if key.startswith(("https://", "http://")) else Button(text=text, key=key)


def _card_text(card: Card) -> str:
    """The same card for channels that have none."""
    lines = [card.title, *(f"{row.label}：{row.value}" for row in card.rows), *([card.body] if card.body else [])]
    return "\n".join(lines)
