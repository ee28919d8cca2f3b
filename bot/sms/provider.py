"""Text messages (短信): what an SMS provider must do, and the provider over a JSON endpoint."""

import secrets
from collections.abc import Mapping
from typing import Final, Protocol

from bot.accounts import SmsAccount
from bot.channel import Accepted, Rejected, RejectReason, SendResult, Unknown
from bot.http import HttpAnswer, PlatformHttp, SendFailed

CODE_TEMPLATE: Final = "phone_code"
"""The template that carries a code in its parameter `code`; its words are registered with the provider."""

_TIMEOUT_S: Final = 8.0
_RETRY_AFTER_S: Final = 60.0
_UNREACHABLE_RETRY_S: Final = 2.0

_OK: Final = range(200, 300)
_REFUSED: Final = range(400, 500)

REASONS: Final[Mapping[int, RejectReason]] = {
    400: RejectReason.CONTENT,
    401: RejectReason.CONFIGURATION,
    403: RejectReason.CONFIGURATION,
    404: RejectReason.CONFIGURATION,  # the template is not registered
    409: RejectReason.CONTENT,
    422: RejectReason.BLOCKED,  # no such number, or the number refuses messages
    429: RejectReason.RATE,
}
"""HTTP status → reason; another 4xx is `CONTENT`: not repeated unchanged."""


class SmsProvider(Protocol):
    """A way to send registered templates to phones."""

    async def send(self, phone: str, template: str, params: Mapping[str, str], *, message_id: str) -> SendResult:
        """One attempt to send `template` filled with `params` to `phone` (E.164).

        `message_id` repeats on a retry, so that the provider sends once. Never raises for what a provider or
        network can do.
        """
        ...

    async def send_code(self, phone: str, code: str) -> bool:
        """Send a login or binding code; True when the provider accepted it."""
        ...


class HttpSms:
    """`POST {api_base}/send` with bearer key; `bot/sms/README.md` has the contract for a provider's gateway."""

    def __init__(self, account: SmsAccount, http: PlatformHttp) -> None:
        self._url = account.api_base.rstrip("/") + "/send"
        self._key = account.api_key
        self._signature = account.signature
        self._http = http

    async def send(self, phone: str, template: str, params: Mapping[str, str], *, message_id: str) -> SendResult:
        """One attempt; see `SmsProvider`."""
        body: dict[str, object] = {"phone": phone, "template": template, "params": dict(params)}
        if self._signature:
            body["signature"] = self._signature
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": message_id}
        try:
            answer = await self._http.request("POST", self._url, json_body=body, headers=headers, timeout_s=_TIMEOUT_S)
        except SendFailed as failed:
            if failed.unknown:
                return Unknown(failed.detail)
            return Rejected(RejectReason.RATE, "unreachable", failed.detail, _UNREACHABLE_RETRY_S)
        return _result(answer)

    async def send_code(self, phone: str, code: str) -> bool:
        """Send a code by `CODE_TEMPLATE`; an unknown outcome is tried once more under the same message id."""
        message_id = secrets.token_hex(16)
        for _attempt in range(2):
            result = await self.send(phone, CODE_TEMPLATE, {"code": code}, message_id=message_id)
            if not isinstance(result, Unknown):
                return isinstance(result, Accepted)
        return False


def _result(answer: HttpAnswer) -> SendResult:
    told = answer.json or {}
    if answer.status in _OK and answer.json is not None:
        message_id = told.get("message_id")
        return Accepted(message_id if isinstance(message_id, str) else None)
    if answer.status not in _REFUSED:
        return Unknown(f"HTTP {answer.status}")
    reason = REASONS.get(answer.status, RejectReason.CONTENT)
    code, detail = told.get("code"), told.get("message")
    return Rejected(
        reason,
        code if isinstance(code, str) else str(answer.status),
        detail[:200] if isinstance(detail, str) else "",
        _RETRY_AFTER_S if reason is RejectReason.RATE else None,
    )
