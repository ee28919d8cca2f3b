"""Signed member codes (离线会员码): a till verifies them without a network and uploads them with the sale. Pure.

81 bytes, shown as 130 characters of base32 without padding, which a QR code stores compactly and any scanner types:

    version (1) | key (2) | alias (8) | step (4) | minutes (2) | Ed25519 signature (64)

Numbers are big-endian. The signature is over `SIGNED_AS` and the 17 bytes before it (RFC 8032). `step` counts ten
minutes since 1970; the code counts from its beginning for so many minutes. `alias` stands for the member on that day
only, so that two visits cannot be linked by who reads the codes; nothing else in it speaks of anybody.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loyalty import codes, vault
from loyalty.errors import Invalid

VERSION: Final = 1
STEP_S: Final = 600
LIFE: Final = timedelta(hours=6)
CLOCK_SKEW: Final = timedelta(minutes=5)
KEY_DAYS: Final = 90
SIGNED_AS: Final = b"xiaohui/member-code/1\0"
LENGTH: Final = 130
_PAYLOAD: Final = struct.Struct(">BHQIH")
_SIGNATURE_BYTES: Final = 64
_PADDING: Final = "=" * (-LENGTH % 8)
_DAY_S: Final = 86_400
_MINUTE: Final = timedelta(minutes=1)


class OfflineCodeInvalid(Invalid):
    """It is no signed member code of ours, or it was altered."""

    code = "offline_codes.invalid"


@dataclass(frozen=True, slots=True)
class Signed:
    """A genuine code: made for this member, counting in [since, until)."""

    member_id: int
    step: int
    since: datetime
    until: datetime

    def counts_at(self, moment: datetime) -> bool:
        """Whether a till whose clock is a little off could have taken it then."""
        return self.since - CLOCK_SKEW <= moment < self.until + CLOCK_SKEW


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What verifies the codes of a span of days, 32 bytes."""

    kid: int
    key: bytes
    since: datetime
    until: datetime


def step_of(at: datetime) -> int:
    """The step of an instant."""
    return int(at.timestamp()) // STEP_S


def kid_of(step: int) -> int:
    """The number of the key that signs the codes of a step."""
    return step * STEP_S // (_DAY_S * KEY_DAYS)


def sign(member_id: int, at: datetime) -> tuple[str, Signed]:
    """The code of a member for the step of `at`, as it is shown, and what it says."""
    step = step_of(at)
    alias = codes.hidden(member_id, use=_use(step))
    payload = _PAYLOAD.pack(VERSION, kid_of(step), alias, step, LIFE // _MINUTE)
    signature = _private(kid_of(step)).sign(SIGNED_AS + payload)
    return base64.b32encode(payload + signature).decode().rstrip("="), _signed(member_id, step, LIFE)


def read(text: str) -> Signed:
    """What a code says.

    Raises:
        OfflineCodeInvalid: not one of ours, or altered.
    """
    raw = _bytes(text)
    payload, signature = raw[: _PAYLOAD.size], raw[_PAYLOAD.size :]
    version, kid, alias, step, minutes = _PAYLOAD.unpack(payload)
    if version != VERSION or kid != kid_of(step):
        raise OfflineCodeInvalid
    try:
        _private(kid).public_key().verify(signature, SIGNED_AS + payload)
    except InvalidSignature:
        raise OfflineCodeInvalid from None
    return _signed(codes.shown(alias, use=_use(step)), step, minutes * _MINUTE)


def published(at: datetime) -> list[PublicKey]:
    """The key of the present quarter with the one before and the one after, so that a till may be away for long."""
    present = kid_of(step_of(at))
    return [_public(kid) for kid in (present - 1, present, present + 1)]


def _bytes(text: str) -> bytes:
    plain = text.strip().upper()
    try:
        raw = base64.b32decode(plain + _PADDING) if len(plain) == LENGTH else b""
    except (binascii.Error, ValueError):
        raise OfflineCodeInvalid from None
    if len(raw) != _PAYLOAD.size + _SIGNATURE_BYTES:
        raise OfflineCodeInvalid
    return raw


def _signed(member_id: int, step: int, life: timedelta) -> Signed:
    since = datetime.fromtimestamp(step * STEP_S, UTC)
    return Signed(member_id, step, since, since + life)


def _use(step: int) -> str:
    return f"offline:{step * STEP_S // _DAY_S}"


def _private(kid: int) -> Ed25519PrivateKey:
    # Derived, not stored: a stolen database signs nothing.
    info = f"xiaohui/member-code/{kid}".encode()
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(vault.keys().codes)
    return Ed25519PrivateKey.from_private_bytes(seed)


def _public(kid: int) -> PublicKey:
    begins = datetime.fromtimestamp(kid * KEY_DAYS * _DAY_S, UTC)
    key = _private(kid).public_key().public_bytes_raw()
    return PublicKey(kid, key, begins, begins + timedelta(days=KEY_DAYS))
