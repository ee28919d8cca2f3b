"""Words to replies: a template says everything that a person reads, buttons and cards included.

A template of `templates/<folder>/<locale>/<name>.j2` renders to plain text with three kinds of special lines:
`# title` first makes a card, `- label: value` is one of its rows, and `[text](key)` is a button whose
key comes back as a click (or opens a page when it is an address; `[text]()` labels what the reply asks for).
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from handlers.messages import Button, Card, CardRow, Reply
from loyalty.codes import spaced
from loyalty.money import yuan
from templates import words
from templates.words import Locale

LOCALES: Final = words.LOCALES
FOLDER: Final = Path(__file__).resolve().parents[1] / "templates"

_BUTTON: Final = re.compile(r"^\[(?P<text>[^\]]+)\]\((?P<key>\S*)\)$")
_ROW: Final = re.compile(r"^- (?P<label>[^:：]+)[:：]\s*(?P<value>.*)$")
_GAP: Final = re.compile(r"\n{3,}")
_INSTANT: Final = timedelta(microseconds=1)


@cache
def environment() -> Environment:
    """The templates' environment; an unknown name in a template is an error, never an empty word."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        auto_reload=False,  # templates are part of a release
        autoescape=False,  # noqa: S701 - plain text for chats; pages have their own escaping
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.clear()  # templates need none of Jinja's functions, and every reply would copy them
    made.filters["yuan"] = yuan
    made.filters["spaced"] = spaced
    made.filters["line"] = _line
    made.filters["day"] = _day
    made.filters["last_day"] = _last_day
    made.filters["short_day"] = _short_day
    made.filters["moment"] = _moment
    made.filters["local"] = _local
    return made


def locale_of(wanted: str | None) -> Locale:
    """The locale we have words in: English for English speakers, Chinese for everybody else."""
    return "en" if (wanted or "").lower().startswith("en") else "zh-CN"


def render(
    name: str,
    locale: str,
    *,
    task_id: str | None = None,
    folder: str = "chat",
    zone: ZoneInfo = words.DEFAULT_ZONE,
    **facts: object,
) -> Reply:
    """The reply that template `name` says in `locale`; days and times are written in `zone`."""
    spoken = locale_of(locale)
    template = environment().get_template(f"{folder}/{spoken}/{name}.j2")
    return parse(template.render(locale=spoken, zone=zone, **facts), task_id=task_id)


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
        elif "](" in line and (button := _BUTTON.match(line.strip())):
            buttons.append(_button(button["text"], button["key"]))
        else:
            kept.append(line.rstrip())
    body = _GAP.sub("\n\n", "\n".join(kept).strip())
    if title is None:
        return Reply(text=body, buttons=tuple(buttons))
    return Reply(buttons=tuple(buttons), card=Card(title=title, rows=tuple(rows), body=body, task_id=task_id))


def local(by_locale: Mapping[str, str], locale: str) -> str:
    """The words of a marketer's text in `locale`, or in whichever language there is."""
    return by_locale.get(locale) or next(iter(by_locale.values()), "")


def _button(text: str, key: str) -> Button:
    return Button(text=text, url=key) if key.startswith(("https://", "http://")) else Button(text=text, key=key)


def _line(value: object) -> str:
    # What people typed stays inside its line: it must not become a button or a row of its own.
    return " ".join(str(value).split())


@pass_context
def _day(context: Context, value: date) -> str:
    return _written(value, context)


@pass_context
def _last_day(context: Context, ends_at: datetime) -> str:
    # Intervals are half-open: what ends at midnight can be used on the day before.
    return _written(ends_at - _INSTANT, context)


@pass_context
def _short_day(context: Context, value: date) -> str:
    return words.calendar_day(_local_day(value, context), locale_of(context["locale"]))


@pass_context
def _moment(context: Context, value: datetime) -> str:
    return words.moment(value, locale_of(context["locale"]), context["zone"])


@pass_context
def _local(context: Context, by_locale: Mapping[str, str]) -> str:
    return _line(local(by_locale, context["locale"]))


def _written(value: date, context: Context) -> str:
    return words.calendar_date(_local_day(value, context), locale_of(context["locale"]))


def _local_day(value: date, context: Context) -> date:
    zone: Any = context["zone"]
    return value.astimezone(zone).date() if isinstance(value, datetime) else value
