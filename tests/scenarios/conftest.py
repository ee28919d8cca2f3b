"""A fresh town for every story."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.conftest import Servers
from tests.scenarios.town import Town, built
from tests.support.storm import assert_sound


@pytest.fixture
async def town(database: None, servers: Servers, tmp_path: Path) -> AsyncIterator[Town]:
    """The town, whose books are in order when the story ends."""
    async with built(tmp_path, servers.redis_url) as made:
        # Every story begins at ten in the morning, whenever the tests run.
        await made.until(10)
        yield made
        await assert_sound()
