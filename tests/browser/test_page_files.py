"""What must be true of the page's files, without a browser."""

import re
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "bot" / "sandbox" / "web"
MODULES = sorted(WEB.rglob("*.js"))
STYLES = sorted(WEB.rglob("*.css"))
KEY = re.compile(r'^  "([^"]+)": "', re.MULTILINE)
LINES_MAX = 400


def words(language: str) -> dict[str, str]:
    text = (WEB / "words" / f"{language}.js").read_text(encoding="utf-8")
    return dict(re.findall(r'^  "([^"]+)": "(.*)",$', text, re.MULTILINE))


def test_both_languages_say_the_same_things() -> None:
    assert words("zh").keys() == words("en").keys()
    holes = re.compile(r"\{\w+\}")
    for key, said in words("zh").items():
        assert sorted(holes.findall(said)) == sorted(holes.findall(words("en")[key])), key


def test_every_word_that_the_modules_ask_for_exists() -> None:
    known = words("zh")
    for module in MODULES:
        for key in re.findall(r'\bt\("([^"]+)"', module.read_text(encoding="utf-8")):
            assert key in known, f"{module.name}: {key}"


def test_no_word_is_left_over() -> None:
    code = "\n".join(module.read_text(encoding="utf-8") for module in MODULES if module.parent.name != "words")
    stems = set(re.findall(r"`([\w.]+)\.\$\{", code))
    for key in words("zh"):
        named = f'"{key}"' in code or any(key.startswith(f"{stem}.") for stem in stems)
        assert named, f"{key} is never shown"


@pytest.mark.parametrize("path", [*MODULES, *STYLES], ids=lambda path: path.name)
def test_files_stay_small_and_at_home(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)[a-z0-9]", text), "no outside resource"
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)
    assert 'setAttribute("style"' not in text


def test_the_page_has_no_inline_script_or_style() -> None:
    text = (WEB / "index.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert "unsafe-inline" not in text
    assert "<style" not in text
    assert " style=" not in text
    assert not re.search(r"\son\w+=", text)
    assert all("src=" in script for script in re.findall(r"<script[^>]*>", text))
    for path in re.findall(r'(?:href|src)="web/([^"]+)"', text):
        assert (WEB / path).is_file(), path


def test_every_style_and_module_is_reached() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    for style in STYLES:
        assert f"web/{style.relative_to(WEB)}" in page
    imported = {"main.js"}
    for module in MODULES:
        for target in re.findall(r'from "(\.[^"]+)"', module.read_text(encoding="utf-8")):
            found = (module.parent / target).resolve()
            assert found.is_file(), f"{module.name} imports {target}"
            imported.add(found.name)
    assert {module.name for module in MODULES} == imported
