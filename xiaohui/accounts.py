"""The `[[channel.…]]` tables of the TOML file as typed accounts, with plain words for every mistake."""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from bot.accounts import (
    ChannelAccounts,
    NoticeTemplate,
    SmsAccount,
    TelegramAccount,
    WechatAccount,
    WechatPayAccount,
    WecomAccount,
)
from bot.send_policies import POLICIES, SHARED_FACTS
from bot.wechat_pay import codec as wechat_pay
from loyalty.config import WORDS_FOR, ConfigError, Settings

Account = WechatAccount | WecomAccount | TelegramAccount | WechatPayAccount
Kind = TypeVar("Kind", bound=WechatAccount | WecomAccount | TelegramAccount | WechatPayAccount | SmsAccount)

SECTIONS: Final[Mapping[str, type[Account]]] = {
    "wechat_oa": WechatAccount,
    "wechat_mini": WechatAccount,
    "wecom": WecomAccount,
    "telegram": TelegramAccount,
    "wechat_pay": WechatPayAccount,
}
ACCOUNT_NAME: Final = re.compile(r"^[A-Za-z0-9_-]{1,40}$")
WEBHOOK_SECRET: Final = re.compile(r"^[A-Za-z0-9_-]{1,256}$")
# What no account works or is safe without.
SECRETS: Final[Mapping[type[Account], tuple[str, ...]]] = {
    WechatAccount: ("app_id", "app_secret", "token"),
    WecomAccount: ("corp_id", "app_secret", "token"),
    TelegramAccount: ("bot_token", "webhook_secret"),
    WechatPayAccount: ("app_id", "mch_id", "merchant_serial", "merchant_key", "api_v3_key", "platform_key"),
}
WHY_NEEDED: Final = {"webhook_secret": "; without it anybody could speak as Telegram"}
AES_KEY_CHARACTERS: Final = 43
AES_BYTES: Final = (16, 24, 32)  # AES takes all three, the platform gives the last
TEMPLATE_TABLES: Final = frozenset({"templates", "subscriptions"})


def read(settings: Settings) -> ChannelAccounts:
    """Every configured account.

    Raises:
        ConfigError: a section is unknown, a setting is missing, unknown or of the wrong form, two accounts
            share a name, or production would run with a check switched off.
    """
    unknown = sorted(set(settings.channel_sections) - set(SECTIONS))
    if unknown:
        raise ConfigError(f"channel.{unknown[0]}: unknown; the channels are {', '.join(SECTIONS)}")
    read_sections: dict[str, Any] = {
        name: tuple(_accounts(name, kind, settings))
        for name, kind in SECTIONS.items()
        if name in settings.channel_sections
    }
    return ChannelAccounts(**read_sections, sms=_sms(settings))


def _sms(settings: Settings) -> SmsAccount | None:
    if not settings.sms:
        return None
    account = _account("sms", SmsAccount, settings.sms)
    _check_address("sms.api_base", account.api_base, settings)
    if not account.api_key:
        raise ConfigError("sms.api_key: missing")
    return account


def _accounts(name: str, kind: type[Account], settings: Settings) -> list[Account]:
    tables = settings.channel_sections[name]
    if not isinstance(tables, list):
        raise ConfigError(f"channel.{name}: write [[channel.{name}]] with two brackets, once per account")
    accounts: list[Account] = []
    for number, table in enumerate(tables, start=1):
        if not isinstance(table, Mapping):
            raise ConfigError(f"channel.{name}: write [[channel.{name}]] with two brackets, once per account")
        account = _account(f"channel.{name}[{number}]", kind, {"account": "main", **table})
        _check(f"channel.{name}[{number}]", account, settings)
        if any(account.account == other.account for other in accounts):
            raise ConfigError(f"channel.{name}: two accounts are called {account.account!r}")
        accounts.append(account)
    return accounts


def _account(where: str, kind: type[Kind], table: Mapping[str, Any]) -> Kind:
    known: Mapping[str, Field[Any]] = {field.name: field for field in fields(kind)}
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}.{key}: unknown setting; known are {', '.join(known)}")
    values: dict[str, Any] = {}
    for key, field in known.items():
        if key in table:
            values[key] = _typed(f"{where}.{key}", table[key], field)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"{where}.{key}: missing")
    return kind(**values)


def _typed(where: str, value: Any, field: Field[Any]) -> Any:
    if field.name in TEMPLATE_TABLES:
        return _templates(where, value, receipts_only=field.name == "templates")
    wanted = field.type if isinstance(field.type, type) else str
    if wanted is int and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    if type(value) is not wanted:
        raise ConfigError(f"{where}: write {WORDS_FOR[wanted]}, found {type(value).__name__}")
    return value


