"""Notifications of WeChat Pay: published ones verify and open, altered and hostile ones never do."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from bot.channel import Forged, Malformed, RawRequest
from bot.wechat_pay.codec import Notification, open_notification, platform_key, receipt_of, unsealed
from loyalty.payments.rules import Asked, State, difference
from tests.bot.wechat_pay.platform_side import (
    API_V3_KEY,
    KEY_ID,
    NOW,
    PLATFORM,
    arrived,
    notification,
    public_pem,
    sealed,
    signed_headers,
    transaction,
)

KEYS = {KEY_ID: platform_key(public_pem(PLATFORM), KEY_ID)}
WINDOW_S = 300


def opened(request: RawRequest, **values: Any) -> Notification:
    given = {"keys": KEYS, "api_v3_key": API_V3_KEY.encode(), "window_s": WINDOW_S, **values}
    return open_notification(request, given["keys"], given["api_v3_key"], window_s=given["window_s"])


def told(**values: Any) -> bytes:
    return notification(sealed(transaction("XH1", 10_000), **values))


def vector(outside: Path, name: str) -> Any:
    return json.loads((outside / "protocol/miniprogram" / name).read_text("utf-8"))


@pytest.mark.outside
def test_the_published_notification_verifies_and_opens(outside: Path) -> None:
    published = vector(outside, "enc_pay_v3_notify.json")
    key = platform_key(published["platform_certificate_pem"])
    at = datetime.fromtimestamp(int(published["headers"]["Wechatpay-Timestamp"]), UTC)
    request = RawRequest("POST", {}, published["headers"], published["body"].encode(), at)
    found = opened(request, keys={key.serial: key}, api_v3_key=published["api_v3_key"].encode())
    assert found.resource == json.loads(published["expected_plaintext"])
    late = RawRequest("POST", {}, published["headers"], published["body"].encode(), NOW)
    with pytest.raises(Forged):
        opened(late, keys={key.serial: key}, api_v3_key=published["api_v3_key"].encode())
    altered = RawRequest("POST", {}, published["headers"], published["body"].encode() + b" ", at)
    with pytest.raises(Forged):
        opened(altered, keys={key.serial: key}, api_v3_key=published["api_v3_key"].encode())


@pytest.mark.outside
def test_the_platforms_probe_is_refused(outside: Path) -> None:
    probe = vector(outside, "hostile_pay_signtest.json")
    at = datetime.fromtimestamp(int(probe["headers"]["Wechatpay-Timestamp"]), UTC)
    key = platform_key(public_pem(PLATFORM), probe["headers"]["Wechatpay-Serial"])
    with pytest.raises(Forged, match="probe"):
        opened(RawRequest("POST", {}, probe["headers"], probe["body"].encode(), at), keys={key.serial: key})


@pytest.mark.outside
def test_a_fen_for_an_order_of_a_hundred_yuan_is_found_out(outside: Path) -> None:
    receipt = receipt_of(vector(outside, "hostile_pay_amount_mismatch.json"))
    asked = Asked(number="TOPUP-10000", merchant="1230000109", app_id="wxd678efh567hg6787", amount_fen=10_000)
    assert difference(asked, receipt) == "amount_fen"


@pytest.mark.outside
def test_a_published_transaction_is_read(outside: Path) -> None:
    receipt = receipt_of(vector(outside, "pay_v3_transaction_resource.json"))
    assert (receipt.state, receipt.amount_fen, receipt.currency) == (State.PAID, 100, "CNY")
    assert (receipt.number, receipt.merchant) == ("1217752501201407033233368018", "1230000109")
    assert receipt.paid_at == datetime(2018, 6, 8, 2, 34, 56, tzinfo=UTC)


def test_a_genuine_notification_opens() -> None:
    found = opened(arrived(told()))
    assert (found.id, found.event_type) == ("EV-2026112100001", "TRANSACTION.SUCCESS")
    assert receipt_of(found.resource).amount_fen == 10_000


@pytest.mark.parametrize("minutes", [-5.1, 5.1])
def test_outside_the_window_nothing_is_read(minutes: float) -> None:
    body = told()
    with pytest.raises(Forged):
        opened(arrived(body, at=NOW + timedelta(minutes=minutes)))
    assert opened(arrived(body, at=NOW + timedelta(minutes=minutes)), window_s=0)


@pytest.mark.parametrize("header", ["Timestamp", "Nonce", "Signature", "Serial"])
@pytest.mark.parametrize("value", [None, "", "x" * 65, "\x00"])
def test_every_header_is_needed(header: str, value: str | None) -> None:
    body = told()
    headers = signed_headers(body)
    headers.pop(f"Wechatpay-{header}")
    if value is not None:
        headers[f"Wechatpay-{header}"] = value
    with pytest.raises(Forged):
        opened(arrived(body, headers))


def test_another_key_under_the_right_name_is_forged() -> None:
    body, other = told(), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with pytest.raises(Forged):
        opened(arrived(body, signed_headers(body, key=other)))
    with pytest.raises(Forged):
        opened(arrived(body, signed_headers(body, serial="PUB_KEY_ID_1")))


def test_one_byte_more_or_other_is_forged() -> None:
    body = told()
    headers = signed_headers(body)
    for changed in (body + b"\n", body[:-1], body.replace(b"SUCCESS", b"REFUNDD", 1)):
        with pytest.raises(Forged):
            opened(arrived(changed, headers))


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "AEAD_AES_128_GCM"},
        {"algorithm": None},
        {"nonce": "short"},
        {"nonce": 12},
        {"ciphertext": "not base64!"},
        {"associated_data": 7},
        {"associated_data": "\ud800"},
        {"nonce": "\ud800bcdefghijkl"},
    ],
)
def test_what_is_not_sealed_that_way_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        opened(arrived(told(**wrong)))


@pytest.mark.parametrize("wrong", [{"associated_data": "other"}, {"ciphertext": "AAAA" * 8}, {"nonce": "abcdefghijkl"}])
def test_what_was_sealed_otherwise_is_forged(wrong: dict[str, Any]) -> None:
    with pytest.raises(Forged):
        opened(arrived(told(**wrong)))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b'{"resource": 1}', b'{"id": NaN}', b'{"id":"a","id":"b"}', b"\xff", b"[" * 5000]
)
def test_signed_nonsense_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        opened(arrived(body))


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": None},
        {"amount": {"total": "10000", "currency": "CNY"}},
        {"amount": {"total": True, "currency": "CNY"}},
        {"amount": {"total": 1.5, "currency": "CNY"}},
        {"trade_state": "GIVEN"},
        {"out_trade_no": ""},
        {"mchid": 1230000109},
        {"success_time": "yesterday"},
        {"success_time": "2026-11-21T12:00:00"},
        {"transaction_id": None},
    ],
)
def test_a_receipt_without_what_decides_is_malformed(wrong: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        receipt_of(json.loads(transaction("XH1", 10_000, **wrong)))


def test_not_paid_yet_needs_no_amount() -> None:
    bare = {"out_trade_no": "XH1", "mchid": "1", "appid": "wx", "trade_state": "NOTPAY"}
    assert receipt_of(bare).state is State.OPEN
    assert receipt_of({**bare, "trade_state": "CLOSED"}).state is State.CLOSED


@given(st.text(max_size=400))
def test_whatever_is_sealed_opens_to_itself(plain: str) -> None:
    if plain.isascii() or plain.encode("utf-8", "ignore").decode() == plain:
        assert unsealed(sealed(plain), API_V3_KEY.encode()).decode() == plain


def test_a_key_that_is_no_rsa_key_is_refused() -> None:
    with pytest.raises(ValueError, match="id"):
        platform_key(public_pem(PLATFORM))
    with pytest.raises(ValueError, match=r".+"):
        platform_key("nothing", "PUB_KEY_ID_1")
