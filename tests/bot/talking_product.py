"""Real channels between the sandbox platforms and a reply function: everything but conversation and database."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.channel import Channel, Forged, Handshake, Malformed, RawRequest, SendResult, follow_ups
from bot.sandbox.app import create_sandbox
from bot.sandbox.config import SandboxConfig
from handlers.messages import SILENT, Inbound, Reply
from loyalty import clock


@dataclass
class TalkingProduct:
    """Answers each message with `reply`; keeps what it heard and how its follow-ups ended."""

    channels: Sequence[Channel] = ()
    reply: Callable[[Inbound], Reply] = lambda _inbound: SILENT
    heard: list[Inbound] = field(default_factory=list)
    sent: list[SendResult] = field(default_factory=list)
    refused: int = 0

    def application(self) -> web.Application:
        """The product's callback addresses."""
        app = web.Application()
        app.router.add_route("*", "/hooks/{channel}/{account}", self._receive)
        return app

    async def _receive(self, request: web.Request) -> web.Response:
        channel = next(c for c in self.channels if c.name == request.match_info["channel"])
        raw = RawRequest(request.method, dict(request.query), request.headers, await request.read(), clock.now())
        try:
            opened = channel.open(raw)
        except (Forged, Malformed):
            self.refused += 1
            return web.Response(status=403)
        if isinstance(opened, Handshake):
            response = opened.response
        else:
            (inbound,) = opened.messages
            self.heard.append(inbound)
            reply = self.reply(inbound)
            self.sent += [await channel.send(outgoing) for outgoing in follow_ups(channel, reply, to=inbound)]
            response = channel.answer(reply, to=inbound, now=clock.now())
        return web.Response(body=response.body, status=response.status, content_type=response.content_type)


@dataclass
class Town:
    """The sandbox's control API beside the product."""

    product: TalkingProduct
    sandbox: str
    session: ClientSession

    async def act(self, person: str, verb: str, /, **body: object) -> dict[str, Any]:
        """Be that person; what the act did."""
        async with self.session.post(f"{self.sandbox}/control/people/{person}/act/{verb}", json=body) as answer:
            result: dict[str, Any] = await answer.json()
            assert answer.status in (200, 201), result
            return result

    async def control(self, path: str, /, **body: object) -> dict[str, Any]:
        """Any other call of the control API."""
        async with self.session.post(f"{self.sandbox}/control/{path}", json=body) as answer:
            result: dict[str, Any] = await answer.json()
            assert answer.status in (200, 201), result
            return result

    async def lines(self, person: str, sender: str = "account") -> list[dict[str, Any]]:
        """What that person reads, oldest first."""
        async with self.session.get(f"{self.sandbox}/control/people/{person}/screen") as answer:
            screen = await answer.json()
        return [line for line in screen["lines"] if line["from"] == sender]


@asynccontextmanager
async def town(
    configure: Callable[[str], SandboxConfig], connect: Callable[[str], Sequence[Channel]]
) -> AsyncIterator[Town]:
    """A sandbox whose callbacks go to a product whose channels call the sandbox.

    `configure` gets the product's address, `connect` the sandbox's.
    """
    product = TalkingProduct()
    async with TestServer(product.application()) as ours:
        config = configure(str(ours.make_url("/")).rstrip("/"))
        async with TestServer(create_sandbox(config)) as theirs, ClientSession() as session:
            base = str(theirs.make_url("/")).rstrip("/")
            product.channels = connect(base)
            yield Town(product, base, session)
