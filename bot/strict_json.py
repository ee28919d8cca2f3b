"""JSON as platforms may send it: parsed strictly, because what two parsers read differently is an attack.

Python's own parser accepts NaN, keeps the last of two equal keys, and gives up with RecursionError on deep nesting;
here each of these is `Malformed`.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, cast

from bot.channel import Malformed

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

MAX_DEPTH: Final = 32

# An unterminated string counts up to the end, possessively: otherwise every quote in it would start a new search.
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKET: Final = re.compile(rb"[\[\]{}]")
_OPENING: Final = frozenset({b"[", b"{"})


def parse_object(body: bytes, *, allow_duplicates: bool = False) -> dict[str, Json]:
    """The JSON object in `body`; integers keep every digit.

    `allow_duplicates` is for answers to our own calls, where the last of two equal keys counts.

    Raises:
        Malformed: not UTF-8, not JSON, not an object, NaN or an infinite number, nested deeper than 32 levels,
            or a key twice.
    """
    _refuse_deep(body)
    try:
        value = (_LAST_COUNTS if allow_duplicates else _STRICT).decode(body.decode("utf-8"))
    except ValueError as error:
        raise Malformed("not JSON") from error
    if not isinstance(value, dict):
        raise Malformed("not a JSON object")
    return cast("dict[str, Json]", value)


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
            raise Malformed("JSON nested too deep")


def _unique_keys(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    keyed = dict(pairs)
    if len(keyed) != len(pairs):
        raise Malformed("a key occurs twice")
    return keyed


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Malformed("a number is out of range")
    return number


_STRICT: Final = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_float=_finite)
_LAST_COUNTS: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
