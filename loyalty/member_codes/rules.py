"""The rotating member code: member number and a time-based one-time password, digits only. Pure.

RFC 6238 with HMAC-SHA256 and 30-second steps: a screenshot is worth nothing half a minute later.
"""

import hmac
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from loyalty.members import rules as members

STEP_S: Final = 30
GRACE_S: Final = 5
PASSWORD_DIGITS: Final = 8
NUMBER_DIGITS: Final = 10
CODE_DIGITS: Final = NUMBER_DIGITS + PASSWORD_DIGITS


@dataclass(frozen=True, slots=True)
class Shown:
    """A code as somebody typed or scanned it, taken apart."""

    number: str
    password: str


def step_of(at: datetime) -> int:
    """The 30-second step of an instant."""
    return int(at.timestamp()) // STEP_S


def seconds_left(at: datetime) -> int:
    """How long the code of this step is still shown, 1 to 30."""
    return STEP_S - int(at.timestamp()) % STEP_S


def steps_accepted(at: datetime) -> tuple[int, ...]:
    """The current step, and for the first five seconds the one before: a till is slower than a phone."""
    current = step_of(at)
    return (current, current - 1) if at.timestamp() % STEP_S < GRACE_S else (current,)


def password(secret: bytes, step: int) -> str:
    """The one-time password of a step (RFC 4226 truncation)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), sha256)
    offset = digest[-1] & 0x0F
    value = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{value % 10**PASSWORD_DIGITS:0{PASSWORD_DIGITS}d}"


def taken_apart(typed: str) -> Shown | None:
    """The two parts of a code, spaces and full-width digits forgiven; None when it cannot be one."""
    digits = "".join(char for char in unicodedata.normalize("NFKC", typed) if not char.isspace() and char != "-")
    if len(digits) != CODE_DIGITS or not (digits.isascii() and digits.isdigit()):
        return None
    number = digits[:NUMBER_DIGITS]
    return Shown(number, digits[NUMBER_DIGITS:]) if members.is_number(number) else None


def matching_step(shown: Shown, secret: bytes, at: datetime) -> int | None:
    """The accepted step whose password was shown, compared in constant time."""
    found = None
    for step in steps_accepted(at):
        if hmac.compare_digest(password(secret, step), shown.password):
            found = step
    return found
