"""Codes that people read aloud and type: a number in disguise, with a character that catches one slip.

12 Crockford base32 characters carry 60 bits, the 13th checks them. The number is hidden by a keyed
permutation (a Feistel network over keyed BLAKE2b), so codes are as hard to guess as random ones, yet
nothing about them is stored: the code opens to the number and the number to the code.
"""

import hashlib
import unicodedata
from collections.abc import Iterator
from typing import Final

from loyalty import vault
from loyalty.errors import Invalid, ensure

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BODY_LENGTH: Final = 12
CODE_LENGTH: Final = BODY_LENGTH + 1
TYPED_LENGTH_MAX: Final = 4 * CODE_LENGTH
NUMBER_MAX: Final = 2**60 - 1

_HALF_BITS: Final = 30
_HALF: Final = 2**_HALF_BITS - 1
_ROUNDS: Final = 10
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_SPACING: Final = str.maketrans("", "", " -_\u00ad\u200b\u200c\u200d\ufeff")


class CodeMistyped(Invalid):
    """The characters do not form a code: one is missing, wrong, or two changed places."""

    code = "codes.mistyped"


def encode(number: int, *, use: str) -> str:
    """The 13 characters that stand for `number` in `use` (each use has codes of its own)."""
    ensure(0 <= number <= NUMBER_MAX, "a code carries 60 bits")
    disguised = hidden(number, use=use)
    body = [disguised >> (5 * place) & 31 for place in reversed(range(BODY_LENGTH))]
    return "".join(ALPHABET[value] for value in (*body, _check(body)))


def decode(text: str, *, use: str) -> int:
    """The number behind a typed code; case, spaces, hyphens, full-width forms, O for 0 and I or L for 1 are forgiven.

    Raises:
        CodeMistyped: it cannot be a code of ours; found without asking the database.
    """
    values = list(_values(text))
    if len(values) != CODE_LENGTH or _check(values[:BODY_LENGTH]) != values[BODY_LENGTH]:
        raise CodeMistyped
    disguised = 0
    for value in values[:BODY_LENGTH]:
        disguised = disguised << 5 | value
    return shown(disguised, use=use)


def hidden(number: int, *, use: str) -> int:
    """The 60-bit number that stands for `number` in `use`; the same again with `shown`."""
    ensure(0 <= number <= NUMBER_MAX, "a code carries 60 bits")
    return _permuted(number, use, range(_ROUNDS))


def shown(number: int, *, use: str) -> int:
    """What `hidden` hid."""
    return _permuted(number, use, reversed(range(_ROUNDS)))


def spaced(code: str) -> str:
    """`code` in groups as it is shown to people: ABCD-EFGH-JKMN-P."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _values(text: str) -> Iterator[int]:
    if len(text) > TYPED_LENGTH_MAX:
        raise CodeMistyped
    plain = unicodedata.normalize("NFKC", text).translate(_SPACING).upper()
    for character in plain:
        value = _VALUE.get(character)
        if value is None:
            raise CodeMistyped
        yield value


def _permuted(number: int, use: str, rounds: Iterator[int] | range) -> int:
    """The Feistel network; running its rounds backwards undoes it, because the halves change places at the end."""
    key, prefix = vault.keys().codes, use.encode() + b"\0"
    left, right = number >> _HALF_BITS, number & _HALF
    for turn in rounds:
        left, right = right, left ^ _mixed(right, key, prefix, turn)
    return right << _HALF_BITS | left


def _mixed(half: int, key: bytes, prefix: bytes, turn: int) -> int:
    message = prefix + bytes((turn,)) + half.to_bytes(4, "big")
    return int.from_bytes(hashlib.blake2b(message, key=key, digest_size=4).digest(), "big") & _HALF


def _check(body: list[int]) -> int:
    """A weighted sum over GF(32): distinct weights let no single wrong character and no swap of two pass."""
    total = 0
    for value in body:
        total = _doubled(total) ^ value
    return _doubled(total)


def _doubled(value: int) -> int:
    """`value` times x in GF(2)[x] modulo x^5 + x^2 + 1, whose root generates all 31 nonzero elements."""
    return (value << 1) ^ (0b100101 if value & 16 else 0)
