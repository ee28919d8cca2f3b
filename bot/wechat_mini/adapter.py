"""The mini-program (小程序) as a channel: its customer-service chat, its events and its subscribe messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.accounts import NoticeTemplate, WechatAccount
from bot.channel import Delivery, Handshake, Outgoing, RawRequest, RawResponse, Rejected, RejectReason, SendResult
from bot.http import PlatformHttp
from bot.tokens import TokenFactory
from bot.wechat_mini.client import MiniProgramClient
from bot.wechat_mini.codec import reply_text
from bot.wx_callback import SUCCESS, WechatCallbacks
from bot.wx_messages import Addressee
from bot.wx_template_fields import FieldRefused, fitted
from handlers.messages import ChannelName, Inbound, MenuItem, Reply, SenderKind

CUSTOMER_SERVICE: Final = "customer_service"
SUBSCRIBE: Final = "subscribe"


class WechatMiniProgram:
    """One mini-program. A callback's response shows nothing to the person: replies go out by `send`."""

    name: ChannelName = "wechat_mini"
    routes: tuple[str, ...] = (CUSTOMER_SERVICE, SUBSCRIBE)

    def __init__(self, account: WechatAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self.account = account.account
        self.app_id = account.app_id
        self.client = MiniProgramClient(account, http, tokens)
        self._subscriptions = account.subscriptions
        self._callbacks = WechatCallbacks(account, Addressee(self.name, account.account, account.app_id))

    def template_for(self, notice: str, route: str) -> NoticeTemplate | None:
        """The template configured for `notice` on `route`."""
        return self._subscriptions.get(notice) if route == SUBSCRIBE else None

    def open(self, request: RawRequest) -> Handshake | Delivery:
        """Verify, then decode XML or JSON. Raises `Forged` or `Malformed`."""
        return self._callbacks.open(request)

    def answer(self, reply: Reply, *, to: Inbound, now: datetime) -> RawResponse:
        """`success`: the platform knows no passive text here, so the reply itself is among the `follow_ups`."""
        return SUCCESS

    def follow_ups(self, reply: Reply, *, to: Inbound) -> tuple[Outgoing, ...]:
        """The reply as customer-service message."""
        if reply.is_silent or to.sender.kind is not SenderKind.MEMBER:
            return ()
        return (Outgoing(self.account, to.sender.external_id, CUSTOMER_SERVICE, reply, f"{to.key}:reply"),)

    def acknowledge(self) -> RawResponse:
        """`success`."""
        return SUCCESS

    async def send(self, message: Outgoing) -> SendResult:
        """One attempt on the route that the message names."""
        if message.route == CUSTOMER_SERVICE:
            return await self.client.send_text(message.external_id, reply_text(message.reply))
        if message.route != SUBSCRIBE or not message.template_id:
            return Rejected(
                RejectReason.CONFIGURATION, "route", f"{message.route} without a template, or no such route"
            )
        try:
            data = fitted(message.template_data or {})
        except FieldRefused as refused:
            return Rejected(RejectReason.CONTENT, "field", refused.name)
        return await self.client.send_subscription(message.external_id, message.template_id, data, page=message.page)


async def publish_entrances(_channel: WechatMiniProgram, _items: Sequence[MenuItem]) -> None:
    """Nothing to install: a mini-program's entrances are its own pages."""
