"""`xiaohui run`: embedded servers, demo data, sandbox, web and worker in one process."""

import asyncio
import errno
import signal
import socket
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import typer
import uvloop
from aiohttp import web

from bot.accounts import ChannelAccounts
from loyalty import schema
from loyalty.config import Settings
from xiaohui import accounts as configured
from xiaohui import sandboxed
from xiaohui.demo.seed import seed_once
from xiaohui.embedded.refusals import CannotStart
from xiaohui.embedded.servers import EmbeddedServers, Running
from xiaohui.entrances import publish_all
from xiaohui.first_run import DevelopmentSecrets, development_secrets
from xiaohui.fitness import refuse_other_secret
from xiaohui.web import SHUTDOWN_S, Surroundings, create_app, surroundings
from xiaohui.web import close as close_surroundings

BROKEN: Final = 1
PORT_TAKEN: Final = 3
WATCH_S: Final = 0.5
DEMO_MEMBERS: Final = 120


def run_all(settings: Settings) -> int:
    """Start everything, wait for Ctrl-C, stop everything; the exit status."""
    if settings.is_production:
        typer.secho(
            "`xiaohui run` 用于开发；生产请用 web 与 worker · run is for development; use web and worker", err=True
        )
        return 2
    started = time.monotonic()
    with ExitStack() as stack:
        try:
            ready = _ready(settings, stack)
        except CannotStart as refusal:
            typer.secho(str(refusal), err=True, fg="red")
            return refusal.exit_status
        except OSError as taken:
            _say_port_taken(settings, taken)
            return PORT_TAKEN
        except KeyboardInterrupt:
            _say_stopping()
            return 0
        return uvloop.run(_until_stopped(ready, started))


@dataclass(frozen=True, slots=True)
class _Ready:
    """What is there before anything is served; `servers` are None where the addresses are configured."""

    settings: Settings
    made: DevelopmentSecrets
    listening: socket.socket
    servers: Running | None


def _ready(settings: Settings, stack: ExitStack) -> _Ready:
    """The servers before the port: a second start of the same data folder hears that, and not that a port is taken."""
    servers: Running | None = None
    database_url, redis_url = settings.database_url, settings.redis_url
    if not (database_url and redis_url):
        _step("启动内置 PostgreSQL 与 Valkey · starting the embedded servers")
        servers = EmbeddedServers(settings.home).start(_step)
        stack.callback(servers.stop)
        database_url, redis_url = database_url or servers.database_url, redis_url or servers.redis_url
    listening = _listen(settings)
    stack.callback(listening.close)
    made = development_secrets(settings.home)
    settings = replace(
        settings,
        database_url=database_url,
        redis_url=redis_url,
        secret=settings.secret or made.secret.encode(),
        port=listening.getsockname()[1],
    )
    base = f"http://{_host(settings)}:{settings.port}"
    return _Ready(replace(settings, public_url=base, sandbox=True), made, listening, servers)


def _listen(settings: Settings) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError:
        listening.close()
        raise
    return listening


def _say_port_taken(settings: Settings, taken: OSError) -> None:
    if taken.errno != errno.EADDRINUSE:
        where = f"{settings.host}:{settings.port}"
        typer.secho(f"无法监听 {where}：{taken.strerror} · cannot listen on {where}", err=True, fg="red")
        return
    typer.secho(
        f"端口 {settings.port} 已被占用（{taken.strerror}）。换一个端口：PORT=8081 make run\n"
        f"Port {settings.port} is taken. Choose another one: PORT=8081 make run",
        err=True,
        fg="red",
    )


def _say_stopping() -> None:
    typer.echo("\n正在停止，数据会保留 · stopping, your data stays")


def _step(line: str) -> None:
    typer.secho(f"  · {line}", fg="cyan")


