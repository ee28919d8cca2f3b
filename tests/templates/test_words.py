"""Every refusal has words in every language, and they read as people write."""

import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module

import pytest

from loyalty.errors import Refusal
from templates.words import LOCALES, catalogue, duration, placeholders, preferred_locale, refusal_words

ROOMS = ("loyalty", "miniapp_api", "handlers", "bot", "scheduler")
AT = datetime(2026, 11, 21, 13, 53, tzinfo=UTC)


def refusals() -> set[type[Refusal]]:
    """Every refusal class of every room."""
    for room in ROOMS:
        package = import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if ".migrations" not in module.name:
                import_module(module.name)
    return set(_below(Refusal))


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_refusal_has_words(locale: str) -> None:
    known = catalogue("zh-CN" if locale == "zh-CN" else "en")
    missing = sorted({refusal.code for refusal in refusals()} - known.keys())
    assert not missing, f"templates/refusals/{locale}.toml lacks {missing}"


def test_both_languages_say_the_same_things() -> None:
    chinese, english = catalogue("zh-CN"), catalogue("en")
    assert chinese.keys() == english.keys()
    for code, words in chinese.items():
        assert placeholders(words.detail) == placeholders(english[code].detail), code
        assert words.title
        assert english[code].title.isascii()


def test_values_read_as_people_write_them() -> None:
    params = {"redeemed_at": AT, "store": "静安店"}
    assert refusal_words("redemptions.already_redeemed", params, "zh-CN").detail == (
        "这张券已于 11月21日 21:53 在静安店核销。"
    )
    assert "21 Nov, 21:53" in refusal_words("redemptions.already_redeemed", params, "en").detail
    assert "12.05" in refusal_words("refunds.too_large", {"left_fen": 1205}, "en").detail


def test_a_placeholder_is_never_shown() -> None:
    words = refusal_words("redemptions.already_redeemed", {}, "zh-CN")
    assert words.detail == words.title
    assert refusal_words("never.heard.of", {}, "en") == refusal_words("refused", {}, "en")


def test_parameters_are_data() -> None:
    words = refusal_words(
        "redemptions.already_redeemed", {"redeemed_at": AT, "store": "{redeemed_at}{0.__class__}"}, "en"
    )
    assert "{0.__class__}" in words.detail


@pytest.mark.parametrize(
    ("seconds", "chinese", "english"),
    [(1, "1 秒", "1 second"), (59, "59 秒", "59 seconds"), (61, "2 分钟", "2 minutes"), (3600, "1 小时", "1 hour")],
)
def test_waits_are_rounded_up(seconds: int, chinese: str, english: str) -> None:
    assert duration(seconds, "zh-CN").strip() == chinese
    assert duration(seconds, "en") == english


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        (None, "zh-CN"),
        ("", "zh-CN"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh-TW;q=0.5,en;q=0.4", "zh-CN"),
        ("de", "zh-CN"),
        ("en;q=nonsense", "zh-CN"),
    ],
)
def test_the_preferred_language(header: str | None, locale: str) -> None:
    assert preferred_locale(header) == locale
