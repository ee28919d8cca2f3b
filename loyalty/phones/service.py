"""Codes by SMS: issued to be sent, stored hashed, good once."""

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import orjson

from loyalty import db, vault
from loyalty.errors import Conflict, TooMany
from loyalty.outbox import service as outbox
from loyalty.phones import rules

LIFETIME: Final = timedelta(minutes=5)
PAUSE: Final = timedelta(seconds=60)
DAY: Final = timedelta(hours=24)
SENDS_PER_DAY: Final = 5
TRIES_MAX: Final = 5
NOTICE: Final = "phone_code"
_DIGITS: Final = 6

_RECENT: Final = """
SELECT max(created_at) AS last,
       count(*) FILTER (WHERE phone_index = $1) AS to_phone, count(*) FILTER (WHERE member_id = $2) AS by_member,
       min(created_at) AS first
FROM phone_code WHERE (phone_index = $1 OR member_id = $2) AND created_at > $3
"""
# One statement counts the try and spends a right code, so that tries at the same moment cannot share one.
_TRY: Final = """
UPDATE phone_code SET
    attempts = attempts + 1,
    used_at = CASE WHEN code_hash = $3 THEN $4 END
WHERE id = (
        SELECT id FROM phone_code WHERE member_id = $1 AND phone_index = $2 ORDER BY id DESC LIMIT 1
    )
  AND used_at IS NULL AND expires_at > $4 AND attempts < $5
RETURNING used_at IS NOT NULL AS proven
"""


class CodesTooOften(TooMany):
    """Too many codes for one number or by one member: one a minute, five in 24 hours."""

    code = "phone.codes_too_often"


class WrongPhoneCode(Conflict):
    """The code is wrong, used or over; which one is not told. Returned, not raised: the try must be committed."""

    code = "phone.wrong_code"


@dataclass(frozen=True, slots=True)
class IssuedCode:
    """What to send and where: both leave through the SMS channel and are kept nowhere in the clear."""

    number: str
    code: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodeOnItsWay:
    """A code that was queued: where to, masked, and until when it counts."""

    masked: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ProvenPhone:
    """The member received the code: the number is theirs."""

    number: str


async def issue_code(member_id: int, typed: str, *, now: datetime) -> IssuedCode:
    """A fresh code for the number, whether or not anybody here has it: the answer and its time are the same.

    Raises:
        PhoneInvalid: no such number can exist.
        CodesTooOften: with `retry_after_s`.
    """
    number = rules.e164(typed)
    index = vault.blind_index("phone", number)
    await _lock_sending(member_id, index)
    await _refuse_too_often(member_id, index, now=now)
    code = f"{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
    await db.execute(
        "INSERT INTO phone_code (member_id, phone_index, code_hash, attempts, created_at, expires_at)"
        " VALUES ($1, $2, $3, 0, $4, $5)",
        member_id,
        index,
        _hash(member_id, index, code),
        now,
        now + LIFETIME,
    )
    return IssuedCode(number, code, now + LIFETIME)


async def send_code(member_id: int, typed: str, *, now: datetime) -> CodeOnItsWay:
    """`issue_code`, and queue the notice `phone_code` that carries it; number and code are sealed on the way.

    Raises:
        PhoneInvalid, CodesTooOften.
    """
    issued = await issue_code(member_id, typed, now=now)
    plain = orjson.dumps({"number": issued.number, "code": issued.code, "expires_at": issued.expires_at.isoformat()})
    notice = outbox.Notice(
        # One code a minute at most, so the second names it.
        key=f"{NOTICE}:{member_id}:{int(now.timestamp())}",
        notice=NOTICE,
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=member_id,
        params={"sealed": base64.b64encode(vault.seal(plain, context=_context(member_id))).decode()},
        due_at=now,
        give_up_at=issued.expires_at,
    )
    await outbox.queue(notice, now=now)
    return CodeOnItsWay(rules.masked(issued.number), issued.expires_at)


def code_to_send(member_id: int, params: Mapping[str, Any]) -> IssuedCode:
    """The code that a queued notice `phone_code` carries, for the SMS provider.

    Raises:
        SealBroken: not sealed by `send_code` for this member.
    """
    plain = orjson.loads(vault.unseal(base64.b64decode(params["sealed"]), context=_context(member_id)))
    return IssuedCode(plain["number"], plain["code"], datetime.fromisoformat(plain["expires_at"]))


def _context(member_id: int) -> str:
    return f"outbox.phone_code:{member_id}"


async def prove(member_id: int, typed: str, code: str, *, now: datetime) -> ProvenPhone | WrongPhoneCode:
    """Whether the member received the newest code sent to this number; five tries, one success.

    Raises:
        PhoneInvalid: no such number can exist.
    """
    number = rules.e164(typed)
    index = vault.blind_index("phone", number)
    row = await db.fetch_one(_TRY, member_id, index, _hash(member_id, index, _plain(code)), now, TRIES_MAX)
    return ProvenPhone(number) if row is not None and row["proven"] else WrongPhoneCode()


async def _lock_sending(member_id: int, index: str) -> None:
    # Counting and inserting must not interleave: rows that do not exist yet cannot be locked.
    keys = sorted({_lock_key(f"phone_code:{index}"), _lock_key(f"phone_code:member:{member_id}")})
    for key in keys:
        await db.execute("SELECT pg_advisory_xact_lock($1)", key)


def _lock_key(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big", signed=True)


async def _refuse_too_often(member_id: int, index: str, *, now: datetime) -> None:
    row = await db.fetch_one(_RECENT, index, member_id, now - DAY)
    if row is None or row["last"] is None:
        return
    if now - row["last"] < PAUSE:
        raise CodesTooOften(retry_after_s=_seconds(row["last"] + PAUSE - now))
    if max(row["to_phone"], row["by_member"]) >= SENDS_PER_DAY:
        raise CodesTooOften(retry_after_s=_seconds(row["first"] + DAY - now))


def _seconds(left: timedelta) -> int:
    return max(1, int(left.total_seconds()))


def _plain(code: str) -> str:
    """Full-width digits and spaces as people paste them."""
    return "".join(str(int(char)) for char in code if char.isdecimal())


def _hash(member_id: int, index: str, code: str) -> str:
    # Keyed: a million candidates would fall in no time to a plain hash.
    return hmac.digest(vault.keys().codes, f"phone_code:{member_id}:{index}:{code}".encode(), "sha256").hex()


async def forget_old(*, now: datetime, batch_max: int) -> int:
    """Drop codes older than a day, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM phone_code WHERE id IN (SELECT id FROM phone_code WHERE created_at <= $1 ORDER BY id LIMIT $2)",
        now - DAY,
        batch_max,
    )
