"""Reading a request: strict JSON within limits, query parameters, and the address it came from."""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.channel import Malformed
from bot.strict_json import parse_object
from loyalty.errors import Invalid
from miniapp_api.refusals import KeyMissing, NotJson, TooLarge, WrongMediaType

BODY_BYTES_MAX: Final = 64 * 1024
QUERY_BYTES_MAX: Final = 4096
PROBLEMS_MAX: Final = 20

_KEY: Final = re.compile(r"[\x21-\x7e]{8,128}")
_NEEDS_CARE: Final = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")

ModelT = TypeVar("ModelT", bound=BaseModel)


async def read_body(request: web.Request, model: type[ModelT]) -> tuple[ModelT, bytes]:
    """The JSON body as `model`, and its bytes.

    Raises:
        WrongMediaType, TooLarge, NotJson: the bytes are not one JSON object within the limits.
        Invalid: a field is missing, unknown or out of range; `errors` lists which.
    """
    content = await _read_bytes(request)
    if request.content_type != "application/json":
        raise WrongMediaType
    parse_json(content)
    try:
        return model.model_validate_json(content), content
    except ValidationError as broken:
        raise Invalid(errors=_located(broken)) from broken


async def _read_bytes(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise TooLarge(limit_bytes=BODY_BYTES_MAX)
    content = bytearray()
    async for chunk in request.content.iter_any():
        content += chunk
        if len(content) > BODY_BYTES_MAX:
            raise TooLarge(limit_bytes=BODY_BYTES_MAX)
    return bytes(content)


def parse_json(content: bytes) -> Mapping[str, object]:
    """The object in `content`, which PostgreSQL and every other reader can hold.

    Raises:
        NotJson: not JSON, too deep, a key twice, NaN, NUL or half of a surrogate pair.
    """
    try:
        document = parse_object(content)
    except Malformed as malformed:
        raise NotJson from malformed
    if _NEEDS_CARE.search(content):
        _refuse_unstorable(document)
    return document


def _refuse_unstorable(value: object) -> None:
    if isinstance(value, str):
        if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise NotJson
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unstorable(key)
            _refuse_unstorable(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_unstorable(inner)


def read_query(request: web.Request, model: type[ModelT]) -> ModelT:
    """The query parameters as `model`.

    Raises:
        Invalid: a parameter is unknown, given twice, unreadable or out of range.
    """
    if len(request.query_string) > QUERY_BYTES_MAX:
        raise Invalid(errors=[{"field": "", "problem": "too_long"}])
    given = request.query
    if len(given) != len(set(given)):
        raise Invalid(errors=[{"field": "", "problem": "parameter_twice"}])
    values = dict(given)
    if any(not _is_storable(text) for pair in values.items() for text in pair):
        raise Invalid(errors=[{"field": "", "problem": "not_utf8"}])
    try:
        return model.model_validate(values)
    except ValidationError as broken:
        raise Invalid(errors=_located(broken)) from broken


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _located(broken: ValidationError) -> list[dict[str, str]]:
    # The value itself stays out: it may be personal, and the caller knows what they sent.
    return [
        {
            "field": ".".join(str(step) for step in error["loc"]),
            "problem": error["type"],
        }
        for error in broken.errors(include_url=False, include_context=False, include_input=False)[:PROBLEMS_MAX]
    ]


def idempotency_key(request: web.Request) -> str:
    """The `Idempotency-Key` header.

    Raises:
        KeyMissing: absent, given twice, or not 8 to 128 visible ASCII characters.
    """
    given = request.headers.getall("Idempotency-Key", [])
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        raise KeyMissing
    return given[0]


def client_address(request: web.Request, is_trusted: Callable[[str], bool]) -> str:
    """Who really calls: the peer, or the nearest address that a chain of trusted proxies vouches for."""
    address = request.remote or "unknown"
    if not is_trusted(address):
        return address
    hops = [hop.strip() for value in request.headers.getall("X-Forwarded-For", []) for hop in value.split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            return address
        address = hop
        if not is_trusted(hop):
            return address
    return address


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
