"""Server API of an official account (公众号): the methods that membership needs."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from bot.accounts import WechatAccount
from bot.calls import CallFailed
from bot.channel import SendResult
from bot.http import PlatformHttp
from bot.strict_json import Json
from bot.tokens import Issued, TokenFactory, TokenUnavailable
from bot.wx_api import WechatApi, issued_of, object_of
from handlers.messages import MenuItem
from loyalty import clock

TEMPORARY_QR_MAX_S: Final = 2_592_000
"""Longest life of a temporary QR code: 30 days."""

MENU_TOP_MAX: Final = 3
MENU_SUB_MAX: Final = 5

_CLIENT_MESSAGE_ID_BYTES: Final = 32
_OAUTH_HOST: Final = "https://open.weixin.qq.com"
_IMAGE_HOST: Final = "https://mp.weixin.qq.com"


class SnapshotUser(Exception):
    """WeChat opened the page for a virtual account (快照页): its openid is nobody and must not be bound."""


@dataclass(frozen=True, slots=True)
class WebLogin:
    """Who opened a page, as OAuth tells it; `union_id` only with scope `snsapi_userinfo`."""

    openid: str
    union_id: str | None
    scope: str


@dataclass(frozen=True, slots=True)
class FollowerInfo:
    """What the account may know of a person; without `subscribed` nothing else is told."""

    openid: str
    subscribed: bool
    union_id: str | None
    subscribe_scene: str | None
    qr_scene: str | None
    language: str | None


@dataclass(frozen=True, slots=True)
class SceneQr:
    """A parametric QR code (带参二维码): `url` is what the picture encodes, `image_url` the platform's picture."""

    ticket: str
    url: str
    image_url: str


@dataclass(frozen=True, slots=True)
class PageSignature:
    """What `wx.config` of a page needs."""

    app_id: str
    timestamp: int
    nonce: str
    signature: str


