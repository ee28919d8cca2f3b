"""Calls to the WeChat server API: token, one renewal, and every refusal as a value.

Official account and mini-program share it; their clients add the methods.
"""

from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from bot.accounts import WechatAccount
from bot.calls import CallFailed
from bot.channel import Accepted, Rejected, RejectReason, SendResult, Unknown
from bot.http import HttpAnswer, PlatformHttp, SendFailed
from bot.strict_json import Json
from bot.tokens import Issued, TokenFactory, TokenUnavailable
from bot.wx_errors import ALREADY_DONE, LOGIN_CODE_CODES, TOKEN_CODES, rejection
from loyalty import clock

_TIMEOUT_S: Final = 8.0
_UNREACHABLE_RETRY_S: Final = 2.0
_CLIENT_ERROR: Final = 400
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500


class CodeRefused(CallFailed):
    """The one-use code of a login or phone number is wrong, used or expired: ask the client for a new one."""


class WechatApi:
    """One WeChat app's server API. `quota_by_minute` tells how its 45009 is counted."""

    def __init__(
        self, account: WechatAccount, http: PlatformHttp, tokens: TokenFactory, *, quota_by_minute: bool
    ) -> None:
        self._account = account
        self._http = http
        self._tokens = tokens(f"wechat/{account.app_id}/access_token", self._issue_token)
        self._quota_by_minute = quota_by_minute

    async def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object | None = None,
        form: Callable[[], aiohttp.FormData] | None = None,
    ) -> HttpAnswer:
        """One call with an access token; a refused token is renewed once and the call repeated once.

        `form` builds an upload anew for each attempt, because a form can be sent only once.

        Raises:
            CallFailed: the platform refused, or its answer is not known.
        """
        token = await self._token()
        try:
            return await self._once(method, path, token, params, body, form)
        except _TokenRefused:
            token = await self._token(rejected=token)
        try:
            return await self._once(method, path, token, params, body, form)
        except _TokenRefused as refused:
            raise CallFailed(refused.result) from None

    async def call_with_secret(self, path: str, params: Mapping[str, str]) -> Mapping[str, Json]:
        """A GET that authenticates with app id and secret instead of a token (logins by code).

        Raises:
            CodeRefused: the person's code is not usable.
            CallFailed: the platform refused, or its answer is not known.
        """
        signed = {"appid": self._account.app_id, "secret": self._account.app_secret, **params}
        answer = await self._send("GET", path, params=signed)
        return object_of(answer)

    async def send(self, path: str, body: object) -> SendResult:
        """POST one message for one person; what happened as a value."""
        try:
            answer = object_of(await self.call("POST", path, body=body))
        except CallFailed as failed:
            if isinstance(failed.result, Rejected) and failed.result.code in map(str, ALREADY_DONE):
                return Accepted()
            return failed.result
        message_id = answer.get("msgid")
        return Accepted(None if message_id is None else str(message_id))

    async def _issue_token(self, force: bool) -> Issued:  # noqa: FBT001 - the shape of `bot.tokens.Issue`
        # `stable_token` gives every caller the same token; dropping it (`force`) is allowed 20 times a day.
        body = {
            "grant_type": "client_credential",
            "appid": self._account.app_id,
            "secret": self._account.app_secret,
            "force_refresh": force,
        }
        try:
            answer = await self._send("POST", "/cgi-bin/stable_token", body=body)
        except CallFailed as failed:
            raise TokenUnavailable(failed.result) from None
        return issued_of(answer.json or {}, "access_token")

    async def _token(self, rejected: str | None = None) -> str:
        try:
            return await (self._tokens.current() if rejected is None else self._tokens.renew(rejected))
        except TokenUnavailable as unavailable:
            raise CallFailed(unavailable.result) from None

    async def _once(
        self,
        method: str,
        path: str,
        token: str,
        params: Mapping[str, str] | None,
        body: object | None,
        form: Callable[[], aiohttp.FormData] | None,
    ) -> HttpAnswer:
        data = form() if form is not None else None
        return await self._send(method, path, params={**(params or {}), "access_token": token}, body=body, data=data)

    async def _send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object | None = None,
        data: aiohttp.FormData | None = None,
    ) -> HttpAnswer:
        url = self._account.api_base.rstrip("/") + path
        try:
            answer = await self._http.request(
                method, url, params=params, json_body=body, data=data, timeout_s=_TIMEOUT_S
            )
        except SendFailed as failed:
            if failed.unknown:
                raise CallFailed(Unknown(failed.detail)) from None
            unreachable = Rejected(RejectReason.RATE, "unreachable", failed.detail, _UNREACHABLE_RETRY_S)
            raise CallFailed(unreachable) from None
        self._check(answer)
        return answer

    def _check(self, answer: HttpAnswer) -> None:
        code = (answer.json or {}).get("errcode", 0)
        if not isinstance(code, int) or answer.status >= _SERVER_ERROR:
            raise CallFailed(Unknown(f"HTTP {answer.status}"))
        if code == 0 and answer.status < _CLIENT_ERROR:
            return
        if code == 0:
            reason = RejectReason.RATE if answer.status == _TOO_MANY else RejectReason.CONFIGURATION
            raise CallFailed(Rejected(reason, f"http_{answer.status}", "refused without an error code"))
        detail = str((answer.json or {}).get("errmsg", ""))
        rejected = rejection(code, detail, now=clock.now(), quota_by_minute=self._quota_by_minute)
        if code in TOKEN_CODES:
            raise _TokenRefused(rejected)
        raise (CodeRefused if code in LOGIN_CODE_CODES else CallFailed)(rejected)


class _TokenRefused(CallFailed):
    """The access token itself was refused."""


def object_of(answer: HttpAnswer) -> Mapping[str, Json]:
    """The JSON object of an answer.

    Raises:
        CallFailed: it is none; what was asked for may have happened.
    """
    if answer.json is None:
        raise CallFailed(Unknown("an answer that is not a JSON object"))
    return answer.json


def issued_of(answer: Mapping[str, Json], field: str) -> Issued:
    """The token named `field` of an issuing answer.

    Raises:
        TokenUnavailable: it is not there.
    """
    value, expires_in = answer.get(field), answer.get("expires_in")
    if not isinstance(value, str) or not value or not isinstance(expires_in, int):
        raise TokenUnavailable(Unknown(f"an answer without {field}"))
    return Issued(value, expires_in)
