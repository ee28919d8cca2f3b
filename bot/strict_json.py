"""JSON as platforms and partners may send it: parsed strictly, because what two parsers read differently is an attack.

Python's own parser accepts NaN, keeps the last of two equal keys, and gives up with RecursionError on deep nesting;
here each of these is one refusal, `NotStrictJson`.
"""

import json
import math
import re
from typing import Final, NoReturn

MAX_DEPTH: Final = 32

_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_OPENING: Final = frozenset({b"[", b"{"})

JsonObject = dict[str, object]


class NotStrictJson(ValueError):
    """The bytes are not one JSON value in UTF-8 with unique keys, finite numbers and at most 32 levels."""


def parse_object(body: bytes) -> JsonObject:
    """The JSON object in `body`.

    Raises:
        NotStrictJson: not UTF-8, not JSON, not an object, a key twice, NaN or an infinite number, too deep.
    """
    _refuse_deep(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except NotStrictJson:
        raise
    except ValueError as error:
        raise NotStrictJson(str(error)) from error
    if not isinstance(value, dict):
        raise NotStrictJson("not an object")
    return value


def storable(text: str) -> str:
    """`text` with what PostgreSQL and UTF-8 cannot hold (NUL, lone surrogates) replaced by U+FFFD."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _refuse_deep(body: bytes) -> None:
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", body)):
        depth += 1 if bracket in _OPENING else -1
        if depth > MAX_DEPTH:
            raise NotStrictJson("nested too deep")


def _unique_keys(pairs: list[tuple[str, object]]) -> JsonObject:
    keyed = dict(pairs)
    if len(keyed) != len(pairs):
        raise NotStrictJson("a key appears twice")
    return keyed


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJson(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise NotStrictJson("a number is out of range")
    return number
