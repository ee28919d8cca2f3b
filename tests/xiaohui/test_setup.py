"""`make setup` where something is missing: plain words in both languages, and nothing that is not ours is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PARTS = ("Makefile", "tools", "pyproject.toml", "requirements.lock", "requirements-dev.lock")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The parts of a checkout that setup reads, under a path with spaces and Chinese characters."""
    copy = tmp_path / "检出 copy"
    copy.mkdir()
    for part in PARTS:
        source = CHECKOUT / part
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, copy / part)
    return copy


def make(checkout: Path, *arguments: str, pythons: str = "exit 127") -> "subprocess.CompletedProcess[str]":
    """Run make where every Python on PATH is the script `pythons`."""
    tools = checkout.parent / "bin"
    tools.mkdir(exist_ok=True)
    for name in ("python3.13", "python3.12", "python3.11", "python3", "python"):
        (tools / name).write_text(f"#!/bin/sh\n{pythons}\n")
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_without_a_python_that_suits_it_says_what_to_install(checkout: Path) -> None:
    ended = make(checkout, "setup")
    assert ended.returncode != 0
    assert "需要 Python 3.11" in ended.stderr
    assert "Python 3.11, 3.12 or 3.13 is needed" in ended.stderr
    assert not (checkout / ".venv").exists()


def test_without_the_venv_part_it_names_the_package(checkout: Path) -> None:
    ended = make(checkout, "setup", pythons=f'case "$*" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"')
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert ended.returncode != 0
    assert ended.stderr.count(f"apt install python{version}-venv") == 2


def test_a_foreign_environment_is_not_removed(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine").touch()
    ended = make(checkout, "setup", f"PYTHON={sys.executable}")
    assert ended.returncode != 0
    assert "was not made by make setup" in ended.stdout
    assert "不是 make setup 建立的" in ended.stdout
    assert (checkout / ".venv" / "mine").exists()


def test_without_the_network_it_fails_in_words_and_can_be_continued(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    ended = make(checkout, "setup", f"PYTHON={sys.executable}")
    assert ended.returncode != 0
    assert "安装失败" in ended.stdout
    assert "PIP_INDEX_URL" in ended.stdout
    assert not (checkout / ".venv" / "setup.stamp").exists()


def test_help_is_the_default_and_names_every_target(checkout: Path) -> None:
    ended = make(checkout)
    assert ended.returncode == 0
    for target in ("setup", "run", "test", "check", "test-deep", "bench-smoke", "lock", "clean"):
        assert f"make {target} " in ended.stdout
