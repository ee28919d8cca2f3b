"""WeCom (企业微信) as a channel: staff speak to an application, and the platform reports about customers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bot.accounts import WecomAccount
from bot.calls import CallFailed
from bot.channel import (
    Accepted,
    Delivery,
    Handshake,
    Malformed,
    Outgoing,
    RawRequest,
    RawResponse,
    Rejected,
    RejectReason,
    SendResult,
)
from bot.http import PlatformHttp
from bot.tokens import TokenFactory
from bot.wecom.client import WecomClient
from bot.wecom.codec import decode
from bot.wecom.messages import (
    MAX_WELCOME_BYTES,
    app_message,
    card_change,
    fits_passive_text,
    links_of,
    plain_text,
    task_id_of,
)
from bot.wx_crypto import WxCrypto, check_size, check_window, open_encrypted, required
from bot.wx_messages import Addressee
from bot.wx_text import cut_to_bytes
from bot.wx_xml import parse, render
from handlers.messages import CardPressed, ChannelName, CustomerAdded, Inbound, MenuItem, Reply, SenderKind, Unfollow
from loyalty.errors import ensure

APP_MESSAGE: Final = "app_message"
WELCOME: Final = "welcome"
CARD_UPDATE: Final = "card_update"
GROUP_SEND: Final = "group_send"

_EVENTS_WITHOUT_TEXT: Final = (CardPressed, Unfollow)


class WecomChannel:
    """One self-built application: encrypted XML in, passive text out, cards and everything else by API."""

    name: ChannelName = "wecom"
    routes: tuple[str, ...] = (APP_MESSAGE, WELCOME, CARD_UPDATE, GROUP_SEND)
    answers_in_response = True

    def __init__(self, account: WecomAccount, http: PlatformHttp, tokens: TokenFactory) -> None:
        ensure(bool(account.token), f"wecom/{account.account} has a token: without one anybody can sign")
        self.account = account.account
        self.app_id = account.corp_id
        self.client = WecomClient(account, http, tokens)
        self._to = Addressee(self.name, account.account, account.corp_id)
        self._window_s = account.callback_window_s
        self._crypto = WxCrypto(
            token=account.token, encoding_aes_key=account.encoding_aes_key, receive_id=account.corp_id
        )

    def open(self, request: RawRequest) -> Handshake | Delivery:
        """Verify, decrypt, decode; the address check is answered with its decrypted echo.

        Raises:
            Forged: not signed by WeCom, too old, for another corp, or in the clear.
            Malformed: too long or unreadable.
        """
        check_size(request)
        if request.method == "GET":
            return self._handshake(request)
        if request.method != "POST":
            raise Malformed("neither a check nor a push")
        plain = open_encrypted(request, self._crypto, window_s=self._window_s, envelope_of=parse)
        return Delivery((decode(parse(plain), to=self._to, received_at=request.received_at),))

    def answer(self, reply: Reply, *, to: Inbound, now: datetime) -> RawResponse:
        """The passive text, encrypted, where it can carry the whole of `reply`; `follow_ups` has the rest."""
        if not self._answers_passively(reply, to):
            return self.acknowledge()
        text = render(
            {
                "ToUserName": to.sender.external_id,
                "FromUserName": self.app_id,
                "CreateTime": int(now.timestamp()),
                "MsgType": "text",
                "Content": plain_text(reply),
            }
        )
        return RawResponse(self._crypto.seal_reply(text, now), "application/xml")

    def acknowledge(self) -> RawResponse:
        """An empty 200."""
        return RawResponse()

    def follow_ups(self, reply: Reply, *, to: Inbound) -> tuple[Outgoing, ...]:
        """Cards and buttons, which only a sent message shows, the change of a pressed card, and the welcome of a
        customer who was just added, whose code does not wait for an outbox."""
        if isinstance(to.content, CustomerAdded) and to.content.welcome_code and not reply.is_silent:
            return (self._outgoing(WELCOME, reply, to, token=to.content.welcome_code),)
        if reply.is_silent or not _can_hear(to) or self._answers_passively(reply, to):
            return ()
        pressed = to.content
        if not isinstance(pressed, CardPressed) or reply.card is None or pressed.response_code is None:
            return (self._outgoing(APP_MESSAGE, reply, to),)
        kept = replace(reply.card, task_id=reply.card.task_id or pressed.task_id)
        change = self._outgoing(CARD_UPDATE, replace(reply, text="", card=kept), to, token=pressed.response_code)
        if not reply.buttons and (reply.card.rows or reply.card.body):
            # Without buttons only the pressed button's words change, so what the card says is sent beside it.
            return change, self._outgoing(APP_MESSAGE, reply, to)
        return (change, self._outgoing(APP_MESSAGE, Reply(text=reply.text), to)) if reply.text else (change,)

    async def send(self, message: Outgoing) -> SendResult:
        """One attempt on the route that the message names; refusals and lost answers come back as results."""
        if message.route not in self.routes:
            return Rejected(RejectReason.CONFIGURATION, "route", f"WeCom has no route {message.route}")
        if message.reply.is_silent or (message.route in (WELCOME, CARD_UPDATE) and not message.token):
            return Rejected(RejectReason.CONTENT, "empty", "nothing to say, or no code to say it with")
        try:
            return await self._dispatch(message)
        except CallFailed as failed:
            return failed.result

    async def _dispatch(self, message: Outgoing) -> Accepted:
        reply = message.reply
        if message.route == APP_MESSAGE:
            body = app_message(reply, client_message_id=message.client_message_id)
            return await self.client.send(message.external_id, body)
        if message.route == CARD_UPDATE:
            change = card_change(reply, task_id=task_id_of(reply, message.client_message_id))
            return await self.client.update_card([message.external_id], message.token or "", change)
        text = cut_to_bytes(plain_text(replace(reply, buttons=())), MAX_WELCOME_BYTES)
        if message.route == WELCOME:
            return await self.client.customers.welcome(message.token or "", text, links_of(reply))
        sent = await self.client.customers.add_group_send(
            [message.external_id], text, attachments=links_of(reply), sender=message.token
        )
        if message.external_id in sent.unreachable:
            raise CallFailed(Rejected(RejectReason.BLOCKED, "fail_list", "no member of staff serves this customer"))
        return Accepted(sent.message_id)

    def _handshake(self, request: RawRequest) -> Handshake:
        (echo,) = required(request.query, "echostr")
        timestamp = self._crypto.verify_encrypted(request.query, echo)
        check_window(timestamp, request.received_at, self._window_s)
        return Handshake(RawResponse(self._crypto.decrypt(echo)))

    def _answers_passively(self, reply: Reply, to: Inbound) -> bool:
        # The answer to a pressed card may only change that card, so words about it are sent.
        if reply.is_silent or not _can_hear(to) or isinstance(to.content, _EVENTS_WITHOUT_TEXT):
            return False
        return fits_passive_text(reply)

    def _outgoing(self, route: str, reply: Reply, to: Inbound, token: str | None = None) -> Outgoing:
        return Outgoing(
            account=self.account,
            external_id=to.sender.external_id,
            route=route,
            reply=reply,
            client_message_id=f"{to.key}:{route}",
            token=token,
        )


def _can_hear(to: Inbound) -> bool:
    return to.sender.kind is SenderKind.STAFF and not isinstance(to.content, Unfollow)


async def publish_entrances(channel: WecomChannel, items: Sequence[MenuItem]) -> None:
    """Install the application's menu. Raises `CallFailed`."""
    await channel.client.create_menu(items)
