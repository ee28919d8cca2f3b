"""Homes for embedded servers."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.xiaohui.launcher import quiet
from xiaohui.embedded.folders import socket_mark
from xiaohui.embedded.servers import EmbeddedServers


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    """A home with a long name, spaces and Chinese characters that the servers' account can reach; not yet made."""
    top = Path(tempfile.mkdtemp(prefix="xiaohui-test-home-"))
    top.chmod(0o711 if os.geteuid() == 0 else 0o700)
    below = top / "会员 数据 folder" / ("很长的目录名" * 8)
    below.mkdir(parents=True)
    below.parent.chmod(0o711)
    mark = socket_mark(below / "家 home").rpartition("-")[2]
    yield below / "家 home"
    shutil.rmtree(top)
    for left in Path("/tmp").glob(f"xiaohui-*-{mark}"):
        shutil.rmtree(left)


@pytest.fixture(scope="session")
def used_home() -> Iterator[Path]:
    """A home after its first start; to be copied, because making one takes a second."""
    top = Path(tempfile.mkdtemp(prefix="xiaohui-test-home-"))
    top.chmod(0o711 if os.geteuid() == 0 else 0o700)
    EmbeddedServers(top / "home").start(quiet).stop()
    yield top / "home"
    shutil.rmtree(top)


@pytest.fixture
def home(fresh_home: Path, used_home: Path) -> Path:
    """Like `fresh_home`, after its first start."""
    subprocess.run(["cp", "-a", str(used_home), str(fresh_home)], check=True)
    return fresh_home
