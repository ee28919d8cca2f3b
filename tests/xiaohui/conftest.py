"""Homes for embedded servers."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from xiaohui.embedded.folders import socket_mark


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with a long name, spaces and Chinese characters that the servers' account can reach."""
    top = Path(tempfile.mkdtemp(prefix="xiaohui-test-home-"))
    top.chmod(0o711 if os.geteuid() == 0 else 0o700)
    below = top / "会员 数据 folder" / ("很长的目录名" * 8)
    below.mkdir(parents=True)
    (below.parent).chmod(0o711)
    mark = socket_mark(below / "家 home").rpartition("-")[2]
    yield below / "家 home"
    shutil.rmtree(top)
    for left in Path("/tmp").glob(f"xiaohui-*-{mark}"):
        shutil.rmtree(left)
