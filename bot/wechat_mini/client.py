"""Server API of a mini-program (小程序): the methods that membership needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from bot.accounts import WechatAccount
from bot.calls import CallFailed
from bot.channel import SendResult, Unknown
from bot.http import PlatformHttp
from bot.strict_json import Json
from bot.tokens import TokenFactory
from bot.wx_api import WechatApi, object_of

SCENE_MAX: Final = 32
"""Longest `scene` of a code picture: put a short random key there and resolve it on our side."""

CHECKED_TEXT_MAX: Final = 2500

ReleaseState = Literal["developer", "trial", "formal"]
"""Which build of the mini-program a message opens."""


@dataclass(frozen=True, slots=True)
class MiniLogin:
    """Who logged in. `session_key` stays on the server and is void after the next `wx.login`."""

    openid: str
    union_id: str | None
    session_key: str


@dataclass(frozen=True, slots=True)
class VerifiedPhone:
    """A phone number that WeChat vouches for; `number` with country code (`+86…`)."""

    number: str
    country_code: str


class TextVerdict(StrEnum):
    """What content safety says about words of a member."""

    PASS = "pass"  # noqa: S105 - the platform's word, not a password
    REVIEW = "review"
    RISKY = "risky"


class MiniProgramClient:
    """The API of one mini-program; every method is one call with a deadline, raising `CallFailed`."""

    def __init__(self, account: WechatAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self._account = account
        self._api = WechatApi(account, http, tokens, quota_by_minute=True)

    async def exchange_code(self, code: str) -> MiniLogin:
        """Who called `wx.login`; `code` works once and for five minutes.

        Raises:
            CodeRefused: wrong, used or expired.
            CallFailed: blocked by WeChat as high risk (40226), or no answer that helps.
        """
        params = {"js_code": code, "grant_type": "authorization_code"}
        answer = await self._api.call_with_secret("/sns/jscode2session", params)
        openid, session_key = answer.get("openid"), answer.get("session_key")
        if not isinstance(openid, str) or not openid or not isinstance(session_key, str):
            raise CallFailed(Unknown("a login answer without openid"))
        union_id = answer.get("unionid")
        return MiniLogin(openid, str(union_id) if union_id else None, session_key)

    async def phone_number(self, code: str) -> VerifiedPhone:
        """The number behind the code of `getPhoneNumber` (not the login code; once, five minutes; paid per call).

        Raises:
            CodeRefused: wrong, used or expired.
            CallFailed: refused, no answer that helps, or a number issued for another app.
        """
        answer = object_of(await self._api.call("POST", "/wxa/business/getuserphonenumber", body={"code": code}))
        info = answer.get("phone_info")
        if not isinstance(info, Mapping):
            raise CallFailed(Unknown("an answer without phone_info"))
        watermark = info.get("watermark")
        if isinstance(watermark, Mapping) and watermark.get("appid", self._account.app_id) != self._account.app_id:
            raise CallFailed(Unknown("a phone number issued for another app"))
        country_code = str(info.get("countryCode") or "86").lstrip("+")
        pure = str(info.get("purePhoneNumber") or "")
        if not pure:
            raise CallFailed(Unknown("an answer without a number"))
        return VerifiedPhone(f"+{country_code}{pure}", country_code)

    async def send_subscription(
        self,
        openid: str,
        template_id: str,
        data: Mapping[str, object],
        *,
        page: str | None,
        state: ReleaseState = "formal",
    ) -> SendResult:
        """Subscribe message (订阅消息): uses one grant of the person up."""
        body: dict[str, object] = {
            "touser": openid,
            "template_id": template_id,
            "data": dict(data),
            "miniprogram_state": state,
            "lang": "zh_CN",
        }
        if page:
            body["page"] = page.lstrip("/")
        return await self._api.send("/cgi-bin/message/subscribe/send", body)

    async def send_text(self, openid: str, text: str) -> SendResult:
        """Customer-service message; only after the person wrote (5 in 48 hours) or entered (2 in a minute)."""
        body = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        return await self._api.send("/cgi-bin/message/custom/send", body)

    async def code_picture(self, scene: str, *, page: str | None = None, width: int = 430) -> bytes:
        """A mini-program code (小程序码) as image bytes; `scene` has at most 32 plain characters.

        Raises:
            ValueError: `scene` is too long.
            CallFailed: refused, for instance because `page` is not published (41030).
        """
        if len(scene) > SCENE_MAX:
            raise ValueError(f"a scene has at most {SCENE_MAX} characters")
        body: dict[str, object] = {"scene": scene, "width": width}
        if page:
            body["page"] = page.lstrip("/")
        answer = await self._api.call("POST", "/wxa/getwxacodeunlimit", body=body)
        if answer.json is not None or not answer.body:
            raise CallFailed(Unknown("an answer that is not a picture"))
        return answer.body

    async def check_text(self, openid: str, text: str, *, scene: int = 1) -> TextVerdict:
        """What WeChat thinks of a member's words before others see them; `openid` visited within two hours.

        `scene`: 1 profile, 2 comment, 3 forum, 4 social log.
        """
        body = {"version": 2, "openid": openid, "scene": scene, "content": text[:CHECKED_TEXT_MAX]}
        answer = object_of(await self._api.call("POST", "/wxa/msg_sec_check", body=body))
        return _verdict(answer.get("result"))


def _verdict(result: Json) -> TextVerdict:
    suggested = result.get("suggest") if isinstance(result, Mapping) else None
    # An answer that cannot be read must not publish anything: somebody looks at it.
    return TextVerdict(suggested) if suggested in set(TextVerdict) else TextVerdict.REVIEW
