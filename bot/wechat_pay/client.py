"""WeChat Pay v3 as a merchant calls it: ask for a payment, ask what became of it, give it up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote, urlsplit

import orjson
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.accounts import WechatPayAccount
from bot.calls import CallFailed
from bot.channel import Forged, Malformed, RawRequest, Rejected, RejectReason, Unknown
from bot.http import HttpAnswer, PlatformHttp, SendFailed
from bot.strict_json import Json
from bot.wechat_pay import codec
from bot.wechat_pay.codec import Notification, PlatformKey
from loyalty import clock
from loyalty.payments.rules import Receipt, State
from loyalty.payments.service import PaymentView

PLATFORM: Final = "wechat_pay"
TIMEOUT_S: Final = 8.0
_ABSENT: Final = frozenset({"ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"})
_FOUND: Final = 200
_REFUSED: Final = range(400, 500)


@dataclass(frozen=True, slots=True)
class PayRequest:
    """What `wx.requestPayment` of a mini-program takes; the signature binds it to this payment."""

    time_stamp: str
    nonce_str: str
    package: str
    sign_type: str
    pay_sign: str


class WechatPay:
    """One merchant account.

    Raises:
        ValueError: a key of the account cannot be used.
    """

    def __init__(self, account: WechatPayAccount, http: PlatformHttp, *, notify_url: str) -> None:
        self.account = account
        self._http = http
        self._notify_url = notify_url
        self._key: rsa.RSAPrivateKey = codec.merchant_key(account.merchant_key)
        known: PlatformKey = codec.platform_key(account.platform_key, account.platform_key_id)
        self._platform: Mapping[str, PlatformKey] = {known.serial: known}

    def open(self, request: RawRequest) -> Notification:
        """A notification, verified and unsealed.

        Raises:
            Forged, Malformed
        """
        return codec.open_notification(
            request, self._platform, self.account.api_v3_key.encode(), window_s=self.account.callback_window_s
        )

    async def ask(self, payment: PaymentView, *, payer: str, description: str, now: datetime) -> PayRequest:
        """Let `payer` (an openid of the app) pay; asking again for the same payment gets the same order.

        Raises:
            CallFailed: refused, or nobody knows.
        """
        body = {
            "appid": payment.app_id,
            "mchid": payment.merchant,
            "description": description[:127],
            "out_trade_no": payment.number,
            "time_expire": payment.expires_at.isoformat(timespec="seconds"),
            "notify_url": self._notify_url,
            "amount": {"total": payment.amount_fen, "currency": "CNY"},
            "payer": {"openid": payer},
        }
        told = await self._call("POST", "/v3/pay/transactions/jsapi", body)
        prepay_id = told.get("prepay_id")
        if not isinstance(prepay_id, str):
            raise CallFailed(Unknown("no prepay_id"))
        return self._signed(prepay_id, now)

    async def look_up(self, payment: PaymentView) -> Receipt:
        """What became of a payment; one that the platform never heard of is still open.

        Raises:
            CallFailed: refused, or nobody knows.
        """
        path = f"/v3/pay/transactions/out-trade-no/{quote(payment.number)}?mchid={quote(payment.merchant)}"
        try:
            return codec.receipt_of(await self._call("GET", path))
        except CallFailed as failed:
            if isinstance(failed.result, Rejected) and failed.result.code in _ABSENT:
                return _untold(payment, State.OPEN)
            raise
        except Malformed as malformed:
            raise CallFailed(Unknown(str(malformed))) from malformed

    async def give_up(self, payment: PaymentView) -> Receipt:
        """Close an order so that nobody can pay it any more.

        Raises:
            CallFailed: paid meanwhile, refused, or nobody knows.
        """
        path = f"/v3/pay/transactions/out-trade-no/{quote(payment.number)}/close"
        await self._call("POST", path, {"mchid": payment.merchant})
        return _untold(payment, State.CLOSED)

    def _signed(self, prepay_id: str, now: datetime) -> PayRequest:
        stamp, nonce, package = str(int(now.timestamp())), codec.nonce(), f"prepay_id={prepay_id}"
        signature = codec.signed(self._key, self.account.app_id, stamp, nonce, package)
        return PayRequest(stamp, nonce, package, "RSA", signature)

    async def _call(self, method: str, path: str, body: object | None = None) -> Mapping[str, Json]:
        content = b"" if body is None else orjson.dumps(body)
        base = self.account.api_base.rstrip("/")
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": codec.authorization(
                self._key,
                mch_id=self.account.mch_id,
                serial=self.account.merchant_serial,
                method=method,
                path=urlsplit(base).path + path,
                body=content.decode(),
                at=clock.wall(),
            ),
        }
        try:
            answer = await self._http.request(
                method, base + path, data=content or None, headers=headers, timeout_s=TIMEOUT_S
            )
        except SendFailed as failed:
            raise CallFailed(Unknown(failed.detail)) from failed
        return self._told(answer)

    def _told(self, answer: HttpAnswer) -> Mapping[str, Json]:
        told = answer.json or {}
        if answer.status in _REFUSED:
            code = str(told.get("code", answer.status))
            raise CallFailed(Rejected(RejectReason.CONFIGURATION, code, str(told.get("message", ""))[:200]))
        if answer.status >= _REFUSED.stop or answer.status < _FOUND:
            raise CallFailed(Unknown(f"HTTP {answer.status}"))
        try:
            codec.verify(
                answer.headers,
                answer.body,
                self._platform,
                received_at=clock.wall(),
                window_s=self.account.callback_window_s,
            )
        except Forged as forged:
            # An answer that the platform did not sign says nothing, whatever it says.
            raise CallFailed(Unknown(str(forged))) from forged
        return told


def _untold(payment: PaymentView, state: State) -> Receipt:
    return Receipt(number=payment.number, merchant=payment.merchant, app_id=payment.app_id, state=state)
