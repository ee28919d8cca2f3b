"""A small product on one port and the sandbox on another; the product reads and writes envelopes with wechatpy."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import xmltodict
from aiohttp import web
from wechatpy.crypto import WeChatCrypto
from wechatpy.enterprise.crypto import WeChatCrypto as WecomCrypto

from bot.sandbox.config import (
    PersonSeed,
    SandboxConfig,
    SmsAccount,
    TelegramAccount,
    TemplateSeed,
    WechatAccount,
    WecomAccount,
)

AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OA_APP, MINI_APP, CORP = "wx00000000000000oa", "wx0000000000000min", "ww0000000000000001"
BOT_TOKEN = "123456:AAaaBBbbCCccDDddEEeeFFffGGggHHhhIIi"


@dataclass
class Inbound:
    """A callback as the product understood it."""

    path: str
    query: dict[str, str]
    raw: str
    message: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Product:
    """What the product does with callbacks; tests change it."""

    inbound: list[Inbound] = field(default_factory=list)
    reply: Callable[[Inbound], str] = lambda _: ""
    delay_s: float = 0.0
    statuses: list[int] = field(default_factory=list)
    clear_replies: bool = False
    during: Callable[[Inbound], Awaitable[None]] | None = None

    def events(self, name: str) -> list[dict[str, Any]]:
        """Messages whose Event or ChangeType has that name."""
        return [i.message for i in self.inbound if name in (i.message.get("Event"), i.message.get("ChangeType"))]

    async def oa(self, request: web.Request) -> web.Response:
        return await self._wechat(request, WeChatCrypto("oatoken", AES_KEY, OA_APP))

    async def mini(self, request: web.Request) -> web.Response:
        return await self._wechat(request, WeChatCrypto("minitoken", AES_KEY, MINI_APP))

    async def wecom(self, request: web.Request) -> web.Response:
        return await self._wechat(request, WecomCrypto("cptoken", AES_KEY, CORP))

    async def _wechat(self, request: web.Request, crypto: Any) -> web.Response:
        raw, query = await request.text(), dict(request.query)
        json_body = request.content_type == "application/json"
        outer = json.loads(raw) if json_body else xmltodict.parse(raw)["xml"]
        clear = raw
        if "Encrypt" in outer:
            signed = (query["msg_signature"], query["timestamp"], query["nonce"])
            clear = crypto.decrypt_message(outer, *signed)
        message = json.loads(clear) if clear.startswith("{") else xmltodict.parse(clear)["xml"]
        inbound = Inbound(request.path, query, raw, message, dict(request.headers))
        status = await self._take(inbound)
        reply = self.reply(inbound)
        if reply.startswith("<xml>") and not self.clear_replies:
            reply = crypto.encrypt_message(reply, "nonce", "1700000000")
        return web.Response(status=status, text=reply)

    async def telegram(self, request: web.Request) -> web.Response:
        raw = await request.text()
        inbound = Inbound(request.path, {}, raw, json.loads(raw), dict(request.headers))
        status = await self._take(inbound)
        return web.Response(status=status, text=self.reply(inbound), content_type="application/json")

    async def pay(self, request: web.Request) -> web.Response:
        raw = await request.text()
        inbound = Inbound(request.path, {}, raw, json.loads(raw), dict(request.headers))
        return web.Response(status=await self._take(inbound))

    async def _take(self, inbound: Inbound) -> int:
        self.inbound.append(inbound)
        status = self.statuses.pop(0) if self.statuses else 200
        if self.during:
            await self.during(inbound)
        await asyncio.sleep(self.delay_s)
        return status

    async def verify_oa(self, request: web.Request) -> web.Response:
        return web.Response(text=request.query["echostr"])

    async def verify_wecom(self, request: web.Request) -> web.Response:
        query = request.query
        crypto = WecomCrypto("cptoken", AES_KEY, CORP)
        signed = (query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"])
        return web.Response(text=crypto.check_signature(*signed))


def text_reply(inbound: Inbound, content: str) -> str:
    """A passive text reply to a message."""
    to, sender = inbound.message["FromUserName"], inbound.message["ToUserName"]
    return (
        f"<xml><ToUserName>{to}</ToUserName><FromUserName>{sender}</FromUserName><CreateTime>1</CreateTime>"
        f"<MsgType>text</MsgType><Content><![CDATA[{content}]]></Content></xml>"
    )


@dataclass
class Town:
    """The running sandbox, the product beside it, and short ways to both."""

    product: Product
    http: aiohttp.ClientSession
    config: SandboxConfig
    tokens: dict[str, str] = field(default_factory=dict)
    restart: Callable[[], Awaitable[None]] | None = None
    """Ends the sandbox and starts it again from what it kept."""

    text_reply = staticmethod(text_reply)

    async def close(self) -> None:
        """Hang up, also after a restart replaced the client."""
        await self.http.close()

    async def act(self, person: str, verb: str, /, status: int = 200, **body: Any) -> Any:
        """A person does something."""
        async with self.http.post(f"/control/people/{person}/act/{verb}", json=body) as response:
            answer = await response.json()
            assert response.status == status, answer
            return answer

    async def control(self, method: str, path: str, status: int | None = None, /, **body: Any) -> Any:
        """A call of the control API."""
        if path == "/clock":
            self.tokens.clear()
        async with self.http.request(method, f"/control{path}", json=body or None) as response:
            answer = await response.json()
            assert status is None or response.status == status, answer
            return answer

    async def lines(self, person: str, channel: str = "") -> list[dict[str, Any]]:
        """What that person sees."""
        lines = (await self.control("GET", f"/people/{person}/screen"))["lines"]
        return [line for line in lines if channel in ("", line["channel"])]

    async def person(self, person: str) -> Any:
        """A person with all identities."""
        return await self.control("GET", f"/people/{person}")

    async def openid(self, person: str, app_id: str = OA_APP) -> str:
        """Their openid."""
        return str((await self.person(person))["wechat"]["openids"][app_id])

    async def wechat(self, path: str, body: Any = None, *, app: str = OA_APP, **query: Any) -> Any:
        """A WeChat API with a stable token of that app."""
        if app not in self.tokens:
            grant = {"grant_type": "client_credential", "appid": app, "secret": "secret"}
            async with self.http.post("/platform/wechat/cgi-bin/stable_token", json=grant) as response:
                self.tokens[app] = (await response.json())["access_token"]
        query = {"access_token": self.tokens[app], **query}
        return await self.raw("/platform/wechat" + path, body, query)

    async def wecom(self, path: str, body: Any = None, /, **query: Any) -> Any:
        """A WeCom API with the app's token."""
        grant = {"corpid": CORP, "corpsecret": "secret"}
        token = (await self.raw("/platform/wecom/cgi-bin/gettoken", None, grant))["access_token"]
        return await self.raw("/platform/wecom" + path, body, {"access_token": token, **query})

    async def telegram(self, method: str, /, **params: Any) -> Any:
        """A bot method."""
        return await self.raw(f"/platform/telegram/bot{BOT_TOKEN}/{method}", params, {})

    async def raw(self, path: str, body: Any, query: dict[str, Any]) -> Any:
        """GET without a body, POST with one; the JSON of the answer."""
        if body is None:
            async with self.http.get(path, params=query) as response:
                return await response.json()
        async with self.http.post(path, params=query, json=body) as response:
            return await response.json()


