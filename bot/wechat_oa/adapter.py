"""The official account (公众号) as a channel."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.accounts import NoticeTemplate, WechatAccount
from bot.channel import Delivery, Handshake, Outgoing, RawRequest, RawResponse, Rejected, RejectReason, SendResult
from bot.http import PlatformHttp
from bot.tokens import TokenFactory
from bot.wechat_oa.client import OfficialAccountClient
from bot.wechat_oa.codec import reply_xml
from bot.wx_callback import SUCCESS, WechatCallbacks
from bot.wx_messages import Addressee
from bot.wx_template_fields import FieldRefused, fitted
from bot.wx_text import wechat_text
from handlers.messages import ChannelName, Inbound, MenuItem, Reply, SenderKind, Unfollow

CUSTOMER_SERVICE: Final = "customer_service"
TEMPLATE: Final = "template"
SUBSCRIBE: Final = "subscribe"


class WechatOfficialAccount:
    """One official account: encrypted XML in, passive text out, three ways to speak first."""

    name: ChannelName = "wechat_oa"
    routes: tuple[str, ...] = (CUSTOMER_SERVICE, TEMPLATE, SUBSCRIBE)

    def __init__(self, account: WechatAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        self.account = account.account
        self.app_id = account.app_id
        self.client = OfficialAccountClient(account, http, tokens)
        self._templates = {TEMPLATE: account.templates, SUBSCRIBE: account.subscriptions}
        self._plain_mode = account.plain_mode
        self._callbacks = WechatCallbacks(account, Addressee(self.name, account.account, account.app_id))

    def template_for(self, notice: str, route: str) -> NoticeTemplate | None:
        """The template configured for `notice` on `route`."""
        return self._templates.get(route, {}).get(notice)

    async def union_id_of(self, external_id: str) -> str | None:
        """The unionid of a follower, None where the account is bound to no open-platform account (开放平台).

        Raises:
            CallFailed: the platform refused or did not answer.
        """
        return (await self.client.follower(external_id)).union_id

    def open(self, request: RawRequest) -> Handshake | Delivery:
        """Verify, then decode. Raises `Forged` or `Malformed`."""
        return self._callbacks.open(request)

    def answer(self, reply: Reply, *, to: Inbound, now: datetime) -> RawResponse:
        """The passive reply, encrypted unless the account runs in the clear.

        Nothing can be said to somebody who left, nor to the platform when it reports about somebody.
        """
        if reply.is_silent or isinstance(to.content, Unfollow) or to.sender.kind is not SenderKind.MEMBER:
            return SUCCESS
        xml = reply_xml(reply, to=to, now=now)
        body = xml if self._plain_mode else self._callbacks.crypto.seal_reply(xml, now)
        return RawResponse(body, "application/xml")

    def acknowledge(self) -> RawResponse:
        """`success`."""
        return SUCCESS

    async def send(self, message: Outgoing) -> SendResult:
        """One attempt on the route that the message names."""
        if message.route == CUSTOMER_SERVICE:
            return await self.client.send_text(message.external_id, wechat_text(message.reply))
        if message.route not in self.routes or not message.template_id:
            return Rejected(
                RejectReason.CONFIGURATION, "route", f"{message.route} without a template, or no such route"
            )
        try:
            data = fitted(message.template_data or {})
        except FieldRefused as refused:
            return Rejected(RejectReason.CONTENT, "field", refused.name)
        if message.route == TEMPLATE:
            return await self.client.send_template(
                message.external_id,
                message.template_id,
                data,
                client_message_id=message.client_message_id,
                url=message.page,
            )
        return await self.client.send_subscription(message.external_id, message.template_id, data, page=message.page)


async def publish_entrances(channel: WechatOfficialAccount, items: Sequence[MenuItem]) -> None:
    """Install the account's menu. Raises `CallFailed`, or `ValueError` for more entries than it can show."""
    await channel.client.create_menu(items)
