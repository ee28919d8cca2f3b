"""What operations ask: is the process alive, may it get work, what does it count."""

import asyncio
from ipaddress import ip_address
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import generate_latest

from loyalty import health, schema
from miniapp_api import metrics, reading
from miniapp_api.context import ApiContext
from miniapp_api.problems import encode

log = structlog.get_logger()

PROBE_S: Final = 2.0
LAG_EVERY_S: Final = 1.0

_JSON: Final = "application/json"


def routes(context: ApiContext) -> list[web.RouteDef]:
    """`/livez`, `/readyz` and `/metrics`."""

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def readyz(_request: web.Request) -> web.Response:
        checks = await readiness(context)
        ready = all(verdict == "ok" for verdict in checks.values())
        document = {"status": "ready" if ready else "not_ready", "checks": checks}
        return web.Response(status=200 if ready else 503, body=encode(document), content_type=_JSON)

    async def counted(request: web.Request) -> web.Response:
        # Counters say how a business is doing: they are for the private network, not for the public address.
        if not _is_private(reading.client_address(request, context.is_trusted_proxy)):
            raise web.HTTPNotFound
        return web.Response(
            body=generate_latest(),
            headers={"Content-Type": "text/plain; version=0.0.4"},
        )

    return [
        web.get("/livez", livez),
        web.get("/readyz", readyz),
        web.get("/metrics", counted),
    ]


async def readiness(context: ApiContext) -> dict[str, str]:
    """One verdict per condition, "ok" or what is wrong. Redis is not among them: no request needs it."""
    checks = {"draining": "draining" if context.lifecycle.draining else "ok"}
    try:
        async with asyncio.timeout(PROBE_S):
            await health.probe_write()
            checks["database"] = "ok"
            missing = await schema.missing()
            checks["migrations"] = "ok" if not missing else f"missing: {', '.join(missing)}"
    except Exception as broken:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        log.warning("not_ready", reason=type(broken).__name__)
        checks["database"] = f"away: {type(broken).__name__}"
    return checks


async def watch_loop_lag(_app: web.Application) -> None:
    """Measure how late the event loop is, once a second, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_EVERY_S
        await asyncio.sleep(LAG_EVERY_S)
        metrics.LOOP_LAG.set(max(0.0, loop.time() - due))


def _is_private(address: str) -> bool:
    try:
        return ip_address(address).is_private
    except ValueError:
        return False
