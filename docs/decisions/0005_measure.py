"""Measures what 0005-python-telegram-bot.md states; run it with the project's Python."""

import asyncio
import json
import logging
import multiprocessing
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from telegram import Bot, Update
from telegram.request import HTTPXRequest

from bot.accounts import TelegramAccount
from bot.http import PlatformHttp
from bot.strict_json import parse_object
from bot.telegram.client import TelegramClient
from bot.telegram.codec import decode_update, identity_of
from loyalty import clock

PORT = 18977
CONCURRENCY = 32
TOKEN = "1:A"  # noqa: S105 - of nobody
SENT = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": "hi"}
ME = {"id": 1, "is_bot": True, "first_name": "x", "username": "x_bot"}
UPDATE = {
    "update_id": 1,
    "message": {
        "message_id": 7,
        "from": {"id": 42, "is_bot": False, "first_name": "小明", "language_code": "zh-hans"},
        "chat": {"id": 42, "type": "private", "first_name": "小明"},
        "date": 1793505600,
        "text": "签到",
    },
}


def serve() -> None:
    """A Bot API that accepts everything."""
    answer = json.dumps({"ok": True, "result": SENT}).encode()

    async def accept(request: web.Request) -> web.Response:
        await request.read()
        if request.match_info["method"] == "getMe":
            return web.json_response({"ok": True, "result": ME})
        return web.Response(body=answer, content_type="application/json")

    app = web.Application()
    app.router.add_route("*", "/bot{token}/{method}", accept)
    web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)


async def drive(name: str, send: Callable[[int], Awaitable[object]], count: int) -> None:
    """Send `count` messages with `CONCURRENCY` at a time and print the rate and the processor time."""
    numbers = iter(range(1, count + 1))

    async def sender() -> None:
        for number in numbers:
            await send(number)

    started, cpu = time.perf_counter(), time.process_time()
    async with asyncio.TaskGroup() as senders:
        for _ in range(CONCURRENCY):
            senders.create_task(sender())
    rate = count / (time.perf_counter() - started)
    print(f"{name:36s} {rate:7.0f}/s {(time.process_time() - cpu) / count * 1e6:6.0f} us of processor time")  # noqa: T201


def time_parsing(name: str, parse: Callable[[], object], count: int = 5000) -> None:
    """Print the processor time of one `parse`."""
    started = time.process_time()
    for _ in range(count):
        parse()
    print(f"{name:36s} {(time.process_time() - started) / count * 1e6:6.1f} us")  # noqa: T201


async def main() -> None:
    """Outbound three ways, inbound two ways."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    base, http = f"http://127.0.0.1:{PORT}", PlatformHttp()
    client = TelegramClient(TelegramAccount("main", TOKEN, "secret", api_base=base), http)
    request = HTTPXRequest(connection_pool_size=CONCURRENCY, pool_timeout=60)
    async with Bot(TOKEN, base_url=base + "/bot", request=request) as bot:
        address = f"{base}/bot{TOKEN}/sendMessage"
        await drive("library, its own request class", lambda n: bot.send_message(n, "hi"), 1500)
        await drive("library on PlatformHttp", lambda n: client.send_message({"chat_id": n, "text": "hi"}), 8000)
        await drive(
            "PlatformHttp alone",
            lambda n: http.request("POST", address, json_body={"chat_id": n, "text": "hi"}),
            8000,
        )
        raw, identity, now = json.dumps(UPDATE).encode(), identity_of("main", TOKEN, ""), clock.now()
        time_parsing(
            "own strict parse and decode", lambda: decode_update(parse_object(raw), bot=identity, received_at=now)
        )
        time_parsing("json.loads and Update.de_json", lambda: Update.de_json(json.loads(raw), bot))
    await http.close()


if __name__ == "__main__":
    server = multiprocessing.Process(target=serve, daemon=True)
    server.start()
    time.sleep(2)
    asyncio.run(main())
    server.terminate()
