"""The API on a real port over the real database."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from loyalty import config
from miniapp_api.app import create_api
from miniapp_api.context import ApiContext
from tests.miniapp_api.people import Api


@pytest.fixture
def settings() -> config.Settings:
    return config.load({"XIAOHUI_CONFIG": "xiaohui.toml", "XIAOHUI_PUBLIC_URL": "http://api.test"})


@pytest.fixture
def context(settings: config.Settings) -> ApiContext:
    return ApiContext(settings=settings)


@pytest.fixture
async def api(database: None, context: ApiContext) -> AsyncIterator[Api]:
    async with TestClient(TestServer(create_api(context))) as client:
        yield Api(client)