def make_config(product_url: str, **changes: Any) -> SandboxConfig:
    """Accounts of every platform, with short deadlines."""
    oa = WechatAccount(
        channel="wechat_oa",
        app_id=OA_APP,
        app_secret="secret",
        token="oatoken",
        encoding_aes_key=AES_KEY,
        callback_url=product_url + "/oa",
    )
    mini = replace(oa, channel="wechat_mini", app_id=MINI_APP, token="minitoken", callback_url=product_url + "/mini")
    wecom = WecomAccount(
        corp_id=CORP,
        agent_id=1000002,
        app_secret="secret",
        token="cptoken",
        encoding_aes_key=AES_KEY,
        callback_url=product_url + "/wecom",
    )
    bot = TelegramAccount(bot_token=BOT_TOKEN, webhook_secret="s3cret", callback_url=product_url + "/telegram")
    people = (
        PersonSeed(id="lin", name="小林", phone="13800000001"),
        PersonSeed(id="mei", name="Mei", phone="+4915100000001", language="en"),
        PersonSeed(id="zhang", name="张店员", kind="staff"),
    )
    config = SandboxConfig(
        wechat=(oa, mini),
        wecom=(wecom,),
        telegram=(bot,),
        sms=(SmsAccount(api_key="smskey", templates={"code": "验证码 {code}"}),),
        people=people,
        templates=(TemplateSeed(template_id="tier", title="等级变动", keys=("thing1", "time2")),),
        deadline_s=0.3,
        retry_pause_s=0.0,
        reorder_hold_s=1.0,
        telegram_chat_burst=3,
    )
    return replace(config, **changes)
