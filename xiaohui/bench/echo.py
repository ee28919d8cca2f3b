"""The yardstick, a bare aiohttp application that answers a POST with its body: `python -m xiaohui.bench.echo`, with
`PORT` in its environment. Several such processes share the port."""

import os

import uvloop
from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    """The body, back."""
    return web.Response(body=await request.read(), content_type="text/plain")


async def get(_request: web.Request) -> web.Response:
    """A small fixed answer."""
    return web.Response(body=b"ok", content_type="text/plain")


def create() -> web.Application:
    """The application."""
    app = web.Application()
    app.router.add_post("/echo", echo)
    app.router.add_get("/echo", get)
    return app


if __name__ == "__main__":
    uvloop.install()
    web.run_app(
        create(),
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        reuse_port=True,
        access_log=None,
        print=lambda *_: None,
    )
