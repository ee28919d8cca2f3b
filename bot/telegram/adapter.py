"""The Telegram channel: webhook in, webhook answer or Bot API out."""

import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import orjson

from bot.accounts import TelegramAccount
from bot.calls import CallFailed
from bot.channel import (
    Delivery,
    Forged,
    Malformed,
    Outgoing,
    RawRequest,
    RawResponse,
    Rejected,
    RejectReason,
    SendResult,
)
from bot.http import PlatformHttp
from bot.strict_json import parse_object
from bot.telegram.client import TelegramClient
from bot.telegram.codec import decode_update, identity_of, message_parameters, notice_parameters
from handlers.messages import SILENT, ChannelName, Click, Inbound, Reply, SenderKind, Unfollow

MAX_BODY_BYTES: Final = 64 * 1024
SECRET_HEADER: Final = "x-telegram-bot-api-secret-token"  # noqa: S105 - the name of a header

MESSAGE: Final = "message"
CALLBACK_ANSWER: Final = "callback_answer"


class TelegramChannel:
    """One bot. Its webhook is authenticated by the secret header alone: Telegram signs neither body nor time."""

    def __init__(self, account: TelegramAccount, http: PlatformHttp) -> None:
        self.name: ChannelName = "telegram"
        self.account = account.account
        self.routes: tuple[str, ...] = (MESSAGE, CALLBACK_ANSWER)
        self.answers_in_response = True
        self._identity = identity_of(account.account, account.bot_token, account.username)
        self.app_id = self._identity.app_id
        self.client = TelegramClient(account, http)
        self._secret = account.webhook_secret.encode()
        self._mini_app_url = account.mini_app_url

    def open(self, request: RawRequest) -> Delivery:
        """Verify the secret header, then decode the one update.

        Raises:
            Forged: the secret is absent, wrong, or not configured.
            Malformed: too long, or not a strict JSON object with an `update_id`.
        """
        if len(request.body) > MAX_BODY_BYTES:
            raise Malformed("body too long")
        if request.method != "POST":
            raise Forged("an update is posted")
        self._verify(request.headers)
        update = parse_object(request.body)
        return Delivery((decode_update(update, bot=self._identity, received_at=request.received_at),))

    def answer(self, reply: Reply, *, to: Inbound, now: datetime) -> RawResponse:
        """`sendMessage` as the body of the webhook's answer, or the acknowledgement.

        Telegram tells no result of a call made this way; a reply that must be known to arrive goes by `send`.
        """
        if reply.is_silent or isinstance(to.content, Unfollow) or to.sender.kind is not SenderKind.MEMBER:
            return self.acknowledge()
        parameters = message_parameters(to.sender.external_id, reply, mini_app_url=self._mini_app_url)
        return RawResponse(orjson.dumps({"method": "sendMessage", **parameters}), "application/json")

    def acknowledge(self) -> RawResponse:
        """An empty 200: anything else is delivered again."""
        return RawResponse()

    def follow_ups(self, reply: Reply, *, to: Inbound) -> tuple[Outgoing, ...]:
        """The acknowledgement of a pressed button, without which it keeps spinning."""
        if not isinstance(to.content, Click) or to.content.token is None:
            return ()
        return (
            Outgoing(
                account=self.account,
                external_id=to.sender.external_id,
                route=CALLBACK_ANSWER,
                reply=SILENT,
                client_message_id=f"{to.key}:press",
                token=to.content.token,
            ),
        )

    async def send(self, message: Outgoing) -> SendResult:
        """One attempt on `message.route`; refusals and lost answers come back as results."""
        try:
            if message.route == CALLBACK_ANSWER:
                return await self.client.answer_press(notice_parameters(message.token or "", message.reply))
            if message.route != MESSAGE:
                return Rejected(RejectReason.CONFIGURATION, "route", f"Telegram has no route {message.route}")
            if message.reply.is_silent or not message.external_id.lstrip("-").isdecimal():
                return Rejected(RejectReason.CONTENT, "empty", "nothing to say, or not a chat id")
            return await self.client.send_message(
                message_parameters(message.external_id, message.reply, mini_app_url=self._mini_app_url)
            )
        except CallFailed as failed:
            return failed.result

    def _verify(self, headers: Mapping[str, str]) -> None:
        given = next((value for name, value in headers.items() if name.lower() == SECRET_HEADER), "")
        if not self._secret or not hmac.compare_digest(self._secret, given.encode("utf-8", "surrogateescape")):
            raise Forged("secret header is absent or wrong")
