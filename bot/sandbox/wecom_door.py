"""The door of qyapi.weixin.qq.com: which API exists, whose token it is, and errors in WeCom's shape."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.sandbox.config import WecomAccount
from bot.sandbox.doors import Door, Incoming, Reply, Upload
from bot.sandbox.people import external_userid
from bot.sandbox.platform_error import PlatformError
from bot.sandbox.stage import Stage
from bot.sandbox.wecom_state import WecomState
from bot.sandbox.world import Person, opaque

CALLS_PER_MINUTE = 10_000


@dataclass(frozen=True)
class WecomCall:
    """One authorised call of one app's API."""

    stage: Stage
    account: WecomAccount
    query: Mapping[str, str]
    body: dict[str, Any]
    uploads: list[Upload]
    incoming: Incoming

    @property
    def state(self) -> WecomState:
        """What WeCom remembers about the app."""
        return self.stage.wecom(self.account.key)

    @property
    def now(self) -> float:
        """World time."""
        return self.stage.clock.world()

    @property
    def where(self) -> tuple[str, str]:
        """The screen that this app writes on."""
        return self.account.channel, self.account.account

    def staff(self, userid: Any) -> Person:
        """The staff member. Raises PlatformError 60111."""
        person = self.stage.people.by_wecom_userid(str(userid or ""))
        if person is None:
            raise PlatformError(60111, "userid not found")
        self.incoming.person = person.id
        return person

    def customer(self, value: Any) -> Person:
        """The customer. Raises PlatformError 40096."""
        person = self.stage.people.by_external_userid(self.account.corp_id, str(value or ""))
        if person is None:
            raise PlatformError(40096, "invalid external userid")
        self.incoming.person = person.id
        return person

    def external_userid(self, person_id: str) -> str:
        """That person's external_userid in this corporation."""
        return external_userid(self.account.corp_id, person_id)


Handler = Callable[[WecomCall], dict[str, Any] | Reply]


@dataclass(frozen=True)
class Api:
    """One API; `open` ones need no token."""

    method: str
    handle: Handler
    open: bool = False
    body: str = "json"


def ok(**fields: Any) -> dict[str, Any]:
    """Success as WeCom answers it."""
    return {"errcode": 0, "errmsg": "ok", **fields}


def wecom_door(stage: Stage, apis: Mapping[str, Api]) -> Door:
    """The door over a table of APIs by path."""

    def work(incoming: Incoming) -> Reply:
        api = apis.get(incoming.api)
        if api is None:
            raise PlatformError(40066, "invalid url")
        return _answer(stage, api, incoming)

    return Door("wecom", work, _refuse, PlatformError(45009, "api freq out of limit"), _revoke_tokens)


def _answer(stage: Stage, api: Api, incoming: Incoming) -> Reply:
    if api.method != incoming.method:
        raise PlatformError(43001 if api.method == "GET" else 43002, f"require {api.method} method")
    if api.open:
        account = _account_of_secret(stage, incoming.query)
    else:
        account = account_of_token(stage, incoming.query.get("access_token", ""))
    incoming.channel, incoming.account = account.channel, account.account
    if not stage.quotas.rate(f"wecom {account.corp_id} {incoming.api}", 60, CALLS_PER_MINUTE):
        raise PlatformError(45009, "api freq out of limit")
    if not stage.quotas.spend(account.key, incoming.api):
        raise PlatformError(45009, "api freq out of limit")
    answer = api.handle(WecomCall(stage, account, incoming.query, _body(api, incoming), incoming.uploads, incoming))
    return answer if isinstance(answer, Reply) else Reply(answer)


def _body(api: Api, incoming: Incoming) -> dict[str, Any]:
    if api.method == "GET" or api.body != "json":
        return {}
    try:
        value = incoming.json() if incoming.raw else {}
    except ValueError:
        raise PlatformError(47001, "data format error") from None
    if not isinstance(value, dict):
        raise PlatformError(47001, "data format error")
    return value


def _account_of_secret(stage: Stage, query: Mapping[str, str]) -> WecomAccount:
    of_corp = [a for a in stage.config.wecom if a.corp_id == query.get("corpid")]
    if not of_corp:
        raise PlatformError(40013, "invalid corpid")
    secret = query.get("corpsecret", "")
    if not secret:
        raise PlatformError(41004, "corpsecret missing")
    for account in of_corp:
        if secret in (account.app_secret, account.contact_secret):
            return account
    raise PlatformError(40001, "invalid credential")


def account_of_token(stage: Stage, value: str) -> WecomAccount:
    """Whose access token it is. Raises PlatformError 41001, 40014 or 42001."""
    if not value:
        raise PlatformError(41001, "access_token missing")
    for account in stage.config.wecom:
        token = stage.wecom(account.key).tokens.get(value)
        if token is None or token.revoked:
            continue
        if token.expires_at <= stage.clock.world():
            raise PlatformError(42001, "access_token expired")
        return account
    raise PlatformError(40014, "invalid access_token")


def _refuse(error: PlatformError) -> Reply:
    hint = f"hint: [{opaque(20)}], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query"
    return Reply({"errcode": error.code, "errmsg": f"{error.message}, {hint}?e={error.code}"})


def _revoke_tokens(stage: Stage) -> PlatformError | None:
    for account in stage.config.wecom:
        for token in stage.wecom(account.key).tokens.values():
            token.revoked = True
    return None


def strings(value: Any) -> list[str]:
    """A list of strings, or nothing when absent. Raises PlatformError 40058 for another type."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise PlatformError(40058, "invalid Request Parameter")
    return [str(item) for item in value]
