"""Settings: environment `XIAOHUI_*` over a TOML file over defaults, read once at start.

Secrets have no default: in production a missing one is a refusal to start that names it; in development
the front door writes random ones into the data folder (`xiaohui/first_run.py`).
"""

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

Environment = Literal["development", "production"]

DEFAULTS: Final[Mapping[str, str]] = {
    "XIAOHUI_CONFIG": "xiaohui.toml",
    "XIAOHUI_HOME": ".xiaohui",
    "PORT": "8080",
}
SECTIONS: Final = ("channel", "sms")
LIST: Final = "trusted_proxies"
# Settings of the file and what is written for each.
KEYS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "environment": str,
    "host": str,
    "database_url": str,
    "redis_url": str,
    "secret": str,
    "public_url": str,
    "sandbox": (bool, str),
    "pool_size": (int, str),
    "drain_s": (int, str),
    "log_level": str,
}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
DATABASE_SCHEMES: Final = ("postgres", "postgresql")
REDIS_SCHEMES: Final = ("redis", "rediss", "unix")
WORDS_FOR: Final[Mapping[type, str]] = {str: "text in quotes", int: "a whole number", bool: "true or false"}
YES: Final = frozenset({"1", "true", "yes", "on"})
NO: Final = frozenset({"0", "false", "no", "off"})
VARIABLES: Final = frozenset(
    {
        "XIAOHUI_CONFIG",
        "XIAOHUI_HOME",
        "XIAOHUI_FAILPOINTS",
        *(f"XIAOHUI_{key.upper()}" for key in KEYS if key != "host"),
    }
)
# Read by others: the tests, CI and compose.yaml.
OTHERS_VARIABLES: Final = ("XIAOHUI_TEST_", "XIAOHUI_CI", "XIAOHUI_DATABASE_PASSWORD", "XIAOHUI_REDIS_PASSWORD")
DRAIN_S_DEFAULT: Final = "5"
SECRET_BYTES: Final = 32


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
    drain_s: int = 0
    unknown_variables: tuple[str, ...] = ()

    @property
    def is_production(self) -> bool:
        """True when every guard must be on and every secret set."""
        return self.environment == "production"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises:
        ConfigError: a file cannot be read, a value has the wrong form, or production lacks a secret.
    """
    given = environ if environ is not None else os.environ
    # An empty variable is one that was not set: compose files and unit files write them.
    env = {**DEFAULTS, **{name: value for name, value in given.items() if value}}
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
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as broken:
        raise ConfigError(f"XIAOHUI_CONFIG: {path} is not readable TOML: {broken}") from broken
    _check_keys(document)
    return path, document


def _check_keys(document: Mapping[str, Any]) -> None:
    for key, value in document.items():
        if key in SECTIONS:
            if not isinstance(value, Mapping):
                raise ConfigError(f"{key}: expected a table, see docs/configuration.md")
        elif key == LIST:
            _check_proxies(value)
        elif key not in KEYS:
            raise ConfigError(f"{key}: unknown setting; known are {', '.join((*KEYS, LIST, *SECTIONS))}")
        else:
            _check_type(key, value, KEYS[key])


def _check_type(key: str, value: Any, wanted: type | tuple[type, ...]) -> None:
    kinds = wanted if isinstance(wanted, tuple) else (wanted,)
    if type(value) not in kinds:
        raise ConfigError(f"{key}: write {WORDS_FOR[kinds[0]]}, found {type(value).__name__}")


def _check_proxies(value: Any) -> None:
    example = f'{LIST}: write a list of addresses or networks such as ["10.0.0.0/8"]'
    if not isinstance(value, list) or not all(isinstance(address, str) for address in value):
        raise ConfigError(example)
    for address in value:
        try:
            ip_network(address, strict=False)
        except ValueError as broken:
            raise ConfigError(f"{example}, found {address!r}") from broken


def _settings(env: Mapping[str, str], document: Mapping[str, Any], path: Path | None) -> Settings:
    def value(name: str, key: str) -> str | None:
        chosen = env.get(name, document.get(key))
        return None if chosen is None or chosen == "" else str(chosen)

    def checked(name: str, key: str, check: Callable[[str, str], str]) -> str | None:
        chosen = value(name, key)
        return None if chosen is None else check(name, chosen)

    environment = value("XIAOHUI_ENVIRONMENT", "environment") or "development"
    if environment not in {"development", "production"}:
        raise ConfigError(f'environment: write "development" or "production", found {environment!r}')
    port = _integer("PORT", env["PORT"], low=0, high=65535)
    host = value("HOST", "host") or "127.0.0.1"
    secret = checked("XIAOHUI_SECRET", "secret", _long_enough)
    return Settings(
        environment="production" if environment == "production" else "development",
        home=Path(env["XIAOHUI_HOME"]),
        host=host,
        port=port,
        database_url=checked("XIAOHUI_DATABASE_URL", "database_url", _database_address),
        redis_url=checked("XIAOHUI_REDIS_URL", "redis_url", _redis_address),
        secret=secret.encode() if secret else None,
        public_url=checked("XIAOHUI_PUBLIC_URL", "public_url", _web_address) or f"http://{host}:{port}",
        sandbox=_yes_or_no("XIAOHUI_SANDBOX", value("XIAOHUI_SANDBOX", "sandbox") or "off"),
        pool_size=_integer("XIAOHUI_POOL_SIZE", value("XIAOHUI_POOL_SIZE", "pool_size") or "10", low=1, high=200),
        channel_sections=document.get("channel", {}),
        sms=document.get("sms") or None,
        trusted_proxies=tuple(document.get(LIST, ())),
        log_level=checked("XIAOHUI_LOG_LEVEL", "log_level", _level) or "info",
        config_path=path,
        failpoints=env.get("XIAOHUI_FAILPOINTS", ""),
        drain_s=_integer("XIAOHUI_DRAIN_S", value("XIAOHUI_DRAIN_S", "drain_s") or DRAIN_S_DEFAULT, low=0, high=300),
        unknown_variables=_unknown_variables(env),
    )


def _unknown_variables(env: Mapping[str, str]) -> tuple[str, ...]:
    ours = {name for name in env if name.startswith("XIAOHUI_") and not name.startswith(OTHERS_VARIABLES)}
    return tuple(sorted(ours - VARIABLES - {"XIAOHUI_VERSION"}))


def _integer(name: str, text: str, *, low: int, high: int) -> int:
    try:
        number = int(text)
    except ValueError as broken:
        raise ConfigError(f"{name}: {text!r} is not a whole number") from broken
    if not low <= number <= high:
        raise ConfigError(f"{name}: {number} is not between {low} and {high}")
    return number


def _yes_or_no(name: str, text: str) -> bool:
    if text.lower() not in YES | NO:
        raise ConfigError(f"{name}: write on or off, found {text!r}")
    return text.lower() in YES


def _level(name: str, text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ConfigError(f"{name}: write one of {', '.join(LOG_LEVELS)}, found {text!r}")
    return text.lower()


def _long_enough(name: str, text: str) -> str:
    if len(text.encode()) < SECRET_BYTES:
        raise ConfigError(f"{name}: needs at least {SECRET_BYTES} characters; create one with `openssl rand -hex 32`")
    return text


def _database_address(name: str, text: str) -> str:
    return _address(name, text, DATABASE_SCHEMES, "postgres://user:password@host:5432/name")


def _redis_address(name: str, text: str) -> str:
    return _address(name, text, REDIS_SCHEMES, "redis://host:6379/0")


def _web_address(name: str, text: str) -> str:
    return _address(name, text, ("http", "https"), "https://member.example.com").rstrip("/")


def _address(name: str, text: str, schemes: tuple[str, ...], example: str) -> str:
    """`text`, never part of the complaint about it: it may hold a password."""
    try:
        url = urlsplit(text)
        usable = url.scheme in schemes and (url.port is None or url.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(f"{name}: write an address such as {example}")
    return text


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
