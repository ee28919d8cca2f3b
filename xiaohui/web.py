"""The web process: callbacks, API and, in development, the sandbox, on one port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from redis.asyncio import Redis

from bot.accounts import ChannelAccounts
from bot.channel import Channel
from bot.http import PlatformHttp
from bot.registry import build_channels, build_pay
from bot.sms.provider import HttpSms
from bot.webhook import Webhook
from bot.wechat_pay.client import WechatPay
from bot.wechat_pay.hook import PayHook
from handlers.messages import ChannelName
from handlers.router import Router
from loyalty import clock, db, vault
from loyalty.config import ConfigError, Settings
from miniapp_api.app import mount_api
from miniapp_api.context import ApiContext, Lifecycle
from xiaohui import memory

SHUTDOWN_S: Final = 25.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the web side and the worker side of a process share."""

    settings: Settings
    accounts: ChannelAccounts
    http: PlatformHttp
    channels: dict[tuple[ChannelName, str], Channel]
    redis: Redis
    lifecycle: Lifecycle
    pay: dict[str, WechatPay] = field(default_factory=dict)


async def surroundings(settings: Settings, accounts: ChannelAccounts) -> Surroundings:
    """Unlock the vault, open the pools, build the channels.

    Raises:
        ConfigError: a needed address or secret is missing.
    """
    if settings.database_url is None or settings.redis_url is None or settings.secret is None:
        raise ConfigError("XIAOHUI_DATABASE_URL, XIAOHUI_REDIS_URL and XIAOHUI_SECRET are needed here")
    vault.unlock(settings.secret)
    await db.connect(settings.database_url, pool_size=settings.pool_size)
    http = PlatformHttp()
    return Surroundings(
        settings=settings,
        accounts=accounts,
        http=http,
        channels=build_channels(accounts, http),
        pay=build_pay(accounts, http, settings.public_url),
        redis=Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2),
        lifecycle=Lifecycle(),
    )


async def close(around: Surroundings) -> None:
    """Close the pools."""
    await around.http.close()
    with suppress(OSError):
        await around.redis.aclose()
    await db.disconnect()


def create_app(around: Surroundings, *, sandbox: web.Application | None = None) -> web.Application:
    """Everything that answers HTTP in this process."""
    app = web.Application(client_max_size=1024**2)
    app.on_response_prepare.append(_hang_up_while_draining(around.lifecycle))
    mount_api(app, _api_context(around))
    webhook = Webhook(around.channels, Router())
    app.add_routes(PayHook(around.pay).routes())
    app.add_routes(webhook.routes())
    if sandbox is not None:
        sandbox.middlewares.append(_follow_sandbox_clock(sandbox))
        app.add_subapp("/sandbox", sandbox)
        app.router.add_get("/sandbox", _to_sandbox)
        app.router.add_get("/", _to_sandbox)

    async def drained(_app: web.Application) -> AsyncIterator[None]:
        yield
        await webhook.drain()

    app.cleanup_ctx.append(drained)
    app.on_startup.append(memory.settle)
    return app


def _api_context(around: Surroundings) -> ApiContext:
    sms = HttpSms(around.accounts.sms, around.http) if around.accounts.sms else None
    return ApiContext(
        settings=around.settings,
        channels=around.channels,
        accounts=around.accounts,
        pay=around.pay,
        sms=sms,
        redis=around.redis,
        lifecycle=around.lifecycle,
    )


def _hang_up_while_draining(lifecycle: Lifecycle) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Kept connections would meet a closed door with their next request; told so now, they go elsewhere."""

    async def hang_up(_request: web.Request, response: web.StreamResponse) -> None:
        if lifecycle.draining:
            response.force_close()
            response.headers["Connection"] = "close"

    return hang_up


async def _to_sandbox(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("/sandbox/")


def _follow_sandbox_clock(sandbox: web.Application) -> Middleware:
    """When somebody moves the sandbox's clock, ours moves with it: expiries and birthdays can be watched."""
    from bot.sandbox.app import STAGE

    @web.middleware
    async def follow(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        clock.shift(timedelta(seconds=sandbox[STAGE].clock.offset_s))
        return response

    clock.shift(timedelta(seconds=sandbox[STAGE].clock.offset_s))
    return follow
