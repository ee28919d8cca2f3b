"""WeCom's side of callbacks and of the server API, played with wechatpy: an implementation nobody here wrote."""

import json
from collections.abc import Callable
from datetime import datetime
from itertools import count

import xmltodict
from aiohttp import web
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from bot.accounts import WecomAccount
from bot.channel import RawRequest, RawResponse

CORP_ID = "ww1234567890abcdef"
AGENT_ID = 1_000_002
SECRET = "the-app-secret-of-nobody"
TOKEN = "callbacktoken2"
AES_KEY = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
STAFF_ID = "ZhangSan"
CUSTOMER_ID = "wmAJ2GCAAAm1Tp0m3c_ZQ9Rkq7aZmVbw"

_nonces = count(1_000_000)


def account(api_base: str = "http://127.0.0.1:1", **changes: object) -> WecomAccount:
    """The configured application; by default its API cannot be reached."""
    values: dict[str, object] = {
        "account": "main",
        "corp_id": CORP_ID,
        "agent_id": AGENT_ID,
        "app_secret": SECRET,
        "token": TOKEN,
        "encoding_aes_key": AES_KEY,
        "api_base": api_base,
        **changes,
    }
    return WecomAccount(**values)  # type: ignore[arg-type]


def signature(*parts: str) -> str:
    """WeCom's signature, by wechatpy."""
    signer = WeChatSigner()
    signer.add_data(*parts)
    return str(signer.signature)


def sealed(message: str, *, at: datetime, corp_id: str = CORP_ID, token: str = TOKEN, key: str = AES_KEY) -> RawRequest:
    """`message` as WeCom posts it."""
    timestamp, nonce = str(int(at.timestamp())), str(next(_nonces))
    envelope = WeChatCrypto(token, key, corp_id).encrypt_message(message, nonce, timestamp)
    encrypted = xmltodict.parse(envelope)["xml"]["Encrypt"]
    body = (
        f"<xml><ToUserName><![CDATA[{corp_id}]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
        f"<AgentID><![CDATA[{AGENT_ID}]]></AgentID></xml>"
    )
    query = {
        "msg_signature": signature(token, timestamp, nonce, encrypted),
        "timestamp": timestamp,
        "nonce": nonce,
    }
    return RawRequest("POST", query, {"Content-Type": "text/xml"}, body.encode(), at)


def in_clear(message: str, *, at: datetime) -> RawRequest:
    """`message` without encryption, which WeCom never sends, with a signature over nothing."""
    timestamp, nonce = str(int(at.timestamp())), str(next(_nonces))
    query = {"msg_signature": signature(TOKEN, timestamp, nonce), "timestamp": timestamp, "nonce": nonce}
    return RawRequest("POST", query, {}, message.encode(), at)


def address_check(echo: str, *, at: datetime, token: str = TOKEN) -> RawRequest:
    """The GET with which WeCom checks an address: the echo is encrypted."""
    request = sealed(echo, at=at, token=token)
    encrypted = xmltodict.parse(request.body)["xml"]["Encrypt"]
    return RawRequest("GET", {**request.query, "echostr": encrypted}, {}, b"", at)


def push(at: datetime, sender: str = STAFF_ID, **fields: str) -> str:
    """A push as XML; `fields` follow the envelope, a value that starts with "<" goes in as elements."""
    parts = []
    for name, value in fields.items():
        inner = value if value.startswith("<") else "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"
        parts.append(f"<{name}>{inner}</{name}>")
    return (
        f"<xml><ToUserName><![CDATA[{CORP_ID}]]></ToUserName><FromUserName><![CDATA[{sender}]]></FromUserName>"
        f"<CreateTime>{int(at.timestamp())}</CreateTime>{''.join(parts)}<AgentID>{AGENT_ID}</AgentID></xml>"
    )


def said(text: str, *, at: datetime, message_id: str = "7000000000000000001") -> str:
    """A text message of the member of staff."""
    cdata = "<![CDATA[" + text.replace("]]>", "]]]]><![CDATA[>") + "]]>"
    return push(at, MsgType="text", Content=cdata, MsgId=message_id)


def shown(response: RawResponse) -> dict[str, str]:
    """What WeCom reads of our response: the decrypted passive reply, or nothing."""
    if not response.body:
        return {}
    outer = xmltodict.parse(response.body)["xml"]
    inner = WeChatCrypto(TOKEN, AES_KEY, CORP_ID).decrypt_message(
        response.body, outer["MsgSignature"], outer["TimeStamp"], outer["Nonce"]
    )
    return dict(xmltodict.parse(inner, strip_whitespace=False)["xml"])


class WecomServer:
    """qyapi.weixin.qq.com as told by the test: answers in order per path, and everything it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], dict[str, object]]] = []
        self.tokens_issued = 0
        self.valid_token = "none yet"
        self._answers: dict[str, list[Callable[[], web.Response]]] = {}

    def answers(self, path: str, answer: dict[str, object] | str, *, status: int = 200) -> None:
        """The next call of `path` gets `answer`."""

        def respond() -> web.Response:
            if isinstance(answer, str):
                return web.Response(text=answer, status=status)
            return web.json_response({"errcode": 0, "errmsg": "ok", **answer}, status=status)

        self._answers.setdefault(path, []).append(respond)

    def application(self) -> web.Application:
        """The server to start."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def asked(self, path: str) -> list[dict[str, object]]:
        """The JSON body of every call of `path`."""
        return [body for called, _query, body in self.calls if called == path]

    def expire_token(self) -> None:
        """The present token is no longer good; the next one is another."""
        self.valid_token = "expired"

    async def _handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.calls.append((request.path, dict(request.query), json.loads(raw) if raw else {}))
        if request.path == "/cgi-bin/gettoken":
            return self._issue(request)
        if request.query.get("access_token") != self.valid_token:
            return web.json_response({"errcode": 42001, "errmsg": "access_token expired"})
        return self._answers[request.path].pop(0)()

    def _issue(self, request: web.Request) -> web.Response:
        if request.query.get("corpsecret") != SECRET:
            return web.json_response({"errcode": 40001, "errmsg": "invalid credential"})
        self.tokens_issued += 1
        self.valid_token = f"token-{self.tokens_issued}"
        return web.json_response({"errcode": 0, "errmsg": "ok", "access_token": self.valid_token, "expires_in": 7200})
