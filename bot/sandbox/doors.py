"""What every platform API has at its door: reading the request, faults, and a record on the wire."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, web

from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.wire import Entry, Half, printable

UPLOAD_LIMIT = 10 << 20
SHOWN_HEADERS = ("Content-Type", "User-Agent", "Idempotency-Key")


@dataclass(frozen=True)
class Upload:
    """A file from a multipart form."""

    name: str
    filename: str
    content_type: str
    content: bytes


@dataclass
class Incoming:
    """A request to a platform, read whole. The API fills in whose account it was."""

    platform: str
    api: str
    method: str
    query: dict[str, str]
    raw: bytes
    content_type: str
    host: str
    form: dict[str, str] = field(default_factory=dict)
    uploads: list[Upload] = field(default_factory=list)
    authorization: str = ""
    idempotency_key: str = ""
    channel: str = ""
    account: str = ""
    person: str = ""

    def json(self) -> Any:
        """The JSON body. Raises ValueError."""
        return json.loads(self.raw)


@dataclass
class Reply:
    """What an API answers: a JSON value or bytes."""

    value: Any = None
    status: int = 200
    content: bytes | None = None
    content_type: str = "application/json"
    verdict: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """The body as sent."""
        return json.dumps(self.value, ensure_ascii=False).encode() if self.content is None else self.content

    def response(self) -> web.Response:
        """The HTTP response."""
        return web.Response(
            status=self.status, body=self.encoded(), content_type=self.content_type, headers=self.headers
        )


Work = Callable[[Incoming], Awaitable[Reply] | Reply]
Refusal = Callable[[PlatformError], Reply]


@dataclass(frozen=True)
class Door:
    """A platform's way to answer: `work` does the call, `refuse` shapes an error, `quota` is its own quota error."""

    platform: str
    work: Work
    refuse: Refusal
    quota: PlatformError
    revoke_tokens: Callable[[Stage], PlatformError | None]


async def attend(stage: Stage, door: Door, api: str, request: web.Request) -> web.StreamResponse:
    """Answer one API call, with the faults that are switched on, and record it."""
    began = time.monotonic()
    incoming = await _read(door.platform, api, request)
    take = stage.faults.take
    if slow := take(door.platform, api, "slow"):
        await asyncio.sleep(slow.value / 1000)
    cut = take(door.platform, api, "reset") is not None
    if cut:
        reply = Reply(verdict="fault reset", status=0)
    else:
        reply = _faulty(stage, door, api) or await _work(door, incoming)
        if take(door.platform, api, "drop_answer"):
            cut, reply.verdict = True, f"fault drop_answer ({reply.verdict})"
    _record(stage, request, incoming, reply, (time.monotonic() - began) * 1000)
    if cut:
        return _cut(request)
    return reply.response()


def _faulty(stage: Stage, door: Door, api: str) -> Reply | None:
    take = stage.faults.take
    if fault := take(door.platform, api, "http"):
        return Reply(content=b"", status=fault.value, content_type="text/html", verdict=f"fault http {fault.value}")
    refusal: PlatformError | None = None
    if fault := take(door.platform, api, "errcode"):
        refusal = PlatformError(fault.value, "switched on by the control API")
    elif take(door.platform, api, "quota"):
        refusal = door.quota
    elif take(door.platform, api, "token_revoked"):
        refusal = door.revoke_tokens(stage)
    if refusal is None:
        return None
    reply = door.refuse(refusal)
    reply.verdict = f"fault errcode {refusal.code}"
    return reply


async def _work(door: Door, incoming: Incoming) -> Reply:
    try:
        done = door.work(incoming)
        return done if isinstance(done, Reply) else await done
    except PlatformError as error:
        reply = door.refuse(error)
        reply.verdict = f"errcode {error.code}"
        return reply


async def _read(platform: str, api: str, request: web.Request) -> Incoming:
    incoming = Incoming(
        platform=platform,
        api=api,
        method=request.method,
        query=dict(request.query),
        raw=b"",
        content_type=request.content_type,
        host=request.host,
        authorization=request.headers.get("Authorization", ""),
        idempotency_key=request.headers.get("Idempotency-Key", ""),
    )
    if request.content_type == "multipart/form-data":
        await _read_multipart(incoming, request)
    else:
        incoming.raw = await request.read()
        if request.content_type == "application/x-www-form-urlencoded":
            incoming.form = {key: str(value) for key, value in (await request.post()).items()}
    return incoming


async def _read_multipart(incoming: Incoming, request: web.Request) -> None:
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader):
            continue
        content = bytes(await part.read(decode=True))
        if part.filename is None:
            incoming.form[part.name or ""] = content.decode(errors="replace")
        elif len(content) <= UPLOAD_LIMIT:
            content_type = part.headers.get("Content-Type", "application/octet-stream")
            incoming.uploads.append(Upload(part.name or "", part.filename, content_type, content))
    names = [f"{upload.name}={upload.filename} ({len(upload.content)} bytes)" for upload in incoming.uploads]
    incoming.raw = json.dumps({**incoming.form, "files": names}, ensure_ascii=False).encode()


def _record(stage: Stage, request: web.Request, incoming: Incoming, reply: Reply, ms: float) -> None:
    shown = {name: request.headers[name] for name in SHOWN_HEADERS if name in request.headers}
    answer = "" if reply.status == 0 else printable(reply.encoded())
    entry = Entry(
        kind="api",
        platform=incoming.channel or incoming.platform,
        account=incoming.account,
        api=incoming.api,
        method=incoming.method,
        url=str(request.url),
        person=incoming.person,
        status=reply.status,
        verdict=reply.verdict,
        ms=round(ms, 1),
        request=Half(shown, printable(incoming.raw), printable(incoming.raw)),
        response=Half({"Content-Type": reply.content_type, **reply.headers}, answer, answer),
    )
    stage.wire.record(entry)


def _cut(request: web.Request) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
