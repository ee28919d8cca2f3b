"""Sealed values open only where they belong; the cipher agrees with vectors that others wrote."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loyalty import vault
from loyalty.vault import SealBroken

KEY = bytes(range(32))
contexts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(st.binary(max_size=200), contexts)
def test_what_is_sealed_opens(plaintext: bytes, context: str) -> None:
    assert vault.unseal(vault.seal(plaintext, context=context, key=KEY), context=context, key=KEY) == plaintext


@given(contexts, contexts)
def test_a_value_moved_elsewhere_does_not_open(one: str, other: str) -> None:
    envelope = vault.seal(b"x", context=one, key=KEY)
    if one == other:
        return
    with pytest.raises(SealBroken):
        vault.unseal(envelope, context=other, key=KEY)


@given(st.data())
def test_every_flipped_byte_and_every_cut_is_noticed(data: st.DataObject) -> None:
    envelope = vault.seal(b"a phone number", context="c", key=KEY)
    place = data.draw(st.integers(0, len(envelope) - 1))
    flip = data.draw(st.integers(1, 255))
    altered = envelope[:place] + bytes((envelope[place] ^ flip,)) + envelope[place + 1 :]
    for broken in (altered, envelope[:place]):
        with pytest.raises(SealBroken):
            vault.unseal(broken, context="c", key=KEY)


def test_two_seals_of_one_value_differ() -> None:
    assert len({vault.seal(b"+8613800138000", context="c", key=KEY) for _ in range(200)}) == 200


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealBroken):
        vault.unseal(vault.seal(b"x", context="c", key=KEY), context="c", key=bytes(32))


@pytest.mark.outside
def test_the_cipher_agrees_with_wycheproof(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our envelope around each 256-bit, 96-bit-nonce vector: the vector's AAD stands where ours would be."""
    suite = json.loads((outside / "security" / "wycheproof" / "aes_gcm_test.json").read_text(encoding="utf-8"))
    header = vault.seal(b"", context="", key=KEY)[:6]
    tried = 0
    for group in suite["testGroups"]:
        if (group["keySize"], group["ivSize"], group["tagSize"]) != (256, 96, 128):
            continue
        for vector in group["tests"]:
            key, nonce, aad, plaintext, ciphertext, tag = (
                bytes.fromhex(vector[part]) for part in ("key", "iv", "aad", "msg", "ct", "tag")
            )
            monkeypatch.setattr(vault, "_associated", lambda _header, _context, aad=aad: aad)
            envelope = header + nonce + ciphertext + tag
            tried += 1
            if vector["result"] == "valid":
                assert vault.unseal(envelope, context="any", key=key) == plaintext
            else:
                with pytest.raises(SealBroken):
                    vault.unseal(envelope, context="any", key=key)
    assert tried > 50


@pytest.mark.outside
def test_nonces_of_another_length_cannot_be_spelled(outside: Path) -> None:
    """An envelope has room for 96-bit nonces only, so a vector with another length never opens."""
    suite = json.loads((outside / "security" / "wycheproof" / "aes_gcm_test.json").read_text(encoding="utf-8"))
    header = vault.seal(b"", context="", key=KEY)[:6]
    for group in suite["testGroups"]:
        if group["keySize"] == 256 and group["ivSize"] != 96:
            for vector in group["tests"]:
                parts = (bytes.fromhex(vector[part]) for part in ("iv", "ct", "tag"))
                with pytest.raises(SealBroken):
                    vault.unseal(header + b"".join(parts), context="c", key=bytes.fromhex(vector["key"]))
