"""All of api.telegram.org: bot methods and file downloads."""

import base64

from aiohttp import web

from bot.sandbox.doors import attend
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.telegram_door import find_bot, telegram_door
from bot.sandbox.telegram_inbound import METHODS

PREFIX = "/platform/telegram"


def add_telegram(app: web.Application, stage: Stage) -> None:
    """Mount methods and files."""

    async def call(request: web.Request) -> web.StreamResponse:
        door = telegram_door(stage, METHODS, request.match_info["token"])
        return await attend(stage, door, request.match_info["method"], request)

    async def download(request: web.Request) -> web.StreamResponse:
        try:
            find_bot(stage, request.match_info["token"])
        except PlatformError:
            raise web.HTTPUnauthorized from None
        media = stage.world.media.get(request.match_info["file"])
        if media is None:
            raise web.HTTPNotFound
        return web.Response(body=base64.b64decode(media.content), content_type=media.content_type)

    app.router.add_get(PREFIX + r"/file/bot{token}/{folder}/{file}", download)
    app.router.add_route("*", PREFIX + r"/bot{token}/{method}", call)
