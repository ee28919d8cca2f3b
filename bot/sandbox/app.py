"""The sandbox as one aiohttp application, mounted by the product's demo or run alone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from bot.sandbox.access import GUARDED, refusal
from bot.sandbox.config import SandboxConfig
from bot.sandbox.control import add_control
from bot.sandbox.pay_acts import keep_telling
from bot.sandbox.pay_api import add_pay
from bot.sandbox.sms_api import add_sms
from bot.sandbox.stage import Stage
from bot.sandbox.store import Store
from bot.sandbox.telegram_api import add_telegram
from bot.sandbox.telegram_inbound import keep_retrying
from bot.sandbox.wechat_api import add_wechat
from bot.sandbox.wecom_api import add_wecom

STAGE = web.AppKey("stage", Stage)
PAGE = Path(__file__).parent / "web"


def create_sandbox(config: SandboxConfig) -> web.Application:
    """All platforms, the control API and the page. The world is read from, and kept in, `config.state_folder`."""
    store = Store(config.state_folder)
    stage = Stage(config, store.load())
    app = web.Application(middlewares=[] if config.control_open else [_only_here], client_max_size=12 << 20)
    app[STAGE] = stage

    async def live(_: web.Application) -> AsyncIterator[None]:
        retrying = [asyncio.create_task(keep(stage)) for keep in (keep_retrying, keep_telling)]
        async with store.keeping(stage.world):
            yield
            for task in retrying:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await stage.close()

    async def end_streams(_: web.Application) -> None:
        stage.events.close()

    app.cleanup_ctx.append(live)
    app.on_shutdown.append(end_streams)
    add_control(app, stage)
    add_wechat(app, stage)
    add_wecom(app, stage)
    add_telegram(app, stage)
    add_sms(app, stage)
    add_pay(app, stage)
    _add_page(app)
    return app


@web.middleware
async def _only_here(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if any(part in request.path for part in GUARDED) and (why := refusal(request)):
        return web.json_response({"error": "forbidden", "message": why}, status=403)
    return await handler(request)


def _add_page(app: web.Application) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})

    if (PAGE / "index.html").exists():
        app.router.add_get("/", page)
        app.router.add_static("/web", PAGE)