class OfficialAccountClient:
    """The API of one official account; every method is one call with a deadline, raising `CallFailed`."""

    def __init__(self, account: WechatAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self._account = account
        self._api = WechatApi(account, http, tokens, quota_by_minute=False)
        self._tickets = tokens(f"wechat/{account.app_id}/jsapi_ticket", self._issue_ticket)

    async def send_text(self, openid: str, text: str) -> SendResult:
        """Customer-service message; only inside the person's interaction window (45015, 45047)."""
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        return await self._api.send("/cgi-bin/message/custom/send", body)

    async def send_template(
        self, openid: str, template_id: str, data: Mapping[str, object], *, client_message_id: str, url: str | None
    ) -> SendResult:
        """Template message (模板消息): service notices only. The id is deduplicated for about ten minutes."""
        body: dict[str, object] = {"touser": openid, "template_id": template_id, "data": dict(data)}
        body["client_msg_id"] = _short_id(client_message_id)
        if url:
            body["url"] = url
        return await self._api.send("/cgi-bin/message/template/send", body)

    async def send_subscription(
        self, openid: str, template_id: str, data: Mapping[str, object], *, page: str | None
    ) -> SendResult:
        """Subscription notice (订阅通知): uses one grant of the person up."""
        body: dict[str, object] = {"touser": openid, "template_id": template_id, "data": dict(data)}
        if page:
            body["page"] = page
        return await self._api.send("/cgi-bin/message/subscribe/bizsend", body)

    async def create_menu(self, items: Sequence[MenuItem]) -> None:
        """Replace the account's menu; clients see it within five minutes.

        Raises:
            ValueError: more entries than the platform shows.
            CallFailed: refused.
        """
        if len(items) > MENU_TOP_MAX or any(len(item.children) > MENU_SUB_MAX for item in items):
            raise ValueError(f"a menu has at most {MENU_TOP_MAX} entries with {MENU_SUB_MAX} below each")
        await self._api.call("POST", "/cgi-bin/menu/create", body={"button": [_menu_entry(item) for item in items]})

    async def menu(self) -> Mapping[str, Json]:
        """The menu as the platform has it."""
        return object_of(await self._api.call("GET", "/cgi-bin/menu/get"))

    async def create_qr(self, scene: str, *, lives_s: int | None = TEMPORARY_QR_MAX_S) -> SceneQr:
        """A QR code that brings `scene` (1–64 characters) back; permanent (100 000 in all) with `lives_s` None."""
        body: dict[str, object] = {"action_info": {"scene": {"scene_str": scene}}}
        if lives_s is None:
            body["action_name"] = "QR_LIMIT_STR_SCENE"
        else:
            body |= {"action_name": "QR_STR_SCENE", "expire_seconds": min(lives_s, TEMPORARY_QR_MAX_S)}
        answer = object_of(await self._api.call("POST", "/cgi-bin/qrcode/create", body=body))
        ticket = str(answer.get("ticket", ""))
        image_url = f"{self._page_host(_IMAGE_HOST)}/cgi-bin/showqrcode?ticket={quote(ticket, safe='')}"
        return SceneQr(ticket, str(answer.get("url", "")), image_url)

    async def follower(self, openid: str) -> FollowerInfo:
        """Whether somebody follows, and their union id when the account has one to tell."""
        params = {"openid": openid, "lang": "zh_CN"}
        answer = object_of(await self._api.call("GET", "/cgi-bin/user/info", params=params))
        return FollowerInfo(
            openid=str(answer.get("openid", openid)),
            subscribed=answer.get("subscribe") == 1,
            union_id=_text(answer.get("unionid")),
            subscribe_scene=_text(answer.get("subscribe_scene")),
            qr_scene=_text(answer.get("qr_scene_str")) or _text(answer.get("qr_scene")),
            language=_text(answer.get("language")),
        )

    async def upload_image(self, picture: bytes, filename: str) -> str:
        """The media id (three days) of a temporary picture."""

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData()
            made.add_field("media", picture, filename=filename, content_type="application/octet-stream")
            return made

        answer = object_of(await self._api.call("POST", "/cgi-bin/media/upload", params={"type": "image"}, form=form))
        return str(answer.get("media_id", ""))

    def login_url(self, redirect_uri: str, state: str, *, with_union_id: bool = False) -> str:
        """Where a page sends the person to be recognised; old clients insist on this order of parameters."""
        query = urlencode(
            {
                "appid": self._account.app_id,
                "redirect_uri": redirect_uri,
                "response_type": "code",
                "scope": "snsapi_userinfo" if with_union_id else "snsapi_base",
                "state": state,
            }
        )
        return f"{self._page_host(_OAUTH_HOST)}/connect/oauth2/authorize?{query}#wechat_redirect"

    async def exchange_code(self, code: str) -> WebLogin:
        """Who came back with `code` (once, five minutes).

        Raises:
            SnapshotUser: a virtual account: ask for a tap and try again.
            CodeRefused: wrong, used or expired.
            CallFailed: no answer that helps.
        """
        params = {"code": code, "grant_type": "authorization_code"}
        answer = await self._api.call_with_secret("/sns/oauth2/access_token", params)
        if answer.get("is_snapshotuser") in (1, "1", True):
            raise SnapshotUser
        return WebLogin(str(answer.get("openid", "")), _text(answer.get("unionid")), str(answer.get("scope", "")))

    async def sign_page(self, url: str, *, now: datetime | None = None, nonce: str | None = None) -> PageSignature:
        """The JS-SDK signature for the page at `url`, whose fragment does not count."""
        try:
            ticket = await self._tickets.current()
        except TokenUnavailable as unavailable:
            raise CallFailed(unavailable.result) from None
        timestamp = int((now or clock.now()).timestamp())
        nonce = nonce or secrets.token_hex(8)
        return PageSignature(self._account.app_id, timestamp, nonce, page_signature(ticket, nonce, timestamp, url))

    async def _issue_ticket(self, _force: bool) -> Issued:  # noqa: FBT001 - the shape of `bot.tokens.Issue`
        try:
            answer = await self._api.call("GET", "/cgi-bin/ticket/getticket", params={"type": "jsapi"})
            return issued_of(object_of(answer), "ticket")
        except CallFailed as failed:
            raise TokenUnavailable(failed.result) from None

    def _page_host(self, host: str) -> str:
        official = (urlsplit(self._account.api_base).hostname or "").endswith("weixin.qq.com")
        return host if official else self._account.api_base.rstrip("/")


def page_signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Hex SHA-1 that the JS-SDK checks: raw values in this order, the address without its fragment."""
    signed = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={url.partition('#')[0]}"
    return hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()


def _menu_entry(item: MenuItem) -> dict[str, object]:
    if item.children:
        return {"name": item.text, "sub_button": [_menu_entry(child) for child in item.children]}
    if item.url is not None:
        return {"name": item.text, "type": "view", "url": item.url}
    return {"name": item.text, "type": "click", "key": item.key}


def _short_id(client_message_id: str) -> str:
    if len(client_message_id.encode()) <= _CLIENT_MESSAGE_ID_BYTES:
        return client_message_id
    return hashlib.sha256(client_message_id.encode()).hexdigest()[:_CLIENT_MESSAGE_ID_BYTES]


def _text(value: Json) -> str | None:
    return None if value in (None, "", 0) else str(value)
