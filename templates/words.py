"""Words for people: the catalogue of refusals, rendered in the reader's language.

Pure and dependency-free, so that the chat and the HTTP edge say the same sentence. A catalogue entry is a
`title` (what kind of "no") and a `detail` (what happened and what to do now); `{name}` is a parameter of the
refusal, `{name:time}`, `{name:day}`, `{name:wait}` and `{name:yuan}` write it the way the language does.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

Locale = Literal["zh-CN", "en"]

LOCALES: Final[tuple[Locale, ...]] = ("zh-CN", "en")
DEFAULT_LOCALE: Final[Locale] = "zh-CN"
DEFAULT_ZONE: Final = ZoneInfo("Asia/Shanghai")
FALLBACK_CODE: Final = "refused"

_FOLDER: Final = Path(__file__).parent / "refusals"
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86400
_UNITS: Final[Mapping[Locale, Sequence[tuple[int, str, str]]]] = {
    "zh-CN": (
        (_DAY_S, " 天", " 天"),
        (_HOUR_S, " 小时", " 小时"),
        (_MINUTE_S, " 分钟", " 分钟"),
        (1, " 秒", " 秒"),
    ),
    "en": (
        (_DAY_S, " day", " days"),
        (_HOUR_S, " hour", " hours"),
        (_MINUTE_S, " minute", " minutes"),
        (1, " second", " seconds"),
    ),
}
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


@dataclass(frozen=True, slots=True)
class Words:
    """How one refusal reads: a short title and a sentence that says what to do."""

    title: str
    detail: str


def preferred_locale(accept_language: str | None, *, otherwise: Locale = DEFAULT_LOCALE) -> Locale:
    """The locale that an `Accept-Language` header asks for first among those we speak."""
    for part in _by_weight(accept_language or ""):
        language = part.split("-", 1)[0].lower()
        if language in {"zh", "en"}:
            return "zh-CN" if language == "zh" else "en"
    return otherwise


def refusal_words(
    code: str,
    params: Mapping[str, object],
    locale: Locale,
    *,
    zone: tzinfo = DEFAULT_ZONE,
) -> Words:
    """The words of the refusal `code`; times are written in `zone`.

    A code without an entry gets the general refusal, and a parameter that was not given leaves the title alone to
    speak: a person is never shown a placeholder.
    """
    entry = catalogue(locale).get(code) or catalogue(locale)[FALLBACK_CODE]
    try:
        detail = _Filler(locale, zone).vformat(entry.detail, (), dict(params))
    except (KeyError, ValueError, TypeError):
        detail = entry.title
    return Words(title=entry.title, detail=detail)


@cache
def catalogue(locale: Locale) -> Mapping[str, Words]:
    """Every entry of one language by code, placeholders unfilled."""
    document = tomllib.loads((_FOLDER / f"{locale}.toml").read_text(encoding="utf-8"))
    return {code: Words(title=entry["title"], detail=entry["detail"]) for code, entry in document.items()}


def placeholders(text: str) -> frozenset[str]:
    """The parameters that `text` mentions."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name)


def moment(at: datetime, locale: Locale, zone: tzinfo = DEFAULT_ZONE) -> str:
    """A point in time as people write it: 11月21日 21:53, or 21 Nov, 21:53."""
    local = at.astimezone(zone)
    separator = " " if locale == "zh-CN" else ", "
    return f"{calendar_day(local.date(), locale)}{separator}{local:%H:%M}"


def calendar_day(day: date, locale: Locale) -> str:
    """A day as people write it: 11月21日, or 21 Nov."""
    return f"{day.month}月{day.day}日" if locale == "zh-CN" else f"{day.day} {_MONTHS[day.month - 1]}"


def calendar_date(day: date, locale: Locale) -> str:
    """A day with its year: 2026年11月21日, or 21 Nov 2026."""
    short = calendar_day(day, locale)
    return f"{day.year}年{short}" if locale == "zh-CN" else f"{short} {day.year}"


def duration(seconds: float, locale: Locale) -> str:
    """A wait, rounded up to the largest fitting unit: 90 → 2 分钟, or 2 minutes."""
    whole = max(1, -int(-seconds // 1))
    for size, one, many in _UNITS[locale]:
        if whole >= size:
            count = -(-whole // size)
            return f"{count}{one if count == 1 else many}"
    return f"1{_UNITS[locale][-1][1]}"


def _by_weight(accept_language: str) -> list[str]:
    weighed = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), position, tag.strip()))
        except ValueError:
            continue
    return [tag for _, _, tag in sorted(weighed)]


class _Filler(Formatter):
    """`str.format` without attribute or index access, and with the ways people write values."""

    def __init__(self, locale: Locale, zone: tzinfo) -> None:
        self._locale = locale
        self._zone = zone

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if field_name not in kwargs:
            raise KeyError(field_name)
        return kwargs[field_name], field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Mapping):
            value = value.get(self._locale) or next(iter(value.values()), "")
        match format_spec, value:
            case "time", datetime():
                return moment(value, self._locale, self._zone)
            case "day", datetime():
                return calendar_day(value.astimezone(self._zone).date(), self._locale)
            case "day", date():
                return calendar_day(value, self._locale)
            case "wait", int() | float():
                return duration(value, self._locale)
            case "yuan", int():
                return f"{value // 100}.{value % 100:02d}"
            case _:
                return format(value, format_spec)
