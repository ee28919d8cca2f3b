"""Structured logs: one JSON object per line in production, readable lines in a terminal; nothing personal.

What could be personal or secret is masked by pattern as a last guard; the first guard is that no code logs
bodies, names, phones or tokens.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

import structlog

# In a query, a form, JSON, or as Python prints a mapping.
_SECRETS: Final = re.compile(
    r"""(?i)\b(access_token|[a-z_]*secret|[a-z_]*token|authorization|js_code|code|session_key|password|api_key)"""
    r"""(["']?\s*[=:]\s*["']?)(?:bearer\s+)?[^&\s"',;}]+"""
)
_PASSWORD_IN_URL: Final = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]+@")
_PHONE: Final = re.compile(r"(?<!\d)(?:\+?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)")
_FOREIGN_PHONE: Final = re.compile(r"\+\d{8,15}(?!\d)")
_OPENID: Final = re.compile(r"(?<![A-Za-z0-9_-])(?:o[A-Za-z0-9_-]{27}|w[mo][A-Za-z0-9_-]{30})(?![A-Za-z0-9_-])")
_BOT_TOKEN: Final = re.compile(r"(?<!\d)\d{8,10}:[A-Za-z0-9_-]{30,}")
_BEARER: Final = re.compile(r"(?i)\bbearer\s+\S+")
MASK: Final = "***"
# Values under these keys are somebody's, whatever they look like. "event" is the line itself.
_PERSONAL_KEYS: Final = re.compile(
    r"(?i)^(phone|mobile|openid|open_id|unionid|union_id|external_id|external_userid|user_name|first_name|last_name|"
    r"full_name|nickname|birthday|address|text|content|body|headers|authorization|password|.*token|.*secret|api_key)$"
)
_DEEPEST: Final = 6


def masked(text: str) -> str:
    """`text` without phone numbers, platform ids, tokens and secrets."""
    text = _PASSWORD_IN_URL.sub(rf"\1:{MASK}@", text)
    text = _BEARER.sub(MASK, text)
    text = _SECRETS.sub(rf"\1\2{MASK}", text)
    text = _BOT_TOKEN.sub(MASK, text)
    text = _PHONE.sub(MASK, text)
    text = _FOREIGN_PHONE.sub(MASK, text)
    return _OPENID.sub(MASK, text)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key in _STRUCTLOGS_OWN else _masked_value(key, value, 0) for key, value in event.items()}


_STRUCTLOGS_OWN: Final = frozenset({"_record", "_from_structlog", "timestamp", "level"})


def _masked_value(key: object, value: Any, depth: int) -> Any:
    """`value` as it may be written: containers by their parts, numbers as they are, everything else as masked text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(key, str) and _PERSONAL_KEYS.match(key):
        return MASK
    if isinstance(value, int):
        return value if masked(str(value)) == str(value) else MASK
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {masked(str(name)): _masked_value(name, part, depth + 1) for name, part in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(None, part, depth + 1) for part in value]
    return masked(str(value))


def configure(*, level: str, as_json: bool) -> None:
    """Set up structlog and the standard library's logging to one stream, masked."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        # What the level silences is dropped before any work is spent on it.
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for noisy in ("aiohttp.access", "httpx", "asyncio", "tortoise", "tortoise.db_client", "arq.worker"):
        logging.getLogger(noisy).setLevel("WARNING")
