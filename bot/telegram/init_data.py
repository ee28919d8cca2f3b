"""Proof that a Mini App page or a login button was opened by a Telegram person.

Three signatures exist and differ in their key: Mini App initData is signed with an HMAC whose key derives from the
bot token; the same initData carries an Ed25519 signature by Telegram that needs no token; the Login Widget uses an
HMAC keyed by the token's SHA-256. Source: the Bot API's "Validating data received via the Mini App", 2026-11.
"""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bot.strict_json import storable

PRODUCTION_KEY: Final = bytes.fromhex("e7bf03a2fa4602af4580703d88dda5bb59f32ed8b02a56c187fe7d34caed242d")
TEST_KEY: Final = bytes.fromhex("40055058a4ee38156a06562e52eece92a771bcd8346a8c4615cb7376eddf72ec")

MAX_AGE_DEFAULT: Final = timedelta(hours=24)
FUTURE_SKEW: Final = timedelta(minutes=1)
MAX_LENGTH: Final = 8192
MAX_FIELDS: Final = 64

_TIMESTAMP_DIGITS: Final = 11
_ID_DIGITS: Final = 16  # 52 bits


class InitDataReason(StrEnum):
    """Why a proof was refused."""

    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    FORGED = "forged"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    NO_USER = "no_user"


class InitDataRefused(Exception):
    """The proof does not hold: treat the caller as not logged in (HTTP 401)."""

    def __init__(self, reason: InitDataReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TelegramPerson:
    """Who opened the page. `id` is the identity; every other field is what they call themselves today."""

    id: int
    first_name: str = ""
    last_name: str = ""
    username: str | None = None
    language_code: str | None = None
    allows_write_to_pm: bool = False


@dataclass(frozen=True, slots=True)
class InitData:
    """A verified proof. `start_param` was chosen by whoever made the link: a hint, never an authorisation."""

    person: TelegramPerson
    auth_date: datetime
    start_param: str | None
    fields: Mapping[str, str]


def verify_init_data(raw: str, *, bot_token: str, now: datetime, max_age: timedelta = MAX_AGE_DEFAULT) -> InitData:
    """The person in Mini App `raw` initData, proven with our own bot token.

    Raises:
        InitDataRefused: malformed, not signed by this bot, older than `max_age`, from the future, or without a user.
    """
    fields = parse_fields(raw)
    if not bot_token or not hash_holds(fields, secret_key(bot_token)):
        raise InitDataRefused(InitDataReason.FORGED if "hash" in fields else InitDataReason.UNSIGNED)
    return _accepted(fields, now=now, max_age=max_age)


def verify_init_data_signature(
    raw: str,
    *,
    bot_id: int,
    now: datetime,
    max_age: timedelta = MAX_AGE_DEFAULT,
    public_key: bytes = PRODUCTION_KEY,
) -> InitData:
    """The person in `raw` initData of bot `bot_id`, proven by Telegram's Ed25519 signature, without the bot's token.

    Raises:
        InitDataRefused: as `verify_init_data`.
    """
    fields = parse_fields(raw)
    if "signature" not in fields:
        raise InitDataRefused(InitDataReason.UNSIGNED)
    signed = f"{bot_id}:WebAppData\n{_check_string(fields, without=('hash', 'signature'))}"
    try:
        signature = urlsafe_b64decode(fields["signature"] + "=" * (-len(fields["signature"]) % 4))
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed.encode())
    except (ValueError, InvalidSignature) as error:
        raise InitDataRefused(InitDataReason.FORGED) from error
    return _accepted(fields, now=now, max_age=max_age)