async def _until_stopped(ready: _Ready, started: float) -> int:
    """Serve until somebody says stop, at whatever stage, or until something that is needed has ended."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve(ready, started))
    told = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(_first_dead(ready.servers))
    await asyncio.wait({serving, told, watching}, return_when=asyncio.FIRST_COMPLETED)
    if dead := ready.servers.dead() if ready.servers else []:
        return await _end_without_servers(serving, dead, ready.settings.home)
    if told.done():
        _say_stopping()
    for task in (serving, told, watching):
        task.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        return 0
    return BROKEN


async def _end_without_servers(serving: asyncio.Task[None], dead: list[str], home: Path) -> int:
    """Stop, and say why last: without its servers nothing ends well, and what fails meanwhile is logged."""
    serving.cancel()
    with suppress(asyncio.CancelledError, Exception):
        await serving
    _say_dead(dead, home)
    return BROKEN


async def _first_dead(servers: Running | None) -> list[str]:
    """Return the names of embedded servers that have ended, once one has."""
    while servers is None or not (dead := servers.dead()):  # noqa: ASYNC110 - they have no event; they are asked
        await asyncio.sleep(WATCH_S)
    return dead


def _say_dead(names: list[str], home: Path) -> None:
    which, logs = ", ".join(names), home / "log"
    typer.secho(
        f"\n{which} 意外结束，小惠随之停止；日志在 {logs}。再次运行 make run 即可恢复。\n"
        f"{which} has ended unexpectedly, so Xiaohui stops too; its log is in {logs}. make run starts it again.",
        err=True,
        fg="red",
    )


async def _serve(ready: _Ready, started: float) -> None:
    """Everything on one port until cancelled."""
    settings = ready.settings
    for name in await schema.migrate(settings.database_url or ""):
        _step(f"数据库结构 · schema {name}")
    every, played = _accounts(settings, ready.made, settings.public_url)
    around = await surroundings(settings, every)
    try:
        await refuse_other_secret()
        seeded = await seed_once(
            settings.home, members=DEMO_MEMBERS, corp_id=ready.made.keys["corp_id"], progress=_step
        )
        if seeded:
            _step(f"演示数据：{seeded} 位会员 · demo data: {seeded} members")
        await _work(around, played, ready, started)
    finally:
        await close_surroundings(around)


async def _work(around: Surroundings, played: ChannelAccounts, ready: _Ready, started: float) -> None:
    from scheduler.worker import Worker

    worker = Worker(around.settings, around.channels, sms=around.accounts.sms, http=around.http, pay=around.pay)
    sandbox = sandboxed.sandbox(played, around.settings.public_url, around.settings.home / "sandbox")
    runner = web.AppRunner(create_app(around, sandbox=sandbox), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    working = asyncio.create_task(worker.run())
    try:
        await web.SockSite(runner, ready.listening).start()
        await publish_all(around, only=played)
        _say_ready(around.settings.public_url, time.monotonic() - started)
        await asyncio.shield(working)
    finally:
        around.lifecycle.draining = True
        await worker.stop()
        await asyncio.wait({working})
        await runner.cleanup()
    working.result()


def _accounts(settings: Settings, made: DevelopmentSecrets, base: str) -> tuple[ChannelAccounts, ChannelAccounts]:
    """Every account, those of the TOML file first, and among them those that the sandbox plays."""
    own = configured.read(settings)
    play = sandboxed.accounts(made, base, beside=own)
    every = ChannelAccounts(
        wechat_oa=(*own.wechat_oa, *play.wechat_oa),
        wechat_mini=(*own.wechat_mini, *play.wechat_mini),
        wecom=(*own.wecom, *play.wecom),
        telegram=(*own.telegram, *play.telegram),
        sms=own.sms or play.sms,
    )
    return every, play


def _host(settings: Settings) -> str:
    return "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - a comparison


def _say_ready(base: str, took_s: float) -> None:
    typer.secho(f"\n  小惠已就绪（{took_s:.1f} 秒） · Xiaohui is ready\n", fg="green", bold=True)
    typer.secho(f"  打开 · open   {base}/sandbox/\n", bold=True)
    typer.echo(f"  接口文档 · API docs   {base}/docs")
    typer.echo("  Ctrl-C 停止，数据保留 · Ctrl-C stops, data stays\n")
    sys.stdout.flush()
