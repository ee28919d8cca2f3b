"""Structured logs: one JSON object per line in production, readable lines in a terminal; nothing personal.

What could be personal or secret is masked by pattern as a last guard; the first guard is that no code logs
bodies, names, phones or tokens.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

_SECRETS: Final = re.compile(r"(?i)\b(access_token|secret|token|authorization|code|session_key)=[^&\s\"']+")
_PHONE: Final = re.compile(r"(?<!\d)(?:\+?86)?1[3-9]\d{9}(?!\d)")
_OPENID: Final = re.compile(r"\b(?:o[A-Za-z0-9_-]{27}|w[mo][A-Za-z0-9_-]{30})\b")
# In addresses the token follows "bot" without a boundary.
_BOT_TOKEN: Final = re.compile(r"(?<!\d)\d{8,10}:[A-Za-z0-9_-]{30,}")


def masked(text: str) -> str:
    """`text` without phone numbers, platform ids, tokens and secrets."""
    text = _SECRETS.sub(r"\1=***", text)
    text = _BOT_TOKEN.sub("***", text)
    text = _PHONE.sub("***", text)
    return _OPENID.sub("***", text)


def _mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: masked(value) if isinstance(value, str) else value for key, value in event.items()}


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
