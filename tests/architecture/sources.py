"""What the architecture tests look at: the project's own files, parsed once."""

import ast
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PRODUCT: Final = ("bot", "handlers", "loyalty", "miniapp_api", "scheduler", "templates", "xiaohui")
FOLDERS: Final = (*PRODUCT, "docs", "tools", "tests", "changes")
CHINESE: Final = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uff00-\uffef]")


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path

    @property
    def name(self) -> str:
        """Its place in the tree, as everybody writes it."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    def strings(self) -> Iterator[tuple[int, str]]:
        """Every string that the program can use, with its line; docstrings are not among them."""
        documentation = set(self._docstrings())
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in documentation:
                yield node.lineno, node.value

    def _docstrings(self) -> Iterator[ast.Constant]:
        # Strings that stand alone document the line above them, wherever they stand.
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                yield node.value

    def comments(self) -> Iterator[tuple[int, str]]:
        """Every comment with its line."""
        with self.path.open("rb") as file:
            for token in tokenize.tokenize(file.readline):
                if token.type == tokenize.COMMENT:
                    yield token.start[0], token.string

    def calls(self) -> Iterator[tuple[int, str]]:
        """Every call as it is written, `clock.now` for `clock.now()`, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield node.lineno, ast.unparse(node.func)


@cache
def sources(*folders: str) -> tuple[Source, ...]:
    """The Python files below `folders`, in a stable order."""
    return tuple(Source(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))


@cache
def project_files() -> tuple[Path, ...]:
    """Every file that people write: all of the project's folders, and what lies at its root."""
    below = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*")))
    # In a linked work tree `.git` is a file, and it is git's.
    beside = (path for path in sorted(ROOT.iterdir()) if path.name not in {"xiaohui.toml", ".env", ".git"})
    return tuple(path for path in (*below, *beside) if path.is_file() and "__pycache__" not in path.parts)


def allowed(name: str, escapes: Iterable[str]) -> bool:
    """True when `name`, or a folder above it, is among `escapes`, which may hold patterns."""
    return any(fnmatch(name, place) or name.startswith(f"{place}/") for place in escapes)
