"""Sealing of personal and secret values, and blind indexes to find them again.

Envelope: version(1) | algorithm(1) | key id(4) | nonce(12) | ciphertext and tag, AES-256-GCM with a
random 96-bit nonce; the context (table, column, row) is authenticated, so a ciphertext moved elsewhere
does not open. The root key lives outside the database; each member has a data key wrapped by it, and
destroying that key erases the member's values everywhere, backups included.
"""

import hashlib
import hmac
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty.errors import ensure

VERSION: Final = 1
AES_256_GCM: Final = 1
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
_HEADER: Final = struct.Struct(">BBI")
_OVERHEAD: Final = _HEADER.size + NONCE_BYTES + 16


class SealBroken(Exception):
    """A sealed value was altered, moved, truncated, or its key is not ours."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one installation, all derived from one root secret of at least 32 bytes."""

    root: bytes
    index: bytes
    codes: bytes
    cipher: AESGCM
    """Of the root key, made once."""

    @classmethod
    def derived_from(cls, secret: bytes) -> "Keys":
        """Independent keys per use, so that one leaking does not open the others (HKDF, RFC 5869)."""
        ensure(len(secret) >= KEY_BYTES, "the root secret has at least 32 bytes")
        root = _derived(secret, b"root")
        return cls(root=root, index=_derived(secret, b"index"), codes=_derived(secret, b"codes"), cipher=AESGCM(root))


def _derived(secret: bytes, use: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"xiaohui/" + use).derive(secret)


_keys: Keys | None = None


def unlock(secret: bytes) -> None:
    """Install the keys of this process; called once at start with the configured root secret."""
    global _keys  # noqa: PLW0603 - one set of keys per process, never in the database
    _keys = Keys.derived_from(secret)


def keys() -> Keys:
    """The installed keys."""
    if _keys is None:
        raise SealBroken("the vault is locked: no root secret was configured")
    return _keys


def seal(plaintext: bytes, *, context: str, key: bytes | None = None, key_id: int = 0) -> bytes:
    """`plaintext` sealed under `key` (default: the root key) and bound to `context`."""
    header = _HEADER.pack(VERSION, AES_256_GCM, key_id)
    nonce = secrets.token_bytes(NONCE_BYTES)
    sealed = _cipher(key).encrypt(nonce, plaintext, _associated(header, context))
    return header + nonce + sealed


def unseal(envelope: bytes, *, context: str, key: bytes | None = None) -> bytes:
    """The plaintext of `envelope`.

    Raises:
        SealBroken: altered, truncated, of an unknown version, bound to another context or another key.
    """
    if len(envelope) < _OVERHEAD:
        raise SealBroken("too short to be an envelope")
    header, rest = envelope[: _HEADER.size], envelope[_HEADER.size :]
    version, algorithm, _key_id = _HEADER.unpack(header)
    if (version, algorithm) != (VERSION, AES_256_GCM):
        raise SealBroken("unknown envelope version")
    try:
        return _cipher(key).decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], _associated(header, context))
    except InvalidTag as broken:
        raise SealBroken("altered, moved, or sealed with another key") from broken


def _cipher(key: bytes | None) -> AESGCM:
    return keys().cipher if key is None else AESGCM(key)


def _associated(header: bytes, context: str) -> bytes:
    name = context.encode()
    return header + struct.pack(">I", len(name)) + name


def new_data_key() -> bytes:
    """A fresh 256-bit key for one member."""
    return secrets.token_bytes(KEY_BYTES)


def blind_index(field: str, value: str) -> str:
    """A keyed fingerprint of `value`, 64 hex digits: equality can be searched, the value cannot be recovered
    without the index key (a bare hash of a mainland phone number falls in minutes)."""
    return hmac.new(keys().index, field.encode() + b"\0" + value.encode(), hashlib.sha256).hexdigest()


def token_hash(token: str) -> str:
    """What is stored of a random token: enough to recognise it, useless to present it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_token() -> str:
    """A 256-bit random token, URL-safe."""
    return secrets.token_urlsafe(32)
