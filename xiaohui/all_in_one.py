"""`xiaohui run`: embedded servers, demo data, sandbox, web and worker in one process."""

import asyncio
import signal
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
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
from xiaohui.embedded.servers import EmbeddedServers
from xiaohui.first_run import DevelopmentSecrets, development_secrets
from xiaohui.operations import publish_all
from xiaohui.web import SHUTDOWN_S, create_app, surroundings
from xiaohui.web import close as close_surroundings

PORT_TAKEN: Final = 3
DEMO_MEMBERS: Final = 120


def run_all(settings: Settings) -> int:
    """Start everything, wait for Ctrl-C, stop everything; the exit status."""
    if settings.is_production:
        typer.secho(
            "`xiaohui run` 用于开发；生产请用 web 与 worker · run is for development; use web and worker", err=True
        )
        return 2
    started = time.monotonic()
    made = development_secrets(settings.home)
    with ExitStack() as stack:
        try:
            settings, listening = _ready(settings, made, stack)
        except CannotStart as refusal:
            typer.secho(str(refusal), err=True, fg="red")
            return refusal.exit_status
        except OSError as taken:
            _say_port_taken(settings, taken)
            return PORT_TAKEN
        return uvloop.run(_serve(settings, made, listening, started))


def _ready(settings: Settings, made: DevelopmentSecrets, stack: ExitStack) -> tuple[Settings, socket.socket]:
    listening = _listen(settings)
    stack.callback(listening.close)
    database_url, redis_url = settings.database_url, settings.redis_url
    if not (database_url and redis_url):
        _step("启动内置 PostgreSQL 与 Valkey · starting the embedded servers")
        running = EmbeddedServers(settings.home).start(_step)
        stack.callback(running.stop)
        database_url, redis_url = database_url or running.database_url, redis_url or running.redis_url
    return (
        replace(
            settings,
            database_url=database_url,
            redis_url=redis_url,
            secret=settings.secret or made.secret.encode(),
            port=listening.getsockname()[1],
        ),
        listening,
    )


def _listen(settings: Settings) -> socket.socket:
    listening = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((settings.host, settings.port))
    return listening


def _say_port_taken(settings: Settings, taken: OSError) -> None:
    typer.secho(
        f"端口 {settings.port} 已被占用（{taken.strerror}）。换一个端口：PORT=8081 make run\n"
        f"Port {settings.port} is taken. Choose another one: PORT=8081 make run",
        err=True,
        fg="red",
    )


def _step(line: str) -> None:
    typer.secho(f"  · {line}", fg="cyan")


async def _serve(settings: Settings, made: DevelopmentSecrets, listening: socket.socket, started: float) -> int:
    assert settings.database_url is not None  # noqa: S101 - `_ready` filled it
    for name in await schema.migrate(settings.database_url):
        _step(f"数据库结构 · schema {name}")
    base = f"http://{_host(settings)}:{settings.port}"
    settings = replace(settings, public_url=base, sandbox=True)
    every, played = _accounts(settings, made, base)
    around = await surroundings(settings, every)
    seeded = await seed_once(settings.home, members=DEMO_MEMBERS, corp_id=made.keys["corp_id"])
    if seeded:
        _step(f"演示数据：{seeded} 位会员 · demo data: {seeded} members")
    from scheduler.worker import Worker

    worker = Worker(around.settings, around.channels, sms=around.accounts.sms, http=around.http)
    sandbox = sandboxed.sandbox(played, base, settings.home / "sandbox")
    runner = web.AppRunner(create_app(around, sandbox=sandbox), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    working = asyncio.create_task(worker.run())
    try:
        await publish_all(around, only=played)
        _say_ready(base, time.monotonic() - started)
        await _until_stopped(working)
    finally:
        around.lifecycle.draining = True
        typer.echo("\n正在停止，数据会保留 · stopping, your data stays")
        await worker.stop()
        await working
        await runner.cleanup()
        await close_surroundings(around)
    return 0


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


async def _until_stopped(working: "asyncio.Task[None]") -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    waiting = asyncio.create_task(stop.wait())
    await asyncio.wait({waiting, working}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if working.done() and not stop.is_set():
        working.result()
