"""WeChat Pay v3 on the wire: signatures both ways, the sealed resource of a notification, and what a payment says.

Verified before anything is parsed. Facts: pay.weixin.qq.com, API v3, 签名生成, 签名验证, 证书和回调报文解密.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.channel import Forged, Malformed, RawRequest
from bot.strict_json import Json, parse_object
from bot.wx_crypto import check_window, same_text
from loyalty.payments.rules import Receipt, State

SCHEME: Final = "WECHATPAY2-SHA256-RSA2048"
ALGORITHM: Final = "AEAD_AES_256_GCM"
PROBE: Final = "WECHATPAY/SIGNTEST/"
"""Signatures that begin so are sent by the platform to see that wrong ones are refused."""
TRANSACTION: Final = "TRANSACTION.SUCCESS"

_NONCE_BYTES: Final = 12
_NONCE: Final = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)
_STATES: Final[Mapping[str, State]] = {
    "SUCCESS": State.PAID,
    "REFUND": State.PAID,  # paid and refunded since; refunds have rows of their own
    "NOTPAY": State.OPEN,
    "USERPAYING": State.OPEN,
    "ACCEPT": State.OPEN,
    "CLOSED": State.CLOSED,
    "REVOKED": State.CLOSED,
    "PAYERROR": State.CLOSED,
}


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A public key of the platform: of a certificate (`serial` in hex), or by itself with its `PUB_KEY_ID_…`."""

    serial: str
    key: rsa.RSAPublicKey

    def verify(self, message: bytes, signature: bytes) -> bool:
        """RSA with SHA-256, PKCS#1 v1.5."""
        try:
            self.key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Notification:
    """A genuine notification; `resource` is what was sealed in it."""

    id: str
    event_type: str
    resource: Mapping[str, Json]


def platform_key(pem: str, serial: str = "") -> PlatformKey:
    """The platform's key from a certificate, which knows its own serial, or from a public key and its id.

    Raises:
        ValueError: neither a certificate nor an RSA public key, or a public key without an id.
    """
    if "BEGIN CERTIFICATE" in pem:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        key: object = certificate.public_key()
        serial = f"{certificate.serial_number:X}"
    else:
        key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the platform signs with RSA")  # noqa: TRY004 - the text is wrong, not its type
    if not serial:
        raise ValueError("a public key has an id, PUB_KEY_ID_…")
    return PlatformKey(serial, key)


def merchant_key(pem: str) -> rsa.RSAPrivateKey:
    """The merchant's private key.

    Raises:
        ValueError: not an unencrypted RSA private key in PEM.
    """
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("the merchant signs with RSA")  # noqa: TRY004 - the text is wrong, not its type
    return key


