"""What WeChat Pay (微信支付) remembers of one merchant, and the keys that both sides hold."""

import base64
import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

FILE = "pay_keys.json"


@dataclass
class PayOrder:
    """An order by its out_trade_no. `content` is the request that made it; `paid_fen` is what was really paid."""

    content: dict[str, Any]
    prepay_id: str
    person: str
    expires_at: float
    state: str = "NOTPAY"
    transaction_id: str = ""
    success_time: str = ""
    paid_fen: int = 0


@dataclass
class PayNotice:
    """A notification that the merchant has not taken yet; `due_at` is world time."""

    id: str
    out_trade_no: str
    event: dict[str, str]
    resource: dict[str, Any]
    url: str
    tries: int = 0
    due_at: float = 0.0


@dataclass
class PayState:
    """Orders by out_trade_no, refunds by out_refund_no (request and answer), notifications to come."""

    orders: dict[str, PayOrder] = field(default_factory=dict)
    refunds: dict[str, dict[str, Any]] = field(default_factory=dict)
    waiting: list[PayNotice] = field(default_factory=list)


@dataclass(frozen=True)
class PayKeys:
    """Everything secret between one merchant and the platform; keys are PEM."""

    mch_id: str
    merchant_key: str
    merchant_serial: str
    api_v3_key: str
    platform_key: str
    platform_key_id: str


def kept_keys(folder: Path) -> PayKeys:
    """The keys in this folder, made on the first start and readable by the owner only."""
    path = folder / FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.touch(mode=0o600)
        part.write_text(json.dumps(asdict(made_keys())), encoding="utf-8")
        with suppress(FileExistsError):  # another first start was faster
            path.hardlink_to(part)
        part.unlink()
    return PayKeys(**json.loads(path.read_text(encoding="utf-8")))


def made_keys() -> PayKeys:
    """New keys."""
    return PayKeys(
        mch_id=f"19{secrets.randbelow(10**8):08}",
        merchant_key=_new_key(),
        merchant_serial=secrets.token_hex(20).upper(),
        api_v3_key=secrets.token_hex(16),
        platform_key=_new_key(),
        platform_key_id=f"PUB_KEY_ID_01{secrets.randbelow(10**26):026}",
    )


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@cache
def _private(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("WeChat Pay signs with RSA")
    return key


@cache
def _public(pem: str) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("WeChat Pay signs with RSA")
    return key


def public_pem(private_pem: str) -> str:
    """The public half of a private key."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return _private(private_pem).public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def signature_headers(key: str, key_id: str, body: bytes, at: float) -> dict[str, str]:
    """The headers by which a merchant knows the platform, on answers and notifications."""
    timestamp, nonce = str(int(at)), secrets.token_hex(16)
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = _private(key).sign(message, padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Serial": key_id,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }


def signed_by(public: str, message: bytes, signature: str) -> bool:
    """Whether the holder of the private half signed exactly this."""
    try:
        _public(public).verify(base64.b64decode(signature), message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
