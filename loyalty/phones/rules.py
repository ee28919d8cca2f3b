"""Phone numbers: one spelling per number, and what may be shown of it."""

import unicodedata
from typing import Final

import phonenumbers
from phonenumbers import PhoneNumberFormat

from loyalty.errors import Invalid

HOME_REGION: Final = "CN"
TYPED_LENGTH_MAX: Final = 64
_SHOWN_AT_END: Final = 4
_MAINLAND_HEAD: Final = 3
_ABROAD_HEAD: Final = 2


class PhoneInvalid(Invalid):
    """It is not a phone number that exists in any numbering plan."""

    code = "phone.invalid"


def e164(typed: str, *, region: str = HOME_REGION) -> str:
    """`typed` as E.164 (`+8613800138000`), however it was spelled: full-width digits, +86, 0086 or a bare 86,
    spaces, dashes, zero-width characters all give the same answer.

    Raises:
        PhoneInvalid: no numbering plan knows it.
    """
    if len(typed) > TYPED_LENGTH_MAX:
        raise PhoneInvalid
    plain = _plain(typed)
    for candidate in _readings(plain, region):
        number = _parsed(candidate, region)
        if number is not None:
            return phonenumbers.format_number(number, PhoneNumberFormat.E164)
    raise PhoneInvalid


def _plain(typed: str) -> str:
    """Compatibility forms folded (`＋８６` → `+86`), invisible and formatting characters dropped."""
    folded = unicodedata.normalize("NFKC", typed)
    return "".join(char for char in folded if unicodedata.category(char) not in {"Cf", "Zs", "Cc", "Pd"})


def _readings(plain: str, region: str) -> list[str]:
    # `00` is how people outside its home write `+`; a bare `86…` is a mainland number copied without its plus.
    if plain.startswith("00"):
        return ["+" + plain[2:]]
    code = str(phonenumbers.country_code_for_region(region))
    return [plain, "+" + plain] if plain.startswith(code) else [plain]


def _parsed(text: str, region: str) -> phonenumbers.PhoneNumber | None:
    if not all(char in "+()./" or "0" <= char <= "9" for char in text):
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def masked(number: str) -> str:
    """What a list may show of an E.164 number: `138****8000`, abroad `+85 ***4567`."""
    if number.startswith("+86"):
        national = number[3:]
        return f"{national[:_MAINLAND_HEAD]}****{national[-_SHOWN_AT_END:]}"
    return f"{number[: 1 + _ABROAD_HEAD]}****{number[-_SHOWN_AT_END:]}"
