"""`xiaohui web` and `xiaohui worker`: the production processes."""

import asyncio
import signal
import socket
from typing import Final

import structlog
import typer
import uvloop
from aiohttp import web

from loyalty.config import ConfigError, Settings
from scheduler.worker import RemoteBell, Worker
from xiaohui import accounts as configured
from xiaohui.fitness import in_words, refuse_older_schema, refuse_other_secret
from xiaohui.supervisor import supervise
from xiaohui.web import SHUTDOWN_S, Surroundings, close, create_app, surroundings

log = structlog.get_logger("process")

BACKLOG: Final = 2048
CANNOT_LISTEN: Final = 3
# Between closing the door and sending home who is inside: the time for what the door had let in to be read.
LAST_REQUESTS_S: Final = 0.3


def serve_web(settings: Settings, *, workers: int) -> int:
    """Serve HTTP in `workers` processes on one port; a process that dies is replaced."""
    _require_servers(settings)
    refused = asyncio.run(in_words(_examined(settings)))
    if refused:
        return refused
    try:
        listening = _listen(settings)
    except OSError as taken:
        typer.secho(f"cannot listen on {settings.host}:{settings.port}: {taken.strerror}", err=True, fg="red")
        return CANNOT_LISTEN
    with listening:
        if workers == 1:
            return uvloop.run(in_words(_web(settings, listening)))
        return supervise(lambda: uvloop.run(in_words(_web(settings, listening))), workers, let_go=listening.close)


def _require_servers(settings: Settings) -> None:
    missing = [
        name
        for name, value in (
            ("XIAOHUI_DATABASE_URL", settings.database_url),
            ("XIAOHUI_REDIS_URL", settings.redis_url),
            ("XIAOHUI_SECRET", settings.secret),
        )
        if not value
    ]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: missing")


def _listen(settings: Settings) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


async def _examined(settings: Settings) -> int:
    """Open and close everything once, so that what cannot work is said before a port is taken or a process forked."""
    await close(await _ready(settings))
    return 0


async def _ready(settings: Settings) -> Surroundings:
    """The surroundings, on a database that this version and this secret can work with.

    Raises:
        ConfigError: the schema is older, or the data was sealed with another secret.
    """
    around = await surroundings(settings, configured.read(settings))
    try:
        await refuse_older_schema()
        await refuse_other_secret()
    except BaseException:
        await close(around)
        raise
    return around


async def _web(settings: Settings, listening: socket.socket) -> int:
    stop = _Stop()
    around = await _ready(settings)
    remote = RemoteBell(settings.redis_url or "")
    runner = web.AppRunner(create_app(around), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    site = web.SockSite(runner, listening, backlog=BACKLOG)
    await site.start()
    remote.start()
    log.info("serving", host=settings.host, port=settings.port)
    try:
        await stop.asked()
        await _drain(around, site, settings.drain_s, stop)
        await runner.cleanup()
    finally:
        await remote.close()
        await close(around)
    return 0


async def _drain(around: Surroundings, site: web.BaseSite, drain_s: float, stop: "_Stop") -> None:
    """Say "not ready" for long enough that a balancer hears it, then let nobody in, then finish.

    A second request to stop cuts the waiting short; nothing that was let in is dropped by it.
    """
    around.lifecycle.draining = True
    log.info("draining", seconds=drain_s)
    await stop.asked_again(within_s=drain_s)
    await site.stop()
    await asyncio.sleep(LAST_REQUESTS_S)


async def serve_worker(settings: Settings) -> int:
    """Relay, sweeps, sends and journeys until told to stop."""
    _require_servers(settings)
    return await in_words(_worker(settings))


async def _worker(settings: Settings) -> int:
    stop = _Stop()
    around = await _ready(settings)
    worker = Worker(settings, around.channels, sms=around.accounts.sms, http=around.http, pay=around.pay)
    working = asyncio.create_task(worker.run())
    stopped = asyncio.create_task(stop.asked())
    log.info("working")
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    log.info("stopping")
    await worker.stop()
    await working
    await close(around)
    return 0


class _Stop:
    """SIGTERM and SIGINT, counted from the moment this is made."""

    def __init__(self) -> None:
        self._asked = (asyncio.Event(), asyncio.Event())
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._ask)

    def _ask(self) -> None:
        first, again = self._asked
        (again if first.is_set() else first).set()

    async def asked(self) -> None:
        await self._asked[0].wait()

    async def asked_again(self, *, within_s: float) -> None:
        """Wait for the second time, `within_s` seconds at most."""
        try:
            await asyncio.wait_for(self._asked[1].wait(), timeout=within_s)
        except TimeoutError:
            return
