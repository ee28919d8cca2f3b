"""A running deployment for the tests of a module, on the tests' own database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from loyalty import db
from loyalty.program import queries as program
from tests.conftest import EMPTY_ALL, Servers
from tests.support.product import Product, deployed
from tests.support.storm import Caller, connections

WEB_PROCESSES = 4


@pytest.fixture(scope="module")
async def product(
    _connected: None, database_url: str, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Product]:
    """`xiaohui web` with four processes over an empty database; its tests keep to members of their own."""
    await db.execute(EMPTY_ALL)
    program.forget()
    folder: Path = tmp_path_factory.mktemp("deployment")
    async with deployed(folder, database_url, servers.redis_url) as running:
        await running.serve(WEB_PROCESSES)
        yield running


@pytest.fixture
async def anyone(product: Product) -> AsyncIterator[Caller]:
    """128 connections to the deployment; whoever calls says so with `by`."""
    async with connections(product.base) as caller:
        yield caller
