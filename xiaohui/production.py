"""`xiaohui web` and `xiaohui worker`: the production processes."""

import asyncio
import os
import signal
import socket
import sys
from typing import Final

import typer
import uvloop
from aiohttp import web

from loyalty import schema
from loyalty.config import ConfigError, Settings
from xiaohui import accounts as configured
from xiaohui.web import SHUTDOWN_S, Surroundings, close, create_app, surroundings

BACKLOG: Final = 2048


def serve_web(settings: Settings, *, workers: int) -> int:
    """Serve HTTP in `workers` processes on one port; a process that dies is replaced."""
    _require_servers(settings)
    listening = _listen(settings)
    if workers == 1:
        return uvloop.run(_web(settings, listening))
    return _supervise(settings, listening, workers)


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
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((settings.host, settings.port))
    listening.listen(BACKLOG)
    listening.set_inheritable(True)
    return listening


def _supervise(settings: Settings, listening: socket.socket, workers: int) -> int:
    children: set[int] = set()
    stopping = False

    def stop(_number: int, _frame: object) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while len(children) < workers:
        children.add(_fork(settings, listening))
    while children:
        try:
            child, status = os.wait()
        except InterruptedError:
            continue
        children.discard(child)
        if not stopping:
            typer.echo(f"web process {child} ended ({os.waitstatus_to_exitcode(status)}), starting another", err=True)
            children.add(_fork(settings, listening))
    return 0


def _fork(settings: Settings, listening: socket.socket) -> int:
    child = os.fork()
    if child:
        return child
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    sys.exit(uvloop.run(_web(settings, listening)))


async def _web(settings: Settings, listening: socket.socket) -> int:
    from scheduler.worker import RemoteBell

    around = await surroundings(settings, configured.read(settings))
    await _refuse_old_schema(around)
    bell = RemoteBell(settings.redis_url or "")
    bell.start()
    runner = web.AppRunner(create_app(around), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=BACKLOG).start()
    await _stopped()
    # Readiness turns false first, so that a balancer stops sending before we stop accepting.
    around.lifecycle.draining = True
    await runner.cleanup()
    await bell.close()
    await close(around)
    return 0


async def serve_worker(settings: Settings) -> int:
    """Relay, sweeps, sends and journeys until told to stop."""
    from scheduler.worker import Worker

    _require_servers(settings)
    around = await surroundings(settings, configured.read(settings))
    await _refuse_old_schema(around)
    worker = Worker(settings, around.channels, sms=around.accounts.sms, http=around.http)
    working = asyncio.create_task(worker.run())
    stopped = asyncio.create_task(_stopped())
    await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await worker.stop()
    await working
    await close(around)
    return 0


async def _refuse_old_schema(around: Surroundings) -> None:
    missing = await schema.missing()
    if missing:
        await close(around)
        raise ConfigError(f"the database lacks {', '.join(missing)}: run `xiaohui migrate` first")


async def _stopped() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
