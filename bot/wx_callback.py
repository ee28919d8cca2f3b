"""Opening a WeChat callback (公众号 and 小程序): prove it, then read it."""

import base64
import secrets
from typing import Final

from bot.accounts import WechatAccount
from bot.channel import Delivery, Handshake, Malformed, RawRequest, RawResponse
from bot.strict_json import parse_object
from bot.wx_crypto import WxCrypto, check_size, check_window, open_encrypted, required
from bot.wx_messages import Addressee, Fields, messages_of
from bot.wx_xml import parse
from loyalty.errors import ensure

SUCCESS: Final = RawResponse(b"success")
"""Tells WeChat "received"; never encrypted."""

_ECHO_MAX: Final = 256


class WechatCallbacks:
    """Callbacks of one account. `plain_mode` of the account also takes bodies in the clear (development only)."""

    def __init__(self, account: WechatAccount, to: Addressee) -> None:
        ensure(bool(account.token), f"{to.channel}/{account.account} has a token: without one anybody can sign")
        self._to = to
        self._plain_mode = account.plain_mode
        self._window_s = account.callback_window_s
        # An account that runs in the clear may have no key: with a random one no envelope opens.
        key = account.encoding_aes_key or (_random_key() if account.plain_mode else "")
        self.crypto = WxCrypto(token=account.token, encoding_aes_key=key, receive_id=account.app_id)

    def open(self, request: RawRequest) -> Handshake | Delivery:
        """Verify, then decode; the address check answers its echo.

        Raises:
            Forged: not proven to come from WeChat, too old, for another app, or in the clear.
            Malformed: too long or unreadable.
        """
        check_size(request)
        if request.method == "GET":
            return self._handshake(request)
        if request.method != "POST":
            raise Malformed("neither a check nor a push")
        fields = fields_of(self._verified(request))
        return Delivery(messages_of(fields, self._to, received_at=request.received_at))

    def _handshake(self, request: RawRequest) -> Handshake:
        (echo,) = required(request.query, "echostr")
        check_window(self.crypto.verify_plain(request.query), request.received_at, self._window_s)
        if len(echo) > _ECHO_MAX:
            raise Malformed("echo too long")
        return Handshake(RawResponse(echo.encode("utf-8", "replace")))

    def _verified(self, request: RawRequest) -> bytes:
        if self._plain_mode and "Encrypt" not in fields_of(request.body):
            check_window(self.crypto.verify_plain(request.query), request.received_at, self._window_s)
            return request.body
        return open_encrypted(request, self.crypto, window_s=self._window_s, envelope_of=fields_of)


def fields_of(body: bytes) -> Fields:
    """A push as XML or JSON, whichever it is; mini-programs choose in their console.

    Raises:
        Malformed: neither.
    """
    return parse_object(body) if body.lstrip()[:1] == b"{" else parse(body)


def _random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
