"""Around every request: its id, its timing, its log line, its headers, and problems instead of exceptions."""

import re
import secrets
import time
import traceback
from typing import Final

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from loyalty import db
from loyalty.errors import Refusal, Unavailable
from miniapp_api import metrics
from miniapp_api.problems import CONTENT_TYPE, encode, problem, server_error
from miniapp_api.refusals import MethodNotAllowed, NoSuchPath
from templates.words import Locale, preferred_locale

log = structlog.get_logger()

API_PREFIX: Final = "/v1/"
PLACES_MAX: Final = 12
REQUEST_ID: Final = web.RequestKey("request_id", str)
OPERATION: Final = web.RequestKey("operation", str)
CHOSEN_LOCALE: Final = web.RequestKey("chosen_locale", str)
HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_PROBLEMS_FROM: Final = 400


def surrounding(base_url: str) -> Middleware:
    """The middleware of an application that serves the API beside other things; it acts below `/v1/` only."""

    @web.middleware
    async def surround(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith(API_PREFIX):
            return await handler(request)
        started = time.perf_counter()
        request[REQUEST_ID] = _request_id(request)
        response = await _answered(request, handler, base_url)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        _note(request, response.status, time.perf_counter() - started)
        return response

    return surround


async def _answered(request: web.Request, handler: Handler, base_url: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(request, refusal, base_url)
    except web.HTTPMethodNotAllowed as wrong:
        response = refused(
            request,
            MethodNotAllowed(allowed=", ".join(sorted(wrong.allowed_methods))),
            base_url,
        )
        response.headers["Allow"] = wrong.headers["Allow"]
        return response
    except web.HTTPNotFound:
        return refused(request, NoSuchPath(), base_url)
    except web.HTTPException as other:
        if other.status < _PROBLEMS_FROM:
            raise
        return refused(request, NoSuchPath(), base_url)
    except db.CONNECTION_LOST as lost:
        log.warning("database_lost", request_id=request[REQUEST_ID], kind=type(lost).__name__)
        return refused(request, Unavailable(retry_after_s=1), base_url)
    except Exception as bug:  # noqa: BLE001 - the last line before the network
        log.error(  # noqa: TRY400 - the exception's text stays out of the log
            "request_failed",
            request_id=request[REQUEST_ID],
            operation=_operation(request),
            kind=type(bug).__name__,
            at=_places(bug),
        )
        document = server_error(locale=locale_of(request), request_id=request[REQUEST_ID], base_url=base_url)
        return web.Response(status=500, body=encode(document), content_type=CONTENT_TYPE)


def refused(request: web.Request, refusal: Refusal, base_url: str) -> web.Response:
    """The problem document of `refusal` as a response."""
    metrics.REFUSED.labels(_operation(request), refusal.code).inc()
    response = web.Response(
        status=refusal.status,
        body=encode(document_of(request, refusal, base_url)),
        content_type=CONTENT_TYPE,
    )
    if "retry_after_s" in refusal.params:
        response.headers["Retry-After"] = str(refusal.params["retry_after_s"])
    if refusal.status == web.HTTPUnauthorized.status_code:
        metrics.AUTH_FAILED.labels(refusal.code).inc()
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def document_of(request: web.Request, refusal: Refusal, base_url: str) -> dict[str, object]:
    """The problem document of `refusal` for this caller."""
    return problem(
        refusal,
        locale=locale_of(request),
        request_id=request[REQUEST_ID],
        base_url=base_url,
    )


def _places(bug: BaseException) -> list[str]:
    # Only places in the code: an exception's text may quote what a person sent.
    frames = traceback.extract_tb(bug.__traceback__)[-PLACES_MAX:]
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames]


def locale_of(request: web.Request) -> Locale:
    """The language to answer in: what the request asks for, else what the member chose, else Chinese."""
    chosen: Locale = "en" if request.get(CHOSEN_LOCALE) == "en" else "zh-CN"
    return preferred_locale(request.headers.get("Accept-Language"), otherwise=chosen)


def _request_id(request: web.Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _operation(request: web.Request) -> str:
    return str(request.get(OPERATION, "none"))


def _note(request: web.Request, status: int, seconds: float) -> None:
    operation = _operation(request)
    metrics.HTTP_SECONDS.labels(operation, str(status)).observe(seconds)
    log.info(
        "request",
        request_id=request[REQUEST_ID],
        method=request.method,
        operation=operation,
        status=status,
        elapsed_ms=round(seconds * 1000, 1),
    )
