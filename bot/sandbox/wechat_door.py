"""The door of api.weixin.qq.com: which API exists, whose token it is, quotas, and errors in WeChat's shape."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.config import WechatAccount
from bot.sandbox.doors import Door, Incoming, Reply, Upload
from bot.sandbox.people import openid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.wechat_state import WechatState
from bot.sandbox.world import Person, opaque

TOKEN_LENGTH_AT_LEAST = 32


@dataclass(frozen=True)
class WechatCall:
    """One authorised call of one account's API."""

    stage: Stage
    account: WechatAccount
    query: Mapping[str, str]
    body: dict[str, Any]
    uploads: list[Upload]
    incoming: Incoming

    @property
    def state(self) -> WechatState:
        """What WeChat remembers about the account."""
        return self.stage.wechat(self.account.key)

    @property
    def now(self) -> float:
        """World time."""
        return self.stage.clock.world()

    @property
    def where(self) -> tuple[str, str]:
        """The screen that this account writes on."""
        return self.account.channel, self.account.account

    def person(self, value: Any) -> Person:
        """Whose openid of this app it is. Raises PlatformError 40003."""
        person = self.stage.people.by_openid(self.account.app_id, str(value or ""))
        if person is None:
            raise PlatformError(40003, "invalid openid")
        self.incoming.person = person.id
        return person

    def openid(self, person_id: str) -> str:
        """That person's openid in this app."""
        return openid(self.account.app_id, person_id)


Handler = Callable[[WechatCall], dict[str, Any] | Reply]


@dataclass(frozen=True)
class Api:
    """One API. `auth`: `token` (access_token), `secret` (appid and secret), `appid`, `user` (a per-user token)."""

    method: str
    handle: Handler
    auth: str = "token"
    channel: str = ""
    body: str = "json"


def ok(**fields: Any) -> dict[str, Any]:
    """Success as most APIs answer it."""
    return {"errcode": 0, "errmsg": "ok", **fields}


def wechat_door(stage: Stage, apis: Mapping[str, Api]) -> Door:
    """The door over a table of APIs by path."""

    def work(incoming: Incoming) -> Reply:
        api = apis.get(incoming.api)
        if api is None:
            raise PlatformError(40066, "invalid url")
        return _answer(stage, api, incoming)

    return Door("wechat", work, _refuse, PlatformError(45009, "reach max api daily quota limit"), _revoke_tokens)


def _answer(stage: Stage, api: Api, incoming: Incoming) -> Reply:
    if incoming.method != api.method:
        raise PlatformError(43001 if api.method == "GET" else 43002, f"require {api.method} method")
    body = _body(api, incoming)
    account = _account(stage, api, incoming, body)
    incoming.channel, incoming.account = account.channel, account.account
    if api.channel and account.channel != api.channel:
        raise PlatformError(48001, "api unauthorized")
    if not stage.quotas.spend(account.key, incoming.api):
        raise PlatformError(45009, "reach max api daily quota limit")
    answer = api.handle(WechatCall(stage, account, incoming.query, body, incoming.uploads, incoming))
    return answer if isinstance(answer, Reply) else Reply(answer)


def _body(api: Api, incoming: Incoming) -> dict[str, Any]:
    if api.method == "GET" or api.body != "json":
        return {}
    if not incoming.raw:
        raise PlatformError(44002, "empty post data")
    try:
        value = incoming.json()
    except ValueError:
        raise PlatformError(47001, "data format error") from None
    if not isinstance(value, dict):
        raise PlatformError(47001, "data format error")
    return value


def _account(stage: Stage, api: Api, incoming: Incoming, body: dict[str, Any]) -> WechatAccount:
    if api.auth == "token":
        return account_of_token(stage, incoming.query.get("access_token", ""))
    if api.auth == "user":
        return _account_of_user_token(stage, incoming.query.get("access_token", ""))
    source = body if api.method == "POST" else incoming.query
    appid = str(source.get("appid") or incoming.query.get("appid") or "")
    if not appid:
        raise PlatformError(41002, "appid missing")
    account = next((a for a in stage.config.wechat if a.app_id == appid), None)
    if account is None:
        raise PlatformError(40013, "invalid appid")
    if api.auth == "secret":
        secret = str(source.get("secret") or incoming.query.get("appsecret") or "")
        if not secret:
            raise PlatformError(41004, "appsecret missing")
        if secret != account.app_secret:
            raise PlatformError(40125, "invalid appsecret")
    return account


def _account_of_user_token(stage: Stage, value: str) -> WechatAccount:
    for account in stage.config.wechat:
        if value in stage.wechat(account.key).user_tokens:
            return account
    raise PlatformError(40001, "invalid credential, access_token is invalid or not latest")


def account_of_token(stage: Stage, value: str) -> WechatAccount:
    """Whose access token it is. Raises PlatformError 41001, 40014, 40001 or 42001."""
    if not value:
        raise PlatformError(41001, "access_token missing")
    if len(value) < TOKEN_LENGTH_AT_LEAST:
        raise PlatformError(40014, "invalid access_token")
    for account in stage.config.wechat:
        token = stage.wechat(account.key).tokens.get(value)
        if token is None or token.revoked:
            continue
        if token.expires_at <= stage.clock.world():
            raise PlatformError(42001, "access_token expired")
        return account
    raise PlatformError(40001, "invalid credential, access_token is invalid or not latest")


def _refuse(error: PlatformError) -> Reply:
    return Reply({"errcode": error.code, "errmsg": f"{error.message} rid: {opaque(24)}"})


def _revoke_tokens(stage: Stage) -> PlatformError | None:
    for account in stage.config.wechat:
        for token in stage.wechat(account.key).tokens.values():
            token.revoked = True
    return None


def escaped_unicode(incoming: Incoming) -> bool:
    """Whether the JSON escapes non-ASCII, which some APIs refuse (40033)."""
    return b"\\u" in incoming.raw


def as_list(value: Any) -> list[Any]:
    """A list, or nothing when the field is absent. Raises PlatformError 47001 for another type."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise PlatformError(47001, "data format error")
    return value


def pretty(value: Any) -> str:
    """A payload that has no better words, for a screen."""
    return json.dumps(value, ensure_ascii=False)[:300]
