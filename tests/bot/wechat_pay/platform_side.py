"""WeChat Pay's side for tests: its keys, and notifications as it signs and seals them."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bot.accounts import WechatPayAccount
from bot.channel import RawRequest

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
API_V3_KEY = "0123456789abcdef0123456789abcdef"
KEY_ID = "PUB_KEY_ID_0116000000000000000000000001"
PLATFORM = rsa.generate_private_key(public_exponent=65537, key_size=2048)
MERCHANT = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def account(**values: Any) -> WechatPayAccount:
    given: dict[str, Any] = {
        "account": "main",
        "app_id": "wxd678efh567hg6787",
        "mch_id": "1230000109",
        "merchant_serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
        "merchant_key": private_pem(MERCHANT),
        "api_v3_key": API_V3_KEY,
        "platform_key": public_pem(PLATFORM),
        "platform_key_id": KEY_ID,
    }
    return WechatPayAccount(**{**given, **values})


def sealed(plain: str, *, key: str = API_V3_KEY, **values: Any) -> dict[str, Any]:
    nonce, associated = "fdasflkja484", "transaction"
    ciphertext = AESGCM(key.encode()).encrypt(nonce.encode(), plain.encode(), associated.encode())
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "nonce": nonce,
        "associated_data": associated,
        "original_type": "transaction",
    }
    return {**resource, **values}


def notification(resource: dict[str, Any], *, event_type: str = "TRANSACTION.SUCCESS") -> bytes:
    body = {
        "id": "EV-2026112100001",
        "create_time": "2026-11-21T12:00:00+08:00",
        "resource_type": "encrypt-resource",
        "event_type": event_type,
        "summary": "支付成功",
        "resource": resource,
    }
    return json.dumps(body).encode()


def signed_headers(
    body: bytes, *, at: datetime = NOW, key: rsa.RSAPrivateKey = PLATFORM, serial: str = KEY_ID
) -> dict[str, str]:
    timestamp, nonce = str(int(at.timestamp())), "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Serial": serial,
    }


def arrived(body: bytes, headers: dict[str, str] | None = None, *, at: datetime = NOW) -> RawRequest:
    return RawRequest("POST", {}, signed_headers(body) if headers is None else headers, body, at)


def transaction(number: str, amount_fen: int, **values: Any) -> str:
    told = {
        "transaction_id": "4200000000000000000000000001",
        "amount": {"payer_total": amount_fen, "total": amount_fen, "currency": "CNY", "payer_currency": "CNY"},
        "mchid": "1230000109",
        "trade_state": "SUCCESS",
        "trade_type": "JSAPI",
        "payer": {"openid": "oA"},
        "out_trade_no": number,
        "appid": "wxd678efh567hg6787",
        "success_time": "2026-11-21T12:00:00+08:00",
    }
    return json.dumps({**told, **values})
