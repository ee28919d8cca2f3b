"""The platforms' sides of the conformance suite: how each one signs, shows and answers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from aiohttp import web

from bot.channel import Channel, Outgoing, RawRequest, RawResponse
from bot.http import PlatformHttp
from bot.telegram.adapter import TelegramChannel
from bot.wechat_mini.adapter import WechatMiniProgram
from bot.wechat_oa.adapter import WechatOfficialAccount
from bot.wecom.adapter import WecomChannel
from handlers.messages import Reply
from tests.bot.remembered_tokens import remembered
from tests.bot.telegram import platform_side as telegram
from tests.bot.wechat_oa import platform_side as wechat
from tests.bot.wecom import platform_side as wecom


class Api(Protocol):
    """A platform's server API that does as told."""

    said: list[str]

    def application(self) -> web.Application:
        """The server to start."""
        ...

    def accepts(self) -> None:
        """The next send succeeds."""
        ...

    def refuses(self) -> None:
        """The next send is refused because the person blocked us."""
        ...

    def drops(self) -> None:
        """The next send is read, and the connection then breaks."""
        ...

    def breaks(self) -> None:
        """The next send gets a 503 of some proxy."""
        ...


class Side(Protocol):
    """One platform as the suite needs it."""

    name: str
    signs_time: bool
    passive: bool

    def channel(self, http: PlatformHttp, *, api_base: str = "http://127.0.0.1:1", window_s: int = 300) -> Channel:
        """Our side, configured for this platform."""
        ...

    def genuine(self, text: str, *, at: datetime, number: int = 1) -> RawRequest:
        """A person's words as the platform delivers them."""
        ...

    def forgeries(self, request: RawRequest) -> Mapping[str, RawRequest]:
        """`request` with one thing wrong each, by what is wrong."""
        ...

    def unknown_event(self, *, at: datetime) -> RawRequest:
        """A genuine push of a kind that nobody has heard of."""
        ...

    def shown(self, response: RawResponse) -> str:
        """What the person reads of our response."""
        ...

    def api(self) -> Api:
        """A fresh server API."""
        ...

    def outgoing(self, text: str) -> Outgoing:
        """A message by the platform's ordinary route."""
        ...


def flipped(text: str) -> str:
    """`text` with its last character changed."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def wrong_signatures(request: RawRequest) -> dict[str, RawRequest]:
    """`request` with each signed parameter of WeChat's scheme changed, and with each one missing."""
    query, signed = request.query, ("msg_signature", "timestamp", "nonce")
    wrong = {name: {**query, name: flipped(query[name])} for name in signed}
    missing = {f"no {name}": {key: value for key, value in query.items() if key != name} for name in signed}
    return {name: replace(request, query=changed) for name, changed in {**wrong, **missing}.items()}


class WechatApi:
    """The customer-service API of WeChat."""

    path = "/cgi-bin/message/custom/send"
    refusal: Mapping[str, object] = {"errcode": 43004, "errmsg": "require subscribe hint"}

    def __init__(self) -> None:
        self.said: list[str] = []
        self._next: list[str] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/cgi-bin/stable_token", self._token)
        app.router.add_post(self.path, self._send)
        return app

    def accepts(self) -> None:
        self._next.append("accept")

    def refuses(self) -> None:
        self._next.append("refuse")

    def drops(self) -> None:
        self._next.append("drop")

    def breaks(self) -> None:
        self._next.append("break")

    async def _token(self, _request: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 7200})

    async def _send(self, request: web.Request) -> web.Response:
        self.said.append((await request.json())["text"]["content"])
        match self._next.pop(0):
            case "accept":
                return web.json_response({"errcode": 0, "errmsg": "ok"}, content_type="text/plain")
            case "refuse":
                return web.json_response(dict(self.refusal), content_type="text/plain")
            case "break":
                return web.Response(status=503, text="<html>upstream</html>", content_type="text/html")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


