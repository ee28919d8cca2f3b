"""WeChat's side of callbacks and of the server API, played with wechatpy: an implementation nobody here wrote."""

from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import count
from typing import Any

import xmltodict
from aiohttp import web
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from bot.accounts import WechatAccount
from bot.channel import RawRequest, RawResponse

APP_ID = "wx1234567890abcdef"
SECRET = "the-app-secret-of-nobody"
TOKEN = "callbacktoken1"
AES_KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
MAILBOX = "gh_7f083739789a"
OPENID = "oMember0000000000000000000001"

_nonces = count(1_000_000)


def account(api_base: str = "http://127.0.0.1:1", **changes: Any) -> WechatAccount:
    """The configured app; by default its API cannot be reached."""
    values: dict[str, Any] = {
        "account": "main",
        "app_id": APP_ID,
        "app_secret": SECRET,
        "token": TOKEN,
        "encoding_aes_key": AES_KEY,
        "api_base": api_base,
        **changes,
    }
    return WechatAccount(**values)


def signature(*parts: str) -> str:
    """WeChat's signature, by wechatpy."""
    signer = WeChatSigner()
    signer.add_data(*parts)
    return str(signer.signature)


def sealed(message: str, *, at: datetime, app_id: str = APP_ID, token: str = TOKEN, key: str = AES_KEY) -> RawRequest:
    """`message` as WeChat posts it in safe mode."""
    timestamp, nonce = str(int(at.timestamp())), str(next(_nonces))
    envelope = WeChatCrypto(token, key, app_id).encrypt_message(message, nonce, timestamp)
    encrypted = xmltodict.parse(envelope)["xml"]["Encrypt"]
    body = f"<xml><ToUserName><![CDATA[{MAILBOX}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    query = {
        "signature": signature(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": OPENID,
        "encrypt_type": "aes",
        "msg_signature": signature(token, timestamp, nonce, encrypted),
    }
    return RawRequest("POST", query, {"Content-Type": "text/xml"}, body.encode(), at)


def in_clear(body: bytes, *, at: datetime, token: str = TOKEN) -> RawRequest:
    """`body` as WeChat posts it in plain mode, signed as well as that mode can."""
    timestamp, nonce = str(int(at.timestamp())), str(next(_nonces))
    query = {"signature": signature(token, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    return RawRequest("POST", query, {}, body, at)


def address_check(echo: str, *, at: datetime, token: str = TOKEN) -> RawRequest:
    """The GET with which WeChat checks an address."""
    signed = in_clear(b"", at=at, token=token)
    return RawRequest("GET", {**signed.query, "echostr": echo}, {}, b"", at)


def push(at: datetime, **fields: str) -> str:
    """A push as XML; `fields` follow the envelope."""
    split = {name: value.replace("]]>", "]]]]><![CDATA[>") for name, value in fields.items()}
    body = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in split.items())
    return (
        f"<xml><ToUserName><![CDATA[{MAILBOX}]]></ToUserName><FromUserName><![CDATA[{OPENID}]]></FromUserName>"
        f"<CreateTime>{int(at.timestamp())}</CreateTime>{body}</xml>"
    )


def said(text: str, *, at: datetime, message_id: str = "7000000000000000001") -> str:
    """A text message of the person."""
    return push(at, MsgType="text", Content=text, MsgId=message_id)


def shown(response: RawResponse, query: dict[str, str] | None = None) -> dict[str, str]:
    """What WeChat reads of our response: the decrypted passive reply, or nothing for `success`."""
    if response.body in (b"success", b""):
        return {}
    outer = xmltodict.parse(response.body)["xml"]
    inner = WeChatCrypto(TOKEN, AES_KEY, APP_ID).decrypt_message(
        response.body, outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"]
    )
    return dict(xmltodict.parse(inner, strip_whitespace=False)["xml"])


class WechatServer:
    """api.weixin.qq.com as told by the test: answers in order per path, and everything it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.tokens_issued = 0
        self.valid_token: str | None = None
        self._answers: dict[str, list[Callable[[], web.Response]]] = {}

    def answers(self, path: str, answer: Mapping[str, object] | bytes, *, status: int = 200) -> None:
        """The next call of `path` gets `answer`; WeChat labels its JSON as text."""

        def respond() -> web.Response:
            if isinstance(answer, bytes):
                return web.Response(body=answer, status=status, content_type="image/jpeg")
            return web.json_response(answer, status=status, content_type="text/plain")

        self._answers.setdefault(path, []).append(respond)

    def application(self) -> web.Application:
        """The server to start."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def asked(self, path: str) -> list[tuple[dict[str, str], bytes]]:
        """Query and body of every call of `path`."""
        return [(query, body) for called, query, body in self.calls if called == path]

    async def _handle(self, request: web.Request) -> web.Response:
        self.calls.append((request.path, dict(request.query), await request.read()))
        if request.path == "/cgi-bin/stable_token" and not self._answers.get(request.path):
            return self._issue(force=(await request.json())["force_refresh"])
        token = request.query.get("access_token")
        if token is not None and token != self.valid_token:
            refusal = {"errcode": 40001, "errmsg": "invalid credential, access_token is invalid or not latest"}
            return web.json_response(refusal, content_type="text/plain")
        return self._answers[request.path].pop(0)()

    def _issue(self, *, force: bool) -> web.Response:
        if self.valid_token is None or force:
            self.tokens_issued += 1
            self.valid_token = f"token-{self.tokens_issued}"
        return web.json_response({"access_token": self.valid_token, "expires_in": 7200})
