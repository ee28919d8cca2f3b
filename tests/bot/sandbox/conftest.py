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

Opener = Callable[..., Awaitable[Town]]


@pytest.fixture
async def open_town() -> AsyncIterator[Opener]:
    """Starts towns; keyword arguments change the sandbox's configuration."""
    closing: list[Callable[[], Awaitable[None]]] = []

    async def serve(app: web.Application) -> str:
        runner = web.AppRunner(app)
        await runner.setup()
        closing.append(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def opened(change: Callable[[SandboxConfig], SandboxConfig] = lambda c: c, **changes: Any) -> Town:
        product = Product()
        app = web.Application()
        app.router.add_get("/oa", product.verify_oa)
        app.router.add_get("/wecom", product.verify_wecom)
        for path in ("oa", "mini", "wecom", "telegram"):
            app.router.add_post(f"/{path}", getattr(product, path))
        config = change(make_config(await serve(app), **changes))
        url = await serve(create_sandbox(config))
        http = aiohttp.ClientSession(url, json_serialize=lambda value: json.dumps(value, ensure_ascii=False))
        closing.append(http.close)
        return Town(product, http, config)

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