class WechatSide:
    """Official account: encrypted XML both ways."""

    name = "wechat_oa"
    signs_time = True
    passive = True

    def channel(self, http: PlatformHttp, *, api_base: str = "http://127.0.0.1:1", window_s: int = 300) -> Channel:
        account = wechat.account(api_base, callback_window_s=window_s)
        return WechatOfficialAccount(account, http, remembered)

    def genuine(self, text: str, *, at: datetime, number: int = 1) -> RawRequest:
        return wechat.sealed(wechat.said(text, at=at, message_id=str(7_000_000_000_000_000_000 + number)), at=at)

    def forgeries(self, request: RawRequest) -> Mapping[str, RawRequest]:
        at = request.received_at
        text = wechat.said("hi", at=at)
        start = request.body.index(b"<Encrypt>") + 40
        body = request.body[:start] + bytes([request.body[start] ^ 1]) + request.body[start + 1 :]
        return {
            **wrong_signatures(request),
            "body": replace(request, body=body),
            "non-ASCII signature": replace(request, query={**request.query, "msg_signature": "é" * 40}),
            "application id": wechat.sealed(text, at=at, app_id="wxsomebodyelse000"),
            "another account's token": wechat.sealed(text, at=at, token="anothertoken"),
            "another account's key": wechat.sealed(text, at=at, key="a" * 43),
            "in the clear": wechat.in_clear(text.encode(), at=at),
        }

    def unknown_event(self, *, at: datetime) -> RawRequest:
        return wechat.sealed(wechat.push(at, MsgType="event", Event="moon_landing", Crew="3"), at=at)

    def shown(self, response: RawResponse) -> str:
        return wechat.shown(response).get("Content", "")

    def api(self) -> Api:
        return WechatApi()

    def outgoing(self, text: str) -> Outgoing:
        return Outgoing("main", wechat.OPENID, "customer_service", Reply(text), "message-1")


class MiniSide(WechatSide):
    """Mini-program: the same envelope, no passive text."""

    name = "wechat_mini"
    passive = False

    def channel(self, http: PlatformHttp, *, api_base: str = "http://127.0.0.1:1", window_s: int = 300) -> Channel:
        return WechatMiniProgram(wechat.account(api_base, callback_window_s=window_s), http, remembered)


class MiniJsonSide(MiniSide):
    """Mini-program with JSON chosen in its console."""

    name = "wechat_mini-json"

    def genuine(self, text: str, *, at: datetime, number: int = 1) -> RawRequest:
        fields = {"MsgType": "text", "Content": text, "MsgId": 7_000_000_000_000_000_000 + number}
        return self._json(fields, at)

    def unknown_event(self, *, at: datetime) -> RawRequest:
        return self._json({"MsgType": "event", "Event": "moon_landing", "Crew": 3}, at)

    def forgeries(self, request: RawRequest) -> Mapping[str, RawRequest]:
        body = request.body[:90] + bytes([request.body[90] ^ 1]) + request.body[91:]
        query = {**request.query, "msg_signature": flipped(request.query["msg_signature"])}
        return {"body": replace(request, body=body), "msg_signature": replace(request, query=query)}

    def _json(self, fields: Mapping[str, object], at: datetime) -> RawRequest:
        envelope = {"ToUserName": wechat.MAILBOX, "FromUserName": wechat.OPENID, "CreateTime": int(at.timestamp())}
        request = wechat.sealed(json.dumps({**envelope, **fields}, ensure_ascii=False), at=at)
        encrypted = request.body.split(b"<Encrypt><![CDATA[")[1].split(b"]]>")[0].decode()
        return replace(request, body=json.dumps({"ToUserName": wechat.MAILBOX, "Encrypt": encrypted}).encode())


class WecomApi(WechatApi):
    """WeCom's message API, where a refusal of all recipients is a success with a list."""

    path = "/cgi-bin/message/send"
    refusal: Mapping[str, object] = {"errcode": 81013, "errmsg": "user & party & tag all invalid"}

    def application(self) -> web.Application:
        app = super().application()
        app.router.add_get("/cgi-bin/gettoken", self._token)
        return app


