"""The one way out to platforms: a shared connection pool, a deadline on every call, nothing secret in logs."""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp
import orjson
import structlog
from yarl import URL

from bot.channel import Malformed
from bot.strict_json import Json, parse_object
from loyalty import db
from loyalty.errors import ensure

log = structlog.get_logger()

_CONNECT_S: Final = 5.0
_MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
_BOT_TOKEN: Final = re.compile(r"/bot[^/]+")
_NEVER_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back; `json` is set when the body is a JSON object, whatever its content type says."""

    status: int
    body: bytes
    json: Mapping[str, Json] | None
    headers: Mapping[str, str] = field(default_factory=dict)


class SendFailed(Exception):
    """No answer. With `unknown` the platform may have carried the request out; otherwise it never left."""

    def __init__(self, detail: str, *, unknown: bool) -> None:
        super().__init__(detail)
        self.detail = detail
        self.unknown = unknown


class PlatformHttp:
    """Holds the client session of a process; opened by the first request, closed by `close`."""

    def __init__(self, *, connections: int = 200) -> None:
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the pool; calls under way fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json_body: object | None = None,
        data: aiohttp.FormData | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> HttpAnswer:
        """One call; redirects are not followed and nothing is retried.

        `json_body` goes out as UTF-8 without escapes, which some platform APIs insist on.

        Raises:
            SendFailed: no complete answer within `timeout_s` seconds.
            Bug: called inside a unit of work, which must not wait for a network.
        """
        ensure(not db.in_unit_of_work(), "a platform is called inside a unit of work")
        sent_headers = dict(headers or {})
        if json_body is not None:
            data = orjson.dumps(json_body)
            sent_headers.setdefault("Content-Type", "application/json")
        started = time.monotonic()
        outcome = "failed"
        try:
            answer = await self._exchange(method, url, params, data, sent_headers, timeout_s)
            outcome = str(answer.status)
        finally:
            elapsed_ms = round((time.monotonic() - started) * 1000)
            log.debug("platform_call", method=method, to=_redacted(url), outcome=outcome, elapsed_ms=elapsed_ms)
        return answer

    async def _exchange(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        data: aiohttp.FormData | bytes | None,
        headers: Mapping[str, str],
        timeout_s: float,
    ) -> HttpAnswer:
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(_CONNECT_S, timeout_s))
        try:
            async with self._opened().request(
                method, url, params=params, data=data, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.content.read(_MAX_ANSWER_BYTES + 1)
                while len(body) <= _MAX_ANSWER_BYTES and (more := await response.content.read(_MAX_ANSWER_BYTES)):
                    body += more
                if len(body) > _MAX_ANSWER_BYTES:
                    raise SendFailed("answer too long", unknown=True)
                return HttpAnswer(response.status, body, _json_object(body), response.headers)
        except _NEVER_SENT as error:
            # The exception's own text may quote the address with its token, so only its kind is told.
            raise SendFailed(f"{type(error).__name__} at {_redacted(url)}", unknown=False) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise SendFailed(f"{type(error).__name__} at {_redacted(url)}", unknown=True) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _json_object(body: bytes) -> Mapping[str, Json] | None:
    if body.lstrip()[:1] != b"{":
        return None
    try:
        return parse_object(body, allow_duplicates=True)
    except Malformed:
        return None


def _redacted(url: str) -> str:
    """Host and path: the query holds access tokens and secrets, Telegram's path holds the bot token."""
    try:
        parsed = URL(url)
    except ValueError:
        return "an unreadable address"
    return f"{parsed.host}{_BOT_TOKEN.sub('/bot…', parsed.path)}"