def _templates(where: str, value: Any, *, receipts_only: bool) -> Mapping[str, NoticeTemplate]:
    """`[channel.wechat_oa.templates.tier_raised]`: a platform's template id with our facts for its fields."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected tables, one per notice, see docs/configuration.md")
    templates: dict[str, NoticeTemplate] = {}
    for notice, table in value.items():
        if notice not in POLICIES:
            raise ConfigError(f"{where}.{notice}: unknown notice; known are {', '.join(POLICIES)}")
        if receipts_only and not POLICIES[notice].by_template:
            raise ConfigError(f"{where}.{notice}: template messages carry receipts only; write it under subscriptions")
        templates[notice] = _template(f"{where}.{notice}", table, POLICIES[notice].facts | SHARED_FACTS)
    return templates


def _template(at: str, table: Any, facts: Collection[str]) -> NoticeTemplate:
    if not isinstance(table, Mapping) or not isinstance(table.get("id"), str):
        raise ConfigError(f"{at}.id: the platform's template id")
    unknown = sorted(set(table) - {"id", "fields", "page"})
    if unknown:
        raise ConfigError(f"{at}.{unknown[0]}: unknown setting; known are id, fields, page")
    filled = table.get("fields", {})
    if not isinstance(filled, Mapping) or not all(isinstance(fact, str) for fact in filled.values()):
        raise ConfigError(f'{at}.fields: a table such as {{ thing1 = "brand", date2 = "today" }}')
    for name, fact in filled.items():
        if fact not in facts:
            raise ConfigError(f"{at}.fields.{name}: no fact {fact!r}; known are {', '.join(sorted(facts))}")
    return NoticeTemplate(table["id"], dict(filled), str(table.get("page", "")))


def _check(where: str, account: Account, settings: Settings) -> None:
    if not ACCOUNT_NAME.match(account.account):
        raise ConfigError(f"{where}.account: 1 to 40 letters, digits, _ or -; it is part of the callback address")
    _check_address(f"{where}.api_base", account.api_base, settings)
    for name in SECRETS[type(account)]:
        if not getattr(account, name):
            raise ConfigError(f"{where}.{name}: missing{WHY_NEEDED.get(name, '')}")
    if isinstance(account, TelegramAccount):
        if not WEBHOOK_SECRET.match(account.webhook_secret):
            raise ConfigError(f"{where}.webhook_secret: 1 to 256 letters, digits, _ or -; Telegram takes nothing else")
        return
    if isinstance(account, WechatPayAccount):
        _check_pay_keys(where, account, settings)
    else:
        _check_aes_key(f"{where}.encoding_aes_key", account.encoding_aes_key)
    if account.callback_window_s < 0:
        raise ConfigError(f"{where}.callback_window_s: 0 (off) or a number of seconds")
    if settings.is_production:
        _check_production(where, account)


def _check_address(where: str, address: str, settings: Settings) -> None:
    url = urlsplit(address)
    if url.scheme not in {"http", "https"} or not url.netloc:
        raise ConfigError(f"{where}: an http(s) address")
    if settings.is_production and url.scheme != "https":
        raise ConfigError(f"{where}: production needs https")


def _check_aes_key(where: str, key: str) -> None:
    try:
        decoded = base64.b64decode(key + "=", validate=False)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(key) != AES_KEY_CHARACTERS or len(decoded) != 32:  # noqa: PLR2004 - AES-256
        raise ConfigError(f"{where}: 43 letters and digits, as the platform's console shows it")


def _check_pay_keys(where: str, account: WechatPayAccount, settings: Settings) -> None:
    if len(account.api_v3_key.encode()) not in (AES_BYTES[-1:] if settings.is_production else AES_BYTES):
        raise ConfigError(f"{where}.api_v3_key: 32 letters and digits, as set in the merchant's console")
    try:
        wechat_pay.merchant_key(account.merchant_key)
    except (ValueError, TypeError):
        raise ConfigError(f"{where}.merchant_key: the merchant's RSA private key in PEM") from None
    try:
        wechat_pay.platform_key(account.platform_key, account.platform_key_id)
    except ValueError:
        raise ConfigError(
            f"{where}.platform_key: the platform's certificate in PEM, or its public key with platform_key_id"
        ) from None


def _check_production(where: str, account: WechatAccount | WecomAccount | WechatPayAccount) -> None:
    if account.callback_window_s == 0:
        raise ConfigError(f"{where}.callback_window_s: 0 switches replay protection off, which production refuses")
    if isinstance(account, WechatAccount) and account.plain_mode:
        raise ConfigError(f"{where}.plain_mode: production takes encrypted callbacks only")
