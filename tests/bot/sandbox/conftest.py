"""Towns: a running sandbox with a small product beside it."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bot.sandbox.app import create_sandbox
from bot.sandbox.config import SandboxConfig
from tests.bot.sandbox.town import Product, Town, make_config


def connect(url: str) -> aiohttp.ClientSession:
    """A client that leaves Chinese unescaped, as WeChat wants it."""
    return aiohttp.ClientSession(url, json_serialize=lambda value: json.dumps(value, ensure_ascii=False))


Opener = Callable[..., Awaitable[Town]]


@pytest.fixture
async def open_town() -> AsyncIterator[Opener]:
    """Starts towns; keyword arguments change the sandbox's configuration."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def serve(app: web.Application) -> tuple[str, Callable[[], Awaitable[None]]]:
        runner = web.AppRunner(app)
        await runner.setup()
        closing.append(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}", runner.cleanup

    async def opened(change: Callable[[SandboxConfig], SandboxConfig] = lambda c: c, **changes: Any) -> Town:
        product = Product()
        app = web.Application()
        app.router.add_get("/oa", product.verify_oa)
        app.router.add_get("/wecom", product.verify_wecom)
        for path in ("oa", "mini", "wecom", "telegram", "pay"):
            app.router.add_post(f"/{path}", getattr(product, path))
        config = change(make_config((await serve(app))[0], **changes))
        url, stop = await serve(create_sandbox(config))
        town = Town(product, connect(url), config)
        closing.append(town.close)

        async def restart() -> None:
            await town.http.close()
            await stop()
            town.http = connect((await serve(create_sandbox(config)))[0])

        town.restart = restart
        return town

    yield opened
    for close in reversed(closing):
        await close()


@pytest.fixture
async def town(open_town: Opener) -> Town:
    """The usual town."""
    return await open_town()


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """Where a world is kept."""
    return tmp_path / "sandbox"
