"""Calls to the WeCom server API: token, one renewal, and every refusal as `CallFailed`."""

from collections.abc import Mapping
from typing import Final

import structlog

from bot.accounts import WecomAccount
from bot.calls import CallFailed
from bot.channel import Rejected, RejectReason, Unknown
from bot.http import HttpAnswer, PlatformHttp, SendFailed
from bot.strict_json import Json
from bot.tokens import Issued, TokenFactory, TokenUnavailable
from bot.wecom.refusals import LOGIN_CODE_CODES, TOKEN_CODES, rejection

log = structlog.get_logger()

TIMEOUT_S: Final = 8.0
_UNREACHABLE_RETRY_S: Final = 2.0
_PARTLY_IGNORED: Final = "wrong json format"
_CLIENT_ERROR: Final = 400
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class LoginCodeRefused(CallFailed):
    """The one-use code of a login is wrong, used or too old: the page must fetch a new one."""


class _TokenRefused(CallFailed):
    """The access token itself was refused."""


class WecomApi:
    """One self-built application of one corp."""

    def __init__(self, account: WecomAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self._account = account
        self._http = http
        self._base = account.api_base.rstrip("/")
        self._tokens = tokens(f"wecom/{account.corp_id}/{account.agent_id}/access_token", self._issue_token)

    @property
    def agent_id(self) -> int:
        """The application's number, which message calls repeat."""
        return self._account.agent_id

    async def get(self, path: str, params: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Mapping[str, Json]:
        """A reading call. Raises `CallFailed` when the platform refuses or its answer is not known."""
        return await self._call("GET", path, params, None, timeout_s)

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        params: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> Mapping[str, Json]:
        """A call with a JSON body. Raises `CallFailed` when the platform refuses or its answer is not known."""
        return await self._call("POST", path, params or {}, body, timeout_s)

    async def _call(
        self, method: str, path: str, params: Mapping[str, str], body: Mapping[str, object] | None, timeout_s: float
    ) -> Mapping[str, Json]:
        token = await self._token()
        try:
            return await self._once(method, path, {**params, "access_token": token}, body, timeout_s)
        except _TokenRefused:
            token = await self._token(rejected=token)
        try:
            return await self._once(method, path, {**params, "access_token": token}, body, timeout_s)
        except _TokenRefused as refused:
            raise CallFailed(refused.result) from None

    async def _token(self, rejected: str | None = None) -> str:
        try:
            return await (self._tokens.current() if rejected is None else self._tokens.renew(rejected))
        except TokenUnavailable as unavailable:
            raise CallFailed(unavailable.result) from None

    async def _issue_token(self, _force: bool) -> Issued:  # noqa: FBT001 - the signature of `Issue`
        # WeCom repeats the same token while it is good; there is no way to drop it, and no need.
        params = {"corpid": self._account.corp_id, "corpsecret": self._account.app_secret}
        try:
            answer = await self._once("GET", "/cgi-bin/gettoken", params, None, TIMEOUT_S)
        except CallFailed as failed:
            raise TokenUnavailable(failed.result) from None
        value, expires_in = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(value, str) or not value or not isinstance(expires_in, int):
            raise TokenUnavailable(Unknown("an answer without access_token"))
        return Issued(value, expires_in)

    async def _once(
        self, method: str, path: str, params: Mapping[str, str], body: Mapping[str, object] | None, timeout_s: float
    ) -> Mapping[str, Json]:
        try:
            answer = await self._http.request(
                method, self._base + path, params=params, json_body=body, timeout_s=timeout_s
            )
        except SendFailed as failed:
            if failed.unknown:
                raise CallFailed(Unknown(failed.detail)) from None
            unreachable = Rejected(RejectReason.RATE, "unreachable", failed.detail, _UNREACHABLE_RETRY_S)
            raise CallFailed(unreachable) from None
        return _checked(answer, path)


def _checked(answer: HttpAnswer, path: str) -> Mapping[str, Json]:
    body = answer.json or {}
    code = body.get("errcode", 0)
    detail = str(body.get("errmsg", ""))
    if isinstance(code, int) and code != 0:
        rejected = rejection(code, detail)
        if code in TOKEN_CODES:
            raise _TokenRefused(rejected)
        raise (LoginCodeRefused if code in LOGIN_CODE_CODES else CallFailed)(rejected)
    if _CLIENT_ERROR <= answer.status < _SERVER_ERROR:
        reason = RejectReason.RATE if answer.status == _TOO_MANY else RejectReason.CONFIGURATION
        raise CallFailed(Rejected(reason, f"http_{answer.status}", "refused without an error code"))
    if answer.json is None or answer.status >= _SERVER_ERROR or code != 0:
        raise CallFailed(Unknown(f"HTTP {answer.status} without an error code"))
    if _PARTLY_IGNORED in detail:
        log.warning("wecom_ignored_part_of_a_call", path=path)
    return body
