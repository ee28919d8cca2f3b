"""What buttons carry behind their route; it comes back as the client's word and is read with care."""

from typing import Final

_DIGITS_MAX: Final = 18


def row_id(text: str) -> int | None:
    """The number that a button carries, or None when it is none of ours."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX else None
