"""Documents say what is: links lead somewhere, settings are all described, named tests exist."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bot.accounts import SmsAccount, TelegramAccount, WechatAccount, WecomAccount
from loyalty.config import VARIABLES
from tests.architecture.sources import ROOT, project_files

DOCUMENTS: Final = tuple(path for path in project_files() if path.suffix == ".md")
LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_TEST: Final = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NAMED_FILE: Final = re.compile(
    r"`((?:bot|handlers|loyalty|miniapp_api|scheduler|templates|xiaohui|docs|tools)/[\w./-]+\.\w+)`"
)
FOR_TESTS: Final = {"XIAOHUI_FAILPOINTS"}
THREATS: Final = (*range(1, 17), *range(27, 33))
PAIRS: Final = (
    ("README.md", "README.zh-CN.md"),
    ("docs/members.md", "docs/members.zh-CN.md"),
    ("docs/clerks.md", "docs/clerks.zh-CN.md"),
    ("docs/tiers.md", "docs/tiers.zh-CN.md"),
)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _outside_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def _broken_links(document: Path) -> Iterator[str]:
    for target in LINK.findall(_outside_code(document.read_text(encoding="utf-8"))):
        place, _hash, _anchor = target.partition("#")
        if place and not re.match(r"[a-z]+:", place) and not (document.parent / place).exists():
            yield target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    assert list(_broken_links(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_named_files_and_tests_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [name for name in NAMED_FILE.findall(text) if not (ROOT / name).exists()]
    for file, test in NAMED_TEST.findall(text):
        if not (ROOT / file).is_file() or (test and f"def {test}(" not in _text(file)):
            missing.append(f"{file}::{test}")
    assert missing == []


@pytest.mark.parametrize("document", ["README.md", "README.zh-CN.md", "docs/configuration.md"])
def test_every_setting_is_described(document: str) -> None:
    settings = {*VARIABLES, "HOST", "PORT"}
    assert len(settings) > 8
    if document.startswith("README"):
        settings -= FOR_TESTS
    assert {name for name in settings if f"`{name}`" not in _text(document)} == set()


def test_every_key_of_an_account_is_described() -> None:
    described = _text("docs/configuration.md")
    keys = {
        key for kind in (WechatAccount, WecomAccount, TelegramAccount, SmsAccount) for key in kind.__dataclass_fields__
    }
    assert {key for key in keys if f"`{key}`" not in described} == set()


def test_every_command_is_described() -> None:
    from xiaohui.cli import app

    commands = [command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands]
    assert {name for name in commands if f"xiaohui {name}" not in _text("docs/operations.md")} == set()


def test_decisions_are_numbered_and_listed() -> None:
    pages = sorted(path.name for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert [int(name[:4]) for name in pages] == list(range(1, len(pages) + 1))
    index = _text("docs/decisions/README.md")
    assert [name for name in pages if f"({name})" not in index] == []


def test_every_threat_has_a_control_and_a_test() -> None:
    rows = dict(re.findall(r"^\| (\d+) \|(.*)$", _text("docs/security.md"), re.MULTILINE))
    assert set(map(int, rows)) >= set(THREATS)
    assert [number for number in THREATS if not NAMED_TEST.search(rows[str(number)])] == []


@pytest.mark.parametrize(("english", "chinese"), PAIRS)
def test_both_languages_have_the_same_chapters(english: str, chinese: str) -> None:
    levels = [
        [len(mark) for mark in re.findall(r"^(#+) ", _outside_code(_text(name)), re.MULTILINE)]
        for name in (english, chinese)
    ]
    assert levels[0] == levels[1]
    tables = [_text(name).count("\n|") for name in (english, chinese)]
    assert tables[0] == tables[1]
