"""One view for every platform: verify, decode, dispatch within the platform's patience, encode.

The platforms give five seconds and then ask again. A dispatch that takes longer is not cancelled: the
platform hears "received", the work finishes, and its reply leaves as a message of its own.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Any, Final

import structlog
from aiohttp import web
from prometheus_client import Counter, Histogram

from bot.channel import Channel, Delivery, Forged, Handshake, Malformed, Outgoing, RawRequest, RawResponse, follow_ups
from handlers.messages import ChannelName, Inbound, Reply
from handlers.router import Answer, Router, followed_up
from loyalty import clock

BODY_BYTES_MAX: Final = 64 * 1024
REPLY_BUDGET_S: Final = 4.5
# The route by which an answer leaves when the round trip is already over.
LATE_ROUTES: Final[Mapping[ChannelName, str]] = {
    "wechat_oa": "customer_service",
    "wechat_mini": "customer_service",
    "wecom": "app_message",
    "telegram": "message",
}

Channels = Mapping[tuple[ChannelName, str], Channel]

log = structlog.get_logger("webhook")
RECEIVED: Final = Counter("inbox_received_total", "Callbacks by what became of them", ["channel", "result"])
ACK_SECONDS: Final = Histogram(
    "inbox_ack_seconds",
    "Time to answer a callback",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5),
)


# Finding a metric by its labels takes longer than counting on it.
_received: Final = cache(RECEIVED.labels)
_ack_seconds: Final = cache(ACK_SECONDS.labels)


class Webhook:
    """The callbacks of all configured accounts; `drain` waits for late answers at shutdown."""

    def __init__(self, channels: Channels, router: Router, *, reply_budget_s: float = REPLY_BUDGET_S) -> None:
        self._channels = {(str(name), account): channel for (name, account), channel in channels.items()}
        self._router = router
        self._reply_budget_s = reply_budget_s
        self._late: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        """GET for the platforms' address check, POST for everything else."""
        path = "/hooks/{channel}/{account}"
        return [web.get(path, self.receive), web.post(path, self.receive)]

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one callback; nothing of a callback is read before it is proven genuine."""
        name, account = request.match_info["channel"], request.match_info["account"]
        channel = self._channels.get((name, account))
        started = time.perf_counter()
        if channel is None:
            _received("none", "unknown_account").inc()
            return web.Response(status=404, text="no such account\n")
        try:
            opened = channel.open(await raw_request(request))
        except Forged as forged:
            return _refused(channel, "forged", 403, str(forged))
        except Malformed as malformed:
            return _refused(channel, "malformed", 400, str(malformed))
        if isinstance(opened, Handshake):
            return _response(opened.response)
        response = await self._answer(channel, opened)
        _ack_seconds(name).observe(time.perf_counter() - started)
        return _response(response)

    async def drain(self) -> None:
        """Finish what is under way."""
        while self._late:
            await asyncio.wait(set(self._late))
        await self._router.drain()

    async def _answer(self, channel: Channel, delivery: Delivery) -> RawResponse:
        response = channel.acknowledge()
        for message in delivery.messages:
            response = await self._within_budget(channel, message)
        return response

    async def _within_budget(self, channel: Channel, message: Inbound) -> RawResponse:
        dispatch = asyncio.ensure_future(self._router.dispatch(message))
        done, _ = await asyncio.wait({dispatch}, timeout=self._reply_budget_s)
        if not done:
            _received(channel.name, "late").inc()
            self._hold(self._send_late(channel, message, dispatch))
            return channel.acknowledge()
        answer = dispatch.result()
        _received(channel.name, "repeated" if answer.repeated else "answered").inc()
        if not answer.followed_up and (further := follow_ups(channel, answer.reply, to=message)):
            self._hold(self._send_all(channel, message, further))
        return channel.answer(answer.reply, to=message, now=clock.now())

    def _hold(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _send_all(self, channel: Channel, message: Inbound, further: tuple[Outgoing, ...]) -> None:
        for outgoing in further:
            result = await channel.send(outgoing)
            log.info("follow_up", channel=channel.name, route=outgoing.route, result=type(result).__name__)
        await followed_up(message)

    async def _send_late(self, channel: Channel, message: Inbound, dispatch: "asyncio.Future[Answer]") -> None:
        try:
            answer = await dispatch
        except Exception:
            log.exception("late_dispatch_failed", channel=channel.name)
            return
        if answer.reply.is_silent or answer.followed_up:
            return
        further = follow_ups(channel, answer.reply, to=message)
        await self._send_all(channel, message, further or (_late_message(channel, message, answer.reply),))


def _late_message(channel: Channel, message: Inbound, reply: Reply) -> Outgoing:
    return Outgoing(
        account=channel.account,
        external_id=message.sender.external_id,
        route=LATE_ROUTES[channel.name],
        reply=reply,
        client_message_id=f"late-{message.key}"[:32],
    )


async def raw_request(request: web.Request) -> RawRequest:
    """A callback as it came, its body read up to the limit.

    Raises:
        Malformed: the body is longer.
    """
    body = await request.content.read(BODY_BYTES_MAX + 1)
    while len(body) <= BODY_BYTES_MAX and not request.content.at_eof():
        body += await request.content.read(BODY_BYTES_MAX + 1 - len(body))
    if len(body) > BODY_BYTES_MAX:
        raise Malformed("the body is larger than 64 KiB")
    return RawRequest(
        method=request.method,
        query=request.query,
        headers=request.headers,
        body=body,
        received_at=clock.wall(),
    )


def _refused(channel: Channel, result: str, status: int, why: str) -> web.Response:
    _received(channel.name, result).inc()
    log.warning("callback_refused", channel=channel.name, account=channel.account, result=result, why=why[:200])
    return web.Response(status=status, text=f"{result}\n")


def _response(raw: RawResponse) -> web.Response:
    return web.Response(body=raw.body, status=raw.status, content_type=raw.content_type, charset="utf-8")
