"""The spelling of link codes: eight Crockford base-32 characters, shown in two groups. Pure.

40 random bits, ten minutes, one use, five tries per person: guessing one of a thousand live codes takes
some 200 million people.
"""

import hmac
import secrets
import unicodedata
from datetime import timedelta
from typing import Final

LIFETIME: Final = timedelta(minutes=10)
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH: Final = 8
_HALF: Final = _LENGTH // 2
_MISREAD: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": "", " ": ""})


def new() -> str:
    """A random code."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def shown(code: str) -> str:
    """As people read it: `K7M2-9QXD`."""
    return f"{code[:_HALF]}-{code[_HALF:]}"


def plain(typed: str) -> str:
    """As it was issued, whatever case, width, dashes or look-alike letters it was typed with."""
    return unicodedata.normalize("NFKC", typed).upper().translate(_MISREAD)


def hashed(code: str, key: bytes) -> str:
    """What is stored of a code."""
    return hmac.digest(key, b"link_code:" + code.encode("utf-8", "replace"), "sha256").hex()
