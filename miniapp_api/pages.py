"""Pages that need no login: `/docs` with the contract, `/draws` where anybody recomputes a day's draws.

Nothing on them comes from elsewhere.
"""

from pathlib import Path
from typing import Final

from aiohttp import web

from miniapp_api.contract import CONTRACT_PATH

HERE: Final = Path(__file__).parent
FILES: Final = {
    "/docs": ("docs_page/index.html", "text/html"),
    "/docs/page.css": ("docs_page/page.css", "text/css"),
    "/docs/page.js": ("docs_page/page.js", "text/javascript"),
    "/docs/try.js": ("docs_page/try.js", "text/javascript"),
    "/docs/words.js": ("docs_page/words.js", "text/javascript"),
    "/draws": ("draws_page/index.html", "text/html"),
    "/draws/page.css": ("draws_page/page.css", "text/css"),
    "/draws/page.js": ("draws_page/page.js", "text/javascript"),
    "/draws/proof.js": ("draws_page/proof.js", "text/javascript"),
    "/draws/words.js": ("draws_page/words.js", "text/javascript"),
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
    """The pages and the contract."""
    served = [_file(path, HERE / name, content_type) for path, (name, content_type) in FILES.items()]
    return [*served, _file("/openapi.json", CONTRACT_PATH, "application/json")]


def _file(path: str, source: Path, content_type: str) -> web.RouteDef:
    content = source.read_bytes()

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=content, content_type=content_type, charset="utf-8", headers=HEADERS)

    return web.get(path, serve)
