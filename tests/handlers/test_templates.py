"""Words: the same templates in every language, all of them used, each of them readable with sample facts."""

import ast
import re
from pathlib import Path

import pytest

from bot import notice_facts
from handlers import menus, routes
from handlers.intents import recognise
from handlers.messages import MenuItem
from handlers.render import LOCALES, environment, parse
from loyalty.datarights.rules import HOLDINGS
from loyalty.phones import service as phones

ROOT = Path(__file__).resolve().parents[2]
HANDLERS = ROOT / "handlers"
TEMPLATES = ROOT / "templates"
FOLDERS = ("chat", "staff", "menus", "notices")
CJK = re.compile(r"[\u3400-\u9fff]")
BUTTON = re.compile(r"^\[[^\]]+\]\((?P<key>[a-z_]+)(:\{\{.*\}\})?\)$", re.MULTILINE)


def names(folder: str, locale: str) -> set[str]:
    return {path.stem for path in (TEMPLATES / folder / locale).glob("*.j2")}


def said_in_code(pattern: str) -> set[str]:
    found: set[str] = set()
    for path in HANDLERS.glob("*.py"):
        found |= set(re.findall(pattern, path.read_text(encoding="utf-8")))
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_language_has_the_same_templates(folder: str) -> None:
    chinese, *others = (names(folder, locale) for locale in LOCALES)
    assert all(other == chinese for other in others)


def test_every_template_is_used_and_every_used_one_is_there() -> None:
    used = said_in_code(r"""(?:say|render)\(\s*"([a-z_]+)\"""") | said_in_code(r'template: str = "([a-z_]+)"')
    used |= said_in_code(r'template="([a-z_]+)"')
    there = {name for folder in ("chat", "staff") for name in names(folder, "zh-CN") if not name.startswith("_")}
    assert used == there


def test_every_notice_has_words() -> None:
    # The code's words are those of the template that the SMS provider registers.
    assert {*notice_facts.GATHERED, phones.NOTICE} == names("notices", "zh-CN")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("folder", ["chat", "notices"])
def test_every_button_for_members_leads_somewhere(folder: str, locale: str) -> None:
    for path in (TEMPLATES / folder / locale).glob("*.j2"):
        known = {*routes.MEMBER, *routes.BURSTS}
        if path.stem.startswith("approval"):
            known = set(routes.STAFF)
        keys = {found["key"] for found in BUTTON.finditer(path.read_text(encoding="utf-8"))}
        assert keys <= known, path.name


@pytest.mark.parametrize("locale", LOCALES)
def test_every_button_for_staff_leads_somewhere(locale: str) -> None:
    for path in (TEMPLATES / "staff" / locale).glob("*.j2"):
        keys = {found["key"] for found in BUTTON.finditer(path.read_text(encoding="utf-8"))}
        assert keys <= set(routes.STAFF), path.name


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_template_compiles(folder: str, locale: str) -> None:
    for name in names(folder, locale):
        environment().get_template(f"{folder}/{locale}/{name}.j2")


def test_english_templates_hold_no_chinese() -> None:
    for folder in FOLDERS:
        for path in (TEMPLATES / folder / "en").glob("*.j2"):
            assert not CJK.search(path.read_text(encoding="utf-8")), path.name


def test_no_words_for_people_in_code() -> None:
    """Docstrings may name a conversation in its own language; literals may not speak."""
    for path in HANDLERS.glob("*.py"):
        if path.name.startswith("intent"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        spoken = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in documented
            and CJK.search(node.value)
        ]
        assert not spoken, path.name


def leaves(items: tuple[MenuItem, ...]) -> list[MenuItem]:
    return [leaf for item in items for leaf in (leaves(item.children) if item.children else [item])]


def test_menus_fit_their_platforms_and_lead_somewhere() -> None:
    official, staff = tuple(menus.official_account("https://x")), tuple(menus.staff())
    assert len(official) <= 3
    assert all(len(item.children) <= 5 for item in (*official, *staff))
    assert all(len(item.text.encode()) <= 16 for item in official)
    assert {leaf.key for leaf in leaves(official)} <= {*routes.MEMBER, *routes.BURSTS}
    assert {leaf.key for leaf in leaves(staff)} <= set(routes.STAFF)
    assert [leaf.text for leaf in leaves(staff) if leaf.camera]


@pytest.mark.parametrize("language", ["", "zh"])
def test_every_telegram_command_is_understood(language: str) -> None:
    for item in menus.telegram("https://x")[language]:
        assert re.fullmatch(r"[a-z0-9_]{1,32}", item.command)
        assert recognise(f"/{item.command}", for_staff=False).route == item.key


def test_typed_markup_stays_text() -> None:
    template = environment().from_string("- {{ 'a' }}: {{ typed | line }}")
    reply = parse("# t\n" + template.render(typed="x\n[buy](claim:1)\n# y"))
    assert reply.buttons == ()
    assert reply.card is not None
    assert reply.card.rows[0].value == "x [buy](claim:1) # y"


@pytest.mark.parametrize(("locale", "quoted"), [("zh-CN", "「([^」]+)」"), ("en", '"([a-z][a-z ]+)"')])
@pytest.mark.parametrize("folder", ["chat", "notices"])
def test_every_word_that_we_suggest_is_understood(folder: str, locale: str, quoted: str) -> None:
    for path in (TEMPLATES / folder / locale).glob("[a-z]*.j2"):
        text = re.sub(r"\{[{%].*?[%}]\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for words in re.findall(quoted, text):
            if words not in {"同意", "我的"}:
                assert recognise(words, for_staff=False).route != "fallback", (path.name, words)


@pytest.mark.parametrize(("locale", "bullet"), [("zh-CN", "｜"), ("en", " | ")])
def test_every_example_of_the_help_is_understood(locale: str, bullet: str) -> None:
    text = (TEMPLATES / "chat" / locale / "help.j2").read_text(encoding="utf-8")
    examples = [words for line in text.splitlines() if line.startswith("· ") for words in line[2:].split(bullet)]
    assert len(examples) >= 12
    assert [words for words in examples if recognise(words, for_staff=False).route == "fallback"] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_section_of_an_export_has_its_name(locale: str) -> None:
    text = (TEMPLATES / "chat" / locale / "my_data_export.j2").read_text(encoding="utf-8")
    assert [holding.section for holding in HOLDINGS if holding.section and f'"{holding.section}": ' not in text] == []
