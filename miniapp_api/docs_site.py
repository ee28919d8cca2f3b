"""`/openapi.json` and `/docs`: the contract, and a page to read and try it. Nothing comes from elsewhere."""

from pathlib import Path
from typing import Final

from aiohttp import web

from miniapp_api.contract import CONTRACT_PATH

FOLDER: Final = Path(__file__).with_name("docs_page")
FILES: Final = {
    "/docs": ("index.html", "text/html"),
    "/docs/page.css": ("page.css", "text/css"),
    "/docs/page.js": ("page.js", "text/javascript"),
    "/docs/try.js": ("try.js", "text/javascript"),
    "/docs/words.js": ("words.js", "text/javascript"),
}
HEADERS: Final = {
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def routes() -> list[web.RouteDef]:
    """The contract and its page."""
    served = [_file(path, FOLDER / name, content_type) for path, (name, content_type) in FILES.items()]
    return [*served, _file("/openapi.json", CONTRACT_PATH, "application/json")]


def _file(path: str, source: Path, content_type: str) -> web.RouteDef:
    content = source.read_bytes()

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=HEADERS)

    return web.get(path, serve)
