"""The envelope against published vectors and against wechatpy as the independent other side."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st
from wechatpy.crypto import WeChatCrypto

from bot.channel import Forged, Malformed
from bot.wx_crypto import MAX_BODY_BYTES, WxCrypto, check_window, open_encrypted, same_text, sign
from bot.wx_xml import parse
from tests.bot.wechat_oa.platform_side import AES_KEY, APP_ID, TOKEN, said, sealed

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
CRYPTO = WxCrypto(token=TOKEN, encoding_aes_key=AES_KEY, receive_id=APP_ID)


def vectors(outside: Path, *kinds: str) -> list[dict[str, Any]]:
    manifest = json.loads((outside / "protocol/manifest.json").read_text())
    return [vector for vector in manifest["vectors"] if vector["kind"] in kinds]


def key_of(vector: dict[str, Any]) -> WxCrypto:
    return WxCrypto(token=vector["token"], encoding_aes_key=vector["encoding_aes_key"], receive_id=vector["receive_id"])


@pytest.mark.outside
def test_published_ciphertexts_are_reproduced_byte_for_byte(outside: Path) -> None:
    found = vectors(outside, "encrypt_deterministic")
    assert len(found) == 2
    for vector in found:
        random16 = vector["random16"].encode()
        assert key_of(vector).encrypt(vector["plaintext"].encode(), random16=random16) == vector["ciphertext"]


@pytest.mark.outside
def test_published_envelopes_open_and_altered_ones_do_not(outside: Path) -> None:
    found = vectors(outside, "echostr", "envelope_json")
    assert len(found) == 3
    for vector in found:
        crypto = key_of(vector)
        query = {"timestamp": vector["timestamp"], "nonce": vector["nonce"], "msg_signature": vector["msg_signature"]}
        crypto.verify_encrypted(query, vector["ciphertext"])
        assert crypto.decrypt(vector["ciphertext"]).decode() == vector.get("_plaintext", vector.get("plaintext"))
        with pytest.raises(Forged):
            crypto.verify_encrypted({**query, "nonce": vector["nonce"] + "1"}, vector["ciphertext"])


@pytest.mark.outside
def test_an_envelope_of_another_key_is_refused(outside: Path) -> None:
    (vector,) = vectors(outside, "envelope_negative")
    encrypted = parse((outside / "protocol" / vector["file"]).read_bytes())["Encrypt"]
    assert isinstance(encrypted, str)
    with pytest.raises((Forged, Malformed)):
        key_of(vector).decrypt(encrypted)


@pytest.mark.outside
def test_published_plain_signatures_agree(outside: Path) -> None:
    for vector in vectors(outside, "sha1_plain"):
        assert sign(vector["token"], vector["timestamp"], vector["nonce"]) == vector["signature"]
    for vector in vectors(outside, "sha1_msg"):
        parts = (vector["token"], vector["timestamp"], vector["nonce"], vector["ciphertext"])
        assert sign(*parts) == vector.get("msg_signature", vector.get("signature"))
    card = json.loads((outside / "protocol/oa/sig_card_ext.json").read_text())
    assert sign(*card["parts"]) == card["sha1"]


@given(st.text(max_size=300).filter(lambda text: bool(text) and text.isprintable()))
def test_wechatpy_reads_what_we_seal(text: str) -> None:
    envelope = CRYPTO.seal_reply(text.encode(), NOW)
    fields = parse(envelope)
    other = WeChatCrypto(TOKEN, AES_KEY, APP_ID)
    assert other.decrypt_message(envelope, fields["MsgSignature"], fields["TimeStamp"], fields["Nonce"]) == text


@given(st.text(max_size=300).filter(lambda text: bool(text) and text.isprintable()))
def test_we_read_what_wechatpy_seals(text: str) -> None:
    request = sealed(text, at=NOW)
    assert open_encrypted(request, CRYPTO, window_s=300, envelope_of=parse).decode() == text


@pytest.mark.parametrize("length", range(1, 34))
def test_every_padding_length_opens(length: int) -> None:
    message = b"x" * length
    assert CRYPTO.decrypt(CRYPTO.encrypt(message)) == message


@given(st.binary(max_size=200))
def test_random_bytes_never_open(raw: bytes) -> None:
    with pytest.raises((Forged, Malformed)):
        CRYPTO.decrypt(base64.b64encode(raw).decode())


@given(st.text(max_size=80))
def test_any_text_is_refused_without_another_error(text: str) -> None:
    with pytest.raises((Forged, Malformed)):
        CRYPTO.decrypt(text)


@pytest.mark.parametrize("padding", [bytes([33]) * 33, bytes([64]) * 64, b"\x00", b"\x01\x02", b"\x03\x02\x03"])
def test_a_padding_that_nobody_writes_is_refused_though_all_else_is_right(padding: bytes) -> None:
    key = base64.b64decode(AES_KEY + "=")
    room = -(16 + 4 + len(APP_ID) + len(padding)) % 32
    message = b"x" * (room or 32)
    content = b"r" * 16 + len(message).to_bytes(4, "big") + message + APP_ID.encode() + padding
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    with pytest.raises(Forged):
        CRYPTO.decrypt(base64.b64encode(encryptor.update(content) + encryptor.finalize()).decode())


def test_an_envelope_for_another_account_with_the_same_key_is_refused() -> None:
    other = WxCrypto(token=TOKEN, encoding_aes_key=AES_KEY, receive_id="wxothertenant0000")
    with pytest.raises(Forged):
        CRYPTO.decrypt(other.encrypt(b"hello"))


def test_checks_come_in_order() -> None:
    genuine = sealed(said("hi", at=NOW), at=NOW)
    plain = replace(genuine, body=said("hi", at=NOW).encode())
    with pytest.raises(Forged, match="plaintext"):
        open_encrypted(plain, CRYPTO, window_s=300, envelope_of=parse)
    with pytest.raises(Malformed, match="too long"):
        open_encrypted(replace(genuine, body=b"x" * (MAX_BODY_BYTES + 1)), CRYPTO, window_s=300, envelope_of=parse)
    without = {name: value for name, value in genuine.query.items() if name != "msg_signature"}
    with pytest.raises(Forged, match="missing"):
        open_encrypted(replace(genuine, query=without), CRYPTO, window_s=300, envelope_of=parse)


def test_the_window_is_half_a_promise_either_way_and_zero_is_off() -> None:
    stamp = str(int(NOW.timestamp()))
    check_window(stamp, NOW + timedelta(seconds=300), 300)
    check_window(stamp, NOW - timedelta(seconds=300), 300)
    check_window(stamp, NOW + timedelta(days=900), 0)
    for late in (timedelta(seconds=301), timedelta(seconds=-301)):
        with pytest.raises(Forged):
            check_window(stamp, NOW + late, 300)


@pytest.mark.parametrize("stamp", ["", "abc", "１７６００００００００", "1e9", "-1", " 1", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_forged(stamp: str) -> None:
    with pytest.raises(Forged):
        check_window(stamp, NOW, 0)


def test_signatures_of_any_characters_compare_without_error() -> None:
    assert not same_text("a" * 40, "é" * 40)
    assert not same_text("a", "\ud800")
    assert same_text("é", "é")


@pytest.mark.parametrize("key", ["", "short", "!" * 43, AES_KEY + "A", AES_KEY[:-1]])
def test_a_key_that_cannot_be_one_is_refused_at_start(key: str) -> None:
    with pytest.raises(ValueError, match="43"):
        WxCrypto(token=TOKEN, encoding_aes_key=key, receive_id=APP_ID)