def verify_login_widget(
    data: Mapping[str, str], *, bot_token: str, now: datetime, max_age: timedelta = MAX_AGE_DEFAULT
) -> TelegramPerson:
    """The person whom a Login Widget redirect vouches for; `data` are its query parameters.

    Raises:
        InitDataRefused: as `verify_init_data`.
    """
    if not bot_token or not hash_holds(data, hashlib.sha256(bot_token.encode()).digest()):
        raise InitDataRefused(InitDataReason.FORGED if "hash" in data else InitDataReason.UNSIGNED)
    _refuse_stale(_auth_date(data), now=now, max_age=max_age)
    identity = data.get("id", "")
    if not _is_plain_number(identity, _ID_DIGITS):
        raise InitDataRefused(InitDataReason.NO_USER)
    return TelegramPerson(
        id=int(identity),
        first_name=data.get("first_name", ""),
        last_name=data.get("last_name", ""),
        username=data.get("username") or None,
    )


def parse_fields(raw: str) -> dict[str, str]:
    """The fields of initData, each exactly once, blank values kept.

    Raises:
        InitDataRefused: `MALFORMED` – not a query string in UTF-8, a field twice, too long or too many fields.
    """
    if not raw or len(raw) > MAX_LENGTH:
        raise InitDataRefused(InitDataReason.MALFORMED)
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise InitDataRefused(InitDataReason.MALFORMED) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InitDataRefused(InitDataReason.MALFORMED)
    return fields


def secret_key(bot_token: str) -> bytes:
    """The key that signs initData of the bot with `bot_token`."""
    return hmac.digest(b"WebAppData", bot_token.encode(), "sha256")


def hash_holds(fields: Mapping[str, str], key: bytes) -> bool:
    """Whether `hash` among `fields` is their HMAC under `key`, compared in constant time."""
    expected = hmac.new(key, _check_string(fields, without=("hash",)).encode("utf-8", "surrogatepass"), "sha256")
    claimed = fields.get("hash", "").encode("utf-8", "surrogatepass")
    return hmac.compare_digest(expected.hexdigest().encode(), claimed)


def _check_string(fields: Mapping[str, str], *, without: tuple[str, ...]) -> str:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields) if name not in without)


def _accepted(fields: dict[str, str], *, now: datetime, max_age: timedelta) -> InitData:
    auth_date = _auth_date(fields)
    _refuse_stale(auth_date, now=now, max_age=max_age)
    return InitData(
        person=_person(fields.get("user", "")),
        auth_date=auth_date,
        start_param=fields.get("start_param") or None,
        fields=fields,
    )


def _auth_date(fields: Mapping[str, str]) -> datetime:
    seconds = fields.get("auth_date", "")
    if not _is_plain_number(seconds):
        raise InitDataRefused(InitDataReason.MALFORMED)
    return datetime.fromtimestamp(int(seconds), tz=UTC)


def _is_plain_number(digits: str, longest: int = _TIMESTAMP_DIGITS) -> bool:
    return digits.isascii() and digits.isdigit() and len(digits) <= longest


def _refuse_stale(auth_date: datetime, *, now: datetime, max_age: timedelta) -> None:
    if auth_date > now + FUTURE_SKEW:
        raise InitDataRefused(InitDataReason.NOT_YET_VALID)
    if now - auth_date > max_age:
        raise InitDataRefused(InitDataReason.EXPIRED)


def _person(user_json: str) -> TelegramPerson:
    try:
        user = json.loads(user_json)
    except (ValueError, RecursionError) as error:
        raise InitDataRefused(InitDataReason.NO_USER) from error
    identity = user.get("id") if isinstance(user, dict) else None
    if not isinstance(identity, int) or isinstance(identity, bool) or identity <= 0:
        raise InitDataRefused(InitDataReason.NO_USER)
    return TelegramPerson(
        id=identity,
        first_name=_text(user.get("first_name")),
        last_name=_text(user.get("last_name")),
        username=_text(user.get("username")) or None,
        language_code=_text(user.get("language_code")) or None,
        allows_write_to_pm=user.get("allows_write_to_pm") is True,
    )


def _text(value: object) -> str:
    return storable(value) if isinstance(value, str) else ""
