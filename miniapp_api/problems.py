"""Problem documents (RFC 9457): every "no" has a stable code, words in the caller's language and a request id."""

from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from typing import Final
from uuid import UUID

import orjson

from loyalty.errors import Refusal
from templates.words import DEFAULT_ZONE, Locale, refusal_words

CONTENT_TYPE: Final = "application/problem+json"
RESERVED: Final = frozenset({"type", "title", "status", "code", "detail", "request_id"})


def problem(
    refusal: Refusal,
    *,
    locale: Locale,
    request_id: str,
    base_url: str,
    zone: tzinfo = DEFAULT_ZONE,
) -> dict[str, object]:
    """The problem document of `refusal`; its public parameters stand beside the standard members."""
    return _document(refusal.code, refusal.status, refusal.params, locale, request_id, base_url, zone)


def server_error(*, locale: Locale, request_id: str, base_url: str) -> dict[str, object]:
    """The problem document of a bug: it says nothing about the inside."""
    return _document("internal", 500, {}, locale, request_id, base_url, DEFAULT_ZONE)


def _document(
    code: str,
    status: int,
    params: Mapping[str, object],
    locale: Locale,
    request_id: str,
    base_url: str,
    zone: tzinfo,
) -> dict[str, object]:
    words = refusal_words(code, params, locale, zone=zone)
    return {
        "type": f"{base_url}/docs#problem-{code}",
        "title": words.title,
        "status": status,
        "code": code,
        "detail": words.detail,
        **{name: _public(value) for name, value in params.items() if name not in RESERVED},
        "request_id": request_id,
    }


def _public(value: object) -> object:
    if value is None or isinstance(value, str | int | float | bool | datetime | date | UUID):
        return value
    if isinstance(value, Mapping):
        return {str(key): _public(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_public(inner) for inner in value]
    return str(value)


def encode(document: object) -> bytes:
    """JSON bytes; times as RFC 3339 with offset, dataclasses as objects."""
    return orjson.dumps(document, default=_plain, option=orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    # The database driver has a UUID class of its own, and views hold read-only mappings.
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