class WecomSide:
    """WeCom: the WeChat envelope with the corp's id, always encrypted."""

    name = "wecom"
    signs_time = True
    passive = True

    def channel(self, http: PlatformHttp, *, api_base: str = "http://127.0.0.1:1", window_s: int = 300) -> Channel:
        return WecomChannel(wecom.account(api_base, callback_window_s=window_s), http, remembered)

    def genuine(self, text: str, *, at: datetime, number: int = 1) -> RawRequest:
        return wecom.sealed(wecom.said(text, at=at, message_id=str(7_000_000_000_000_000_000 + number)), at=at)

    def forgeries(self, request: RawRequest) -> Mapping[str, RawRequest]:
        at, text = request.received_at, wecom.said("hi", at=request.received_at)
        start = request.body.index(b"<Encrypt>") + 40
        body = request.body[:start] + bytes([request.body[start] ^ 1]) + request.body[start + 1 :]
        return {
            **wrong_signatures(request),
            "body": replace(request, body=body),
            "corp id": wecom.sealed(text, at=at, corp_id="wwsomebodyelse000"),
            "another account's token": wecom.sealed(text, at=at, token="anothertoken"),
            "another account's key": wecom.sealed(text, at=at, key="a" * 43),
            "in the clear": wecom.in_clear(text, at=at),
        }

    def unknown_event(self, *, at: datetime) -> RawRequest:
        return wecom.sealed(wecom.push(at, MsgType="event", Event="moon_landing", Crew="3"), at=at)

    def shown(self, response: RawResponse) -> str:
        return wecom.shown(response).get("Content", "")

    def api(self) -> Api:
        return WecomApi()

    def outgoing(self, text: str) -> Outgoing:
        return Outgoing("main", wecom.STAFF_ID, "app_message", Reply(text), "message-1")


class TelegramApi:
    """The Bot API."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._next: list[str] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_post(f"/bot{telegram.BOT_TOKEN}/sendMessage", self._send)
        return app

    def accepts(self) -> None:
        self._next.append("accept")

    def refuses(self) -> None:
        self._next.append("refuse")

    def drops(self) -> None:
        self._next.append("drop")

    def breaks(self) -> None:
        self._next.append("break")

    async def _send(self, request: web.Request) -> web.Response:
        self.said.append((await request.json())["text"])
        match self._next.pop(0):
            case "accept":
                return web.json_response({"ok": True, "result": telegram.sent_message()})
            case "refuse":
                refusal = {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}
                return web.json_response(refusal, status=403)
            case "break":
                return web.Response(status=503, text="<html>upstream</html>", content_type="text/html")
        assert request.transport is not None
        request.transport.abort()
        return web.Response()


class TelegramSide:
    """Telegram: JSON behind a secret header, which signs neither body nor time."""

    name = "telegram"
    signs_time = False
    passive = True

    def channel(self, http: PlatformHttp, *, api_base: str = "http://127.0.0.1:1", window_s: int = 300) -> Channel:
        return TelegramChannel(telegram.account(api_base), http)

    def genuine(self, text: str, *, at: datetime, number: int = 1) -> RawRequest:
        return telegram.posted(telegram.message(at=at, update_id=100 + number, text=text), at=at)

    def forgeries(self, request: RawRequest) -> Mapping[str, RawRequest]:
        update, at = request.body, request.received_at
        return {
            "secret": telegram.posted(update, at=at, secret=flipped(telegram.SECRET)),
            "no secret": telegram.posted(update, at=at, secret=None),
            "empty secret": telegram.posted(update, at=at, secret=""),
            "non-ASCII secret": telegram.posted(update, at=at, secret="é" * len(telegram.SECRET)),
        }

    def unknown_event(self, *, at: datetime) -> RawRequest:
        return telegram.posted({"update_id": 105, "moon_landing": {"crew": 3}}, at=at)

    def shown(self, response: RawResponse) -> str:
        return str(json.loads(response.body)["text"]) if response.body else ""

    def api(self) -> Api:
        return TelegramApi()

    def outgoing(self, text: str) -> Outgoing:
        return Outgoing("main", str(telegram.MEMBER_ID), "message", Reply(text), "message-1")


SIDES: tuple[Side, ...] = (WechatSide(), MiniSide(), MiniJsonSide(), WecomSide(), TelegramSide())
