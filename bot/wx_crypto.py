"""Signature and AES envelope of WeChat and WeCom callbacks: one scheme, three platforms.

Official account (公众号), mini-program (小程序) and WeCom (企业微信) sign with SHA-1 over sorted parts and
wrap messages in AES-256-CBC. Whatever is wrong with a callback ends in `Forged` or `Malformed`.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bot.channel import Forged, Malformed, RawRequest

MAX_BODY_BYTES: Final = 64 * 1024
"""Longest callback body that is looked at; genuine ones are a few kilobytes."""

_AES_BLOCK: Final = 16
_PAD_BLOCK: Final = 32
_RANDOM_BYTES: Final = 16
_LENGTH_END: Final = 20
_KEY_CHARACTERS: Final = 43
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}", re.ASCII)


def sign(*parts: str) -> str:
    """Hex SHA-1 over the sorted, joined `parts`: the platform's signature."""
    encoded = sorted(part.encode("utf-8", "surrogatepass") for part in parts)
    return hashlib.sha1(b"".join(encoded), usedforsecurity=False).hexdigest()


def same_text(expected: str, given: str) -> bool:
    """Equality in time that does not depend on where the texts differ; `given` may be any characters."""
    return hmac.compare_digest(expected.encode("utf-8", "surrogatepass"), given.encode("utf-8", "surrogatepass"))


def required(query: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """The values of query parameters that every genuine callback carries.

    Raises:
        Forged: one is absent or empty.
    """
    values = tuple(query.get(name, "") for name in names)
    if not all(values):
        raise Forged("a signature parameter is missing")
    return values


def check_size(request: RawRequest) -> None:
    """Raise `Malformed` when the body is longer than `MAX_BODY_BYTES`."""
    if len(request.body) > MAX_BODY_BYTES:
        raise Malformed("body too long")


def check_window(timestamp: str, received_at: datetime, window_s: int) -> None:
    """Refuse a callback signed more than `window_s` seconds before or after `received_at`; 0 switches this off.

    The platforms promise no such rule: the window is ours, against replay of an old capture.

    Raises:
        Forged: outside the window, or `timestamp` is not whole seconds.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise Forged("timestamp is not a number")
    if window_s and abs(received_at.timestamp() - int(timestamp)) > window_s:
        raise Forged("outside the callback window")


class WxCrypto:
    """Keys of one account. `receive_id` is the app id (WeChat) or corp id (WeCom) inside the envelope.

    Raises:
        ValueError: `encoding_aes_key` is not 43 base64 characters.
    """

    def __init__(self, *, token: str, encoding_aes_key: str, receive_id: str) -> None:
        self._token = token
        self._receive_id = receive_id.encode()
        self._cipher = _cipher_of(encoding_aes_key)

    def verify_plain(self, query: Mapping[str, str]) -> str:
        """Check `signature` over token, timestamp and nonce (it never covers a body); return the timestamp.

        Raises:
            Forged: a parameter is missing or the signature differs.
        """
        signature, timestamp, nonce = required(query, "signature", "timestamp", "nonce")
        if not same_text(sign(self._token, timestamp, nonce), signature):
            raise Forged("signature differs")
        return timestamp

    def verify_encrypted(self, query: Mapping[str, str], encrypted: str) -> str:
        """Check `msg_signature` over token, timestamp, nonce and `encrypted`; return the timestamp.

        Raises:
            Forged: a parameter is missing or the signature differs.
        """
        signature, timestamp, nonce = required(query, "msg_signature", "timestamp", "nonce")
        if not same_text(sign(self._token, timestamp, nonce, encrypted), signature):
            raise Forged("message signature differs")
        return timestamp

    def decrypt(self, encrypted: str) -> bytes:
        """The message inside an envelope whose signature has been checked.

        Raises:
            Malformed: not base64, or not whole blocks.
            Forged: padding, length or receive id is wrong: encrypted with another key or for another account.
        """
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(_blocks(encrypted)) + decryptor.finalize()
        pad = plain[-1]
        if not 1 <= pad <= _PAD_BLOCK or plain[-pad:] != bytes((pad,)) * pad:
            raise Forged("padding is wrong")
        end = _LENGTH_END + int.from_bytes(plain[_RANDOM_BYTES:_LENGTH_END], "big")
        if not _LENGTH_END < end <= len(plain) - pad:
            raise Forged("length is wrong")
        if not hmac.compare_digest(plain[end:-pad], self._receive_id):
            raise Forged("addressed to another account")
        return plain[_LENGTH_END:end]

    def encrypt(self, message: bytes, *, random16: bytes | None = None) -> str:
        """`message` as base64 envelope; `random16` is given only to reproduce a published vector."""
        content = (random16 or secrets.token_bytes(_RANDOM_BYTES)) + len(message).to_bytes(4, "big") + message
        content += self._receive_id
        pad = _PAD_BLOCK - len(content) % _PAD_BLOCK
        encryptor = self._cipher.encryptor()
        sealed = encryptor.update(content + bytes((pad,)) * pad) + encryptor.finalize()
        return base64.b64encode(sealed).decode("ascii")

    def seal_reply(self, reply: bytes, now: datetime) -> bytes:
        """The encrypted and signed XML envelope of a passive reply."""
        encrypted = self.encrypt(reply)
        timestamp, nonce = str(int(now.timestamp())), secrets.token_hex(8)
        return (
            f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"
            f"<MsgSignature><![CDATA[{sign(self._token, timestamp, nonce, encrypted)}]]></MsgSignature>"
            f"<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
        ).encode("ascii")


def open_encrypted(
    request: RawRequest, crypto: WxCrypto, *, window_s: int, envelope_of: Callable[[bytes], Mapping[str, object]]
) -> bytes:
    """Verify and decrypt a safe-mode callback; `envelope_of` reads the outer XML or JSON.

    Order: size, mode, parameters, signature, window, key and receive id. What is inside is not yet parsed.

    Raises:
        Forged: the callback is in the clear, or does not prove to come from the platform.
        Malformed: too long, or not an envelope.
    """
    check_size(request)
    encrypted = envelope_of(request.body).get("Encrypt")
    if encrypted is None:
        raise Forged("a plaintext body where encryption is configured")
    if not isinstance(encrypted, str):
        raise Malformed("Encrypt is not text")
    timestamp = crypto.verify_encrypted(request.query, encrypted)
    check_window(timestamp, request.received_at, window_s)
    return crypto.decrypt(encrypted)


def _cipher_of(encoding_aes_key: str) -> Cipher[modes.CBC]:
    # The last character of a real key may carry spare bits, so only its alphabet and length are checked.
    try:
        key = base64.b64decode(encoding_aes_key + "=", validate=True)
    except ValueError as error:
        raise ValueError("encoding_aes_key must be 43 letters and digits") from error
    if len(encoding_aes_key) != _KEY_CHARACTERS:
        raise ValueError("encoding_aes_key must be 43 letters and digits")
    return Cipher(algorithms.AES(key), modes.CBC(key[:_AES_BLOCK]))


def _blocks(encrypted: str) -> bytes:
    try:
        sealed = base64.b64decode(encrypted, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("envelope is not base64") from error
    if not sealed or len(sealed) % _AES_BLOCK:
        raise Malformed("envelope is not whole blocks")
    return sealed
