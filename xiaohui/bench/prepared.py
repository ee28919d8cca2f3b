"""Prepared requests: encrypted check-in messages, coupon claims, member reads."""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from bot.accounts import WechatAccount
from bot.wx_crypto import WxCrypto, sign

ACCOUNT: Final = WechatAccount(
    account="bench",
    app_id="wx00000000000bench",
    app_secret="bench",  # noqa: S106 - a key of the benchmark's own account, known to nobody else
    token="benchtoken",  # noqa: S106 - the same
    encoding_aes_key="YmVuY2htYXJrLWJlbmNobWFyay1iZW5jaG1hcmstMDE",
)


def http(method: str, path: str, *, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """One HTTP/1.1 request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{name}: {value}" for name, value in headers)]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_in_messages(openids: Sequence[str], *, at: datetime) -> list[bytes]:
    """One encrypted 「签到」 per person, as the official account's callback."""
    crypto = WxCrypto(token=ACCOUNT.token, encoding_aes_key=ACCOUNT.encoding_aes_key, receive_id=ACCOUNT.app_id)
    timestamp = str(int(at.timestamp()))
    return [_envelope(crypto, openid, number, timestamp) for number, openid in enumerate(openids)]


def _envelope(crypto: WxCrypto, openid: str, number: int, timestamp: str) -> bytes:
    message = (
        f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName>"
        f"<CreateTime>{timestamp}</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[签到]]></Content>"
        f"<MsgId>{10**15 + number}</MsgId></xml>"
    )
    encrypted = crypto.encrypt(message.encode())
    nonce = secrets.token_hex(5)
    query = (
        f"signature={sign(ACCOUNT.token, timestamp, nonce)}&timestamp={timestamp}&nonce={nonce}&openid={openid}"
        f"&encrypt_type=aes&msg_signature={sign(ACCOUNT.token, timestamp, nonce, encrypted)}"
    )
    body = f"<xml><ToUserName><![CDATA[gh_bench]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return http("POST", f"/hooks/wechat_oa/bench?{query}", body=body.encode())


def claims(tokens: Sequence[str], template: str) -> list[bytes]:
    """One claim of `template` per member."""
    body = f'{{"template":"{template}"}}'.encode()
    return [
        http(
            "POST",
            "/v1/me/coupons",
            body=body,
            headers=[("Authorization", f"Bearer {token}"), ("Idempotency-Key", secrets.token_hex(12))],
        )
        for token in tokens
    ]


def baskets(keys: Sequence[str], members: Sequence[str]) -> list[bytes]:
    """An order of five lines to evaluate per member, at one till after another."""
    lines = ",".join(f'{{"no":{no},"amount_fen":{1999 + no},"category":"tea"}}' for no in range(1, 6))
    return [
        http(
            "POST",
            "/v1/partner/checkouts/evaluate",
            body=f'{{"order":"bench-{number}","member":"{member}","lines":[{lines}]}}'.encode(),
            headers=[("Authorization", f"Bearer {keys[number % len(keys)]}")],
        )
        for number, member in enumerate(members)
    ]


def reads(tokens: Sequence[str]) -> list[bytes]:
    """One read of one's own card per member."""
    return [http("GET", "/v1/me", headers=[("Authorization", f"Bearer {token}")]) for token in tokens]
