"""Putting the API onto an aiohttp application."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from aiohttp import web

from miniapp_api import edge, ops, pages
from miniapp_api.context import ApiContext
from miniapp_api.endpoint import AnyEndpoint
from miniapp_api.endpoints import ENDPOINTS
from miniapp_api.endpoints.coupons import CLAIMS, shared_claims
from miniapp_api.limits import Limits
from miniapp_api.router import Serving, handler


def create_api(context: ApiContext) -> web.Application:
    """An application with the API, its documentation and the operations endpoints; more can be added to it."""
    app = web.Application(client_max_size=1024**2)
    mount_api(app, context)
    return app


def mount_api(
    app: web.Application,
    context: ApiContext,
    endpoints: Sequence[AnyEndpoint] = ENDPOINTS,
) -> None:
    """Add the API to `app`, which may serve callbacks, the sandbox and pages beside it."""
    base_url = context.settings.public_url
    app.middlewares.append(edge.surrounding(base_url))
    serving = Serving(context=context, limits=Limits(context.redis))
    for endpoint in endpoints:
        app.router.add_route(endpoint.method, endpoint.path, handler(endpoint, serving))
    app.router.add_routes(ops.routes(context))
    app.router.add_routes(pages.routes())
    app[CLAIMS] = shared_claims()
    app.cleanup_ctx.append(_drained)
    app.cleanup_ctx.append(_loop_lag)


async def _drained(app: web.Application) -> AsyncIterator[None]:
    yield
    await app[CLAIMS].drain()


async def _loop_lag(app: web.Application) -> AsyncIterator[None]:
    watch = asyncio.create_task(ops.watch_loop_lag(app))
    yield
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
