"""Settings: environment `XIAOHUI_*` over a TOML file over defaults, read once at start.

Secrets have no default: in production a missing one is a refusal to start that names it; in development
the front door writes random ones into the data folder (`xiaohui/first_run.py`).
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Environment = Literal["development", "production"]

DEFAULTS: Final[Mapping[str, str]] = {
    "XIAOHUI_CONFIG": "xiaohui.toml",
    "XIAOHUI_HOME": ".xiaohui",
    "HOST": "127.0.0.1",
    "PORT": "8080",
}


class ConfigError(Exception):
    """The configuration cannot be used; the message names the setting and what to write."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a deployment decides."""

    environment: Environment
    home: Path
    host: str
    port: int
    database_url: str | None
    redis_url: str | None
    secret: bytes | None
    public_url: str
    sandbox: bool
    pool_size: int
    channel_sections: Mapping[str, Any] = field(default_factory=dict)
    sms: Mapping[str, Any] | None = None
    trusted_proxies: tuple[str, ...] = ()
    log_level: str = "info"
    config_path: Path | None = None
    failpoints: str = ""

    @property
    def is_production(self) -> bool:
        """True when every guard must be on and every secret set."""
        return self.environment == "production"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises:
        ConfigError: a file cannot be read, a value has the wrong form, or production lacks a secret.
    """
    env = {**DEFAULTS, **(environ if environ is not None else os.environ)}
    path, document = _document(env)
    settings = _settings(env, document, path)
    _refuse_unsafe(settings)
    return settings


def _document(env: Mapping[str, str]) -> tuple[Path | None, Mapping[str, Any]]:
    path = Path(env["XIAOHUI_CONFIG"])
    if not path.exists():
        if env["XIAOHUI_CONFIG"] != DEFAULTS["XIAOHUI_CONFIG"]:
            raise ConfigError(f"XIAOHUI_CONFIG: the file {path} does not exist")
        return None, {}
    try:
        return path, tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as broken:
        raise ConfigError(f"XIAOHUI_CONFIG: {path} is not readable TOML: {broken}") from broken


def _settings(env: Mapping[str, str], document: Mapping[str, Any], path: Path | None) -> Settings:
    def value(name: str, key: str) -> str | None:
        chosen = env.get(name, document.get(key))
        return None if chosen is None or chosen == "" else str(chosen)

    environment = value("XIAOHUI_ENVIRONMENT", "environment") or "development"
    if environment not in {"development", "production"}:
        raise ConfigError('environment: write "development" or "production"')
    port = _integer("PORT", env.get("PORT", "8080"), low=0, high=65535)
    host = value("HOST", "host") or DEFAULTS["HOST"]
    secret = value("XIAOHUI_SECRET", "secret")
    if secret is not None and len(secret.encode()) < 32:  # noqa: PLR2004 - 256 bits
        raise ConfigError("XIAOHUI_SECRET: needs at least 32 characters; create one with `openssl rand -hex 32`")
    sandbox = value("XIAOHUI_SANDBOX", "sandbox")
    return Settings(
        environment="production" if environment == "production" else "development",
        home=Path(env["XIAOHUI_HOME"]),
        host=host,
        port=port,
        database_url=value("XIAOHUI_DATABASE_URL", "database_url"),
        redis_url=value("XIAOHUI_REDIS_URL", "redis_url"),
        secret=secret.encode() if secret else None,
        public_url=(value("XIAOHUI_PUBLIC_URL", "public_url") or f"http://{host}:{port}").rstrip("/"),
        sandbox=sandbox is not None and sandbox.lower() in {"1", "true", "yes", "on"},
        pool_size=_integer("XIAOHUI_POOL_SIZE", value("XIAOHUI_POOL_SIZE", "pool_size") or "10", low=1, high=200),
        channel_sections=_table(document, "channel"),
        sms=_table(document, "sms") or None,
        trusted_proxies=tuple(str(item) for item in document.get("trusted_proxies", ())),
        log_level=value("XIAOHUI_LOG_LEVEL", "log_level") or "info",
        config_path=path,
        failpoints=env.get("XIAOHUI_FAILPOINTS", ""),
    )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    section = document.get(key, {})
    if not isinstance(section, Mapping):
        raise ConfigError(f"{key}: expected a table, see docs/configuration.md")
    return section


def _integer(name: str, text: str, *, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError as broken:
        raise ConfigError(f"{name}: {text!r} is not a whole number") from broken
    if not low <= number <= high:
        raise ConfigError(f"{name}: {number} is not between {low} and {high}")
    return number


def _refuse_unsafe(settings: Settings) -> None:
    if not settings.is_production:
        return
    required = {
        "XIAOHUI_SECRET": settings.secret,
        "XIAOHUI_DATABASE_URL": settings.database_url,
        "XIAOHUI_REDIS_URL": settings.redis_url,
    }
    missing = [name for name, value in required.items() if not value]
    if missing:
        raise ConfigError(f"production needs {', '.join(missing)}: set them in the environment or in the TOML file")
    if settings.failpoints:
        raise ConfigError("XIAOHUI_FAILPOINTS: failpoints make processes die and are for tests only")
    if settings.sandbox:
        raise ConfigError("sandbox: the sandbox cannot be switched on in production")
