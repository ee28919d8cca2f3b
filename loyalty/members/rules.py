"""What a member's values look like: number, name, masks, language, age. Pure."""

import hashlib
import hmac
import unicodedata
from datetime import date
from typing import Final

from loyalty.errors import Invalid, ensure

SCENE_LENGTH_MAX: Final = 64
LOCALES: Final = ("zh-CN", "en")
NAME_LENGTH_MAX: Final = 60
ADULT_AT: Final = 18
OLDEST_BIRTH_YEAR: Final = 1900

_BODY_FIRST: Final = 100_000_000
_BODY_COUNT: Final = 900_000_000
_HALF_BITS: Final = 15
_HALF_MASK: Final = (1 << _HALF_BITS) - 1
_ROUNDS: Final = 8
_NUMBER_LENGTH: Final = 10
_DIGIT_MAX: Final = 9

# Characters that reorder or hide what a clerk reads; zero-width joiners stay, scripts and emoji need them.
_DECEPTIVE: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f")
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Cn", "Zl", "Zp"})
_VISIBLE_MAJOR: Final = frozenset("LNSP")


class NameRefused(Invalid):
    """A name is stored exactly as given or not at all: empty, too long, or with characters that deceive."""

    code = "member.name_refused"


class BirthdayRefused(Invalid):
    """The day lies in the future or before anybody alive was born."""

    code = "member.birthday_refused"


def number_of(member_id: int, key: bytes) -> str:
    """The 10-digit member number (会员号) of a member: nine digits that neither count nor order members, and
    a Luhn digit that catches a mistyped one. Distinct for every id up to 900 million.

    A keyed Feistel permutation, walked until it lands inside the range, so nothing has to be looked up.
    """
    ensure(0 < member_id < _BODY_COUNT, "member ids fit the numbering plan")
    value = _permuted(member_id, key)
    while value >= _BODY_COUNT:
        value = _permuted(value, key)
    body = str(_BODY_FIRST + value)
    return body + _luhn_digit(body)


def _permuted(value: int, key: bytes) -> int:
    left, right = value >> _HALF_BITS, value & _HALF_MASK
    for turn in range(_ROUNDS):
        message = b"member_number" + bytes((turn,)) + right.to_bytes(2, "big")
        mixed = int.from_bytes(hmac.digest(key, message, hashlib.sha256)[:2], "big") & _HALF_MASK
        left, right = right, left ^ mixed
    return left << _HALF_BITS | right


def _luhn_digit(body: str) -> str:
    total = 0
    for place, char in enumerate(reversed(body)):
        digit = int(char) * (2 - place % 2)
        total += digit - _DIGIT_MAX if digit > _DIGIT_MAX else digit
    return str(-total % 10)


def is_number(text: str) -> bool:
    """True for ten digits whose last one fits; says nothing about whether such a member exists."""
    return len(text) == _NUMBER_LENGTH and text.isascii() and text.isdigit() and _luhn_digit(text[:-1]) == text[-1]


def checked_name(name: str) -> str:
    """`name` unchanged, byte for byte; rare characters (生僻字), `·` and emoji are names too.

    Raises:
        NameRefused: empty, longer than 60 characters, with outer spaces, controls or reordering characters.
    """
    if not name or len(name) > NAME_LENGTH_MAX or name != name.strip():
        raise NameRefused(length_max=NAME_LENGTH_MAX)
    if any(char in _DECEPTIVE or unicodedata.category(char) in _UNPRINTABLE for char in name):
        raise NameRefused(length_max=NAME_LENGTH_MAX)
    if not _is_visible(name[0]):
        raise NameRefused(length_max=NAME_LENGTH_MAX)
    return name


def _is_visible(char: str) -> bool:
    category = unicodedata.category(char)
    # Private-use characters (Co) are how old GBK systems spelled rare surnames.
    return category[0] in _VISIBLE_MAJOR or category == "Co"


def masked_name(name: str) -> str:
    """What a list may show of a name: its first visible sign and one star per further one, two at most."""
    end = 1
    while end < len(name) and _continues(name, end):
        end += 1
    return name[:end] + "*" * min(2, len(name) - end)


def _continues(name: str, at: int) -> bool:
    char = name[at]
    return (
        unicodedata.combining(char) != 0
        or unicodedata.category(char) in {"Mn", "Mc", "Me"}
        or char in _JOINERS
        or name[at - 1] == "\u200d"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or (at == 1 and _is_flag_half(char) and _is_flag_half(name[0]))
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def kept_scene(scene: str | None) -> str | None:
    """The scenes of platforms are short; of what is longer, which somebody made up, the beginning will do."""
    return scene[:SCENE_LENGTH_MAX] if scene else None


def locale_of(tag: str | None) -> str | None:
    """The one of our languages that a platform's language tag means; None when it said nothing."""
    if not tag:
        return None
    return "zh-CN" if tag.lower().startswith("zh") else "en"


def checked_birthday(day: date, today: date) -> date:
    """`day`, if somebody can have been born on it.

    Raises:
        BirthdayRefused: otherwise.
    """
    if day > today or day.year < OLDEST_BIRTH_YEAR:
        raise BirthdayRefused
    return day


def month_day(day: date) -> int:
    """Month and day as one number, 1231 for 31 December; the year stays sealed."""
    return day.month * 100 + day.day


def is_minor(birthday: date, today: date) -> bool:
    """True before the day on which the person turns 18; born on 29 February turns 18 on 1 March."""
    had_birthday = (today.month, today.day) >= (birthday.month, birthday.day)
    return today.year - birthday.year - (not had_birthday) < ADULT_AT
