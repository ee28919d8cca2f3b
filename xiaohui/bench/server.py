"""The product's web process for a benchmark: `python -m xiaohui.bench.server` with the addresses in its environment."""

import asyncio
import signal
import socket

import uvloop
from aiohttp import web

from bot.accounts import ChannelAccounts
from loyalty.config import Settings, load
from xiaohui import logs
from xiaohui.bench.prepared import ACCOUNT
from xiaohui.web import close, create_app, surroundings

BACKLOG = 2048


async def serve(settings: Settings) -> None:
    """Serve until told to stop, on a socket that several such processes share."""
    around = await surroundings(settings, ChannelAccounts(wechat_oa=(ACCOUNT,)))
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listening.bind((settings.host, settings.port))
    runner = web.AppRunner(create_app(around), access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening, backlog=BACKLOG).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()
    await close(around)


if __name__ == "__main__":
    chosen = load()
    logs.configure(level="error", as_json=True)
    uvloop.run(serve(chosen))