def signed(key: rsa.RSAPrivateKey, *parts: str) -> str:
    """Base64 signature over `parts`, each ended by a line feed."""
    message = "".join(f"{part}\n" for part in parts).encode()
    return base64.b64encode(key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()


def nonce() -> str:
    """A random string for one request."""
    return secrets.token_hex(16)


def authorization(
    key: rsa.RSAPrivateKey, *, mch_id: str, serial: str, method: str, path: str, body: str, at: datetime
) -> str:
    """The `Authorization` header of a request; `path` is with its query."""
    timestamp, once = str(int(at.timestamp())), nonce()
    signature = signed(key, method, path, timestamp, once, body)
    return (
        f'{SCHEME} mchid="{mch_id}",nonce_str="{once}",signature="{signature}",timestamp="{timestamp}",'
        f'serial_no="{serial}"'
    )


def verify(
    headers: Mapping[str, str], body: bytes, keys: Mapping[str, PlatformKey], *, received_at: datetime, window_s: int
) -> None:
    """Check that the platform signed `body` just now: a notification, or its answer to a request.

    Raises:
        Forged: a header is missing, the key is not known, the window has passed, or the signature differs.
    """
    timestamp, once, signature, serial = (
        headers.get(f"Wechatpay-{name}", "") for name in ("Timestamp", "Nonce", "Signature", "Serial")
    )
    if not (timestamp and signature and serial) or not _NONCE.fullmatch(once):
        raise Forged("a signature header is missing")
    if signature.startswith(PROBE):
        raise Forged("a probe of the platform")
    check_window(timestamp, received_at, window_s)
    key = next((known for name, known in keys.items() if same_text(name, serial)), None)
    if key is None:
        raise Forged("signed by a key that is not configured")
    if not key.verify(f"{timestamp}\n{once}\n".encode() + body + b"\n", _decoded(signature, Forged)):
        raise Forged("signature differs")


def open_notification(
    request: RawRequest, keys: Mapping[str, PlatformKey], api_v3_key: bytes, *, window_s: int
) -> Notification:
    """Verify, parse, unseal.

    Raises:
        Forged: not signed by the platform just now, or sealed with another key.
        Malformed: signed, and not a notification.
    """
    verify(request.headers, request.body, keys, received_at=request.received_at, window_s=window_s)
    told = parse_object(request.body)
    resource = told.get("resource")
    if not isinstance(resource, Mapping):
        raise Malformed("a notification has a resource")
    plain = unsealed(resource, api_v3_key)
    return Notification(_text(told, "id"), _text(told, "event_type"), parse_object(plain))


def unsealed(resource: Mapping[str, Json], api_v3_key: bytes) -> bytes:
    """What a sealed resource holds.

    Raises:
        Malformed: not sealed in the one way that API v3 has.
        Forged: sealed with another key, or altered.
    """
    if resource.get("algorithm") != ALGORITHM:
        raise Malformed("the resource is sealed in an unknown way")
    once = _bytes(_text(resource, "nonce"))
    if len(once) != _NONCE_BYTES:
        raise Malformed("the nonce has another length")
    ciphertext = _decoded(_text(resource, "ciphertext"), Malformed)
    associated = resource.get("associated_data") or ""
    if not isinstance(associated, str):
        raise Malformed("the associated data is text")
    try:
        return AESGCM(api_v3_key).decrypt(once, ciphertext, _bytes(associated))
    except InvalidTag:
        raise Forged("sealed with another key") from None


def receipt_of(resource: Mapping[str, Json]) -> Receipt:
    """What a transaction says of a payment, in fen; nothing of it is compared with our order here.

    Raises:
        Malformed: a field that decides is missing or of another type.
    """
    amount, payer = resource.get("amount"), resource.get("payer")
    state = _STATES.get(_text(resource, "trade_state"))
    if state is None:
        raise Malformed("unknown trade_state")
    total = amount.get("total") if isinstance(amount, Mapping) else None
    currency = amount.get("currency", "CNY") if isinstance(amount, Mapping) else None
    if state is State.PAID and (not isinstance(total, int) or isinstance(total, bool) or not isinstance(currency, str)):
        raise Malformed("a payment has an amount")
    paid_at = resource.get("success_time")
    return Receipt(
        number=_text(resource, "out_trade_no"),
        merchant=_text(resource, "mchid"),
        app_id=_text(resource, "appid"),
        state=state,
        amount_fen=total if isinstance(total, int) else None,
        currency=currency if isinstance(currency, str) else None,
        transaction=_text(resource, "transaction_id") if state is State.PAID else None,
        payer=_text(payer, "openid") if isinstance(payer, Mapping) and "openid" in payer else None,
        paid_at=_instant(paid_at) if isinstance(paid_at, str) else None,
    )


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed("success_time is no instant") from None
    if instant.tzinfo is None:
        raise Malformed("success_time has no zone")
    return instant


def _text(of: Mapping[str, Json], name: str) -> str:
    value = of.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name} is missing")
    return value


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("half of a surrogate pair") from None


def _decoded(text: str, refusal: type[Forged] | type[Malformed]) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refusal("not base64") from None
