"""What WeChat Pay tells by itself: verified, settled in one unit of work, answered within the platform's five seconds.

The platform repeats until it hears 200 or 204, for a day; a payment settles once however often it is told.
"""

from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import web

from bot.channel import Forged, Malformed
from bot.webhook import RECEIVED, raw_request
from bot.wechat_pay import codec
from bot.wechat_pay.client import WechatPay
from bot.wechat_pay.codec import Notification
from loyalty import clock, db
from loyalty.payments.rules import PaymentDiffers
from loyalty.payments.service import PaymentUnknown
from loyalty.takings import service as takings

NAME: Final = "wechat_pay"
PATH: Final = "/hooks/wechat_pay/{account}"

log = structlog.get_logger("wechat_pay")


class PayHook:
    """The notification addresses of all merchant accounts."""

    def __init__(self, accounts: Mapping[str, WechatPay]) -> None:
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """One address per account."""
        return [web.post(PATH, self.receive)]

    async def receive(self, request: web.Request) -> web.Response:
        """Answer one notification; nothing of it is read before it is proven genuine."""
        account = self._accounts.get(request.match_info["account"])
        if account is None:
            return _refused("unknown_account", 404)
        try:
            told = account.open(await raw_request(request))
            result = await self._settled(told)
        except Forged as forged:
            log.warning("notification_refused", result="forged", why=str(forged)[:200])
            return _refused("forged", 403)
        except Malformed as malformed:
            log.warning("notification_refused", result="malformed", why=str(malformed)[:200])
            return _refused("malformed", 400)
        RECEIVED.labels(NAME, result).inc()
        return web.Response(status=204)

    async def _settled(self, told: Notification) -> str:
        if told.event_type != codec.TRANSACTION:
            # Refunds and whatever else is told: known to the platform, asked for by nobody here yet.
            log.info("notification_noted", event_type=told.event_type[:64])
            return "noted"
        receipt, now = codec.receipt_of(told.resource), clock.now()
        try:
            outcome = await db.retried(lambda: takings.take_alone(receipt, now=now))
        except PaymentUnknown:
            log.error("payment_unknown", number=receipt.number[:40])  # noqa: TRY400 - no bug of ours to trace
            return "unknown_payment"
        if isinstance(outcome, PaymentDiffers):
            log.error("payment_differs", number=receipt.number, field=outcome.params["field"])
            return "differs"
        return "settled"


def _refused(result: str, status: int) -> web.Response:
    RECEIVED.labels(NAME, result).inc()
    return web.json_response({"code": "FAIL", "message": result}, status=status)
