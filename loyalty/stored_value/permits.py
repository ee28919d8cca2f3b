"""The member's yes to a larger payment: by a PIN, or by the code on their screen. Guessing is stopped early."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, PartnerPrincipal, Resource, StaffPrincipal
from loyalty.attempts import service as attempts
from loyalty.errors import Conflict, Invalid
from loyalty.member_codes import service as member_codes
from loyalty.member_codes.service import WrongMemberCode

PERMIT_FOR: Final = timedelta(minutes=15)
_PIN: Final = re.compile(r"[0-9]{6}", re.ASCII)
_SALT_BYTES: Final = 16
_KEEP: Final = """
INSERT INTO stored_permit (member_id, key, amount_fen, how, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (key) DO UPDATE SET member_id = excluded.member_id, amount_fen = excluded.amount_fen, how = excluded.how,
    expires_at = excluded.expires_at
"""


class PinWeak(Invalid):
    """Six digits, not all the same and not in a row."""

    code = "stored_value.pin_weak"


class PinWrong(Invalid):
    """Not the member's PIN."""

    code = "stored_value.pin_wrong"


class PinMissing(Conflict):
    """The member has set no PIN yet; the code on their screen works without one."""

    code = "stored_value.pin_missing"


@dataclass(frozen=True, slots=True)
class Permit:
    """The member agreed to pay up to `amount_fen` for one purchase, until `expires_at`."""

    amount_fen: int
    expires_at: datetime


async def set_pin(member_id: int, pin: str, *, old: str | None, now: datetime) -> PinWrong | None:
    """Set or change the PIN; a wrong old one is returned and not raised, because the miss must be committed.

    Raises:
        PinWeak, TooManyMisses
    """
    if not _PIN.fullmatch(pin) or len(set(pin)) == 1 or pin in "0123456789" or pin in "9876543210":
        raise PinWeak
    known = await _known(member_id)
    if known is not None and not await _is_right(member_id, known, old or "", now):
        return PinWrong()
    salt = secrets.token_bytes(_SALT_BYTES)
    await db.execute(
        "INSERT INTO stored_account (member_id, pin) VALUES ($1, $2)"
        " ON CONFLICT (member_id) DO UPDATE SET pin = excluded.pin",
        member_id,
        salt + _hash(pin, salt),
    )
    return None


async def permit_by_pin(
    member_id: int, key: str, amount_fen: int, pin: str, *, server: StaffPrincipal | PartnerPrincipal, now: datetime
) -> Permit | PinWrong:
    """The member typed their PIN at a till. A wrong one is returned, because the miss must be committed.

    Raises:
        PinMissing, TooManyMisses, Forbidden, OwnMembership
    """
    _authorize(member_id, server)
    known = await _known(member_id)
    if known is None:
        raise PinMissing
    if not await _is_right(member_id, known, pin, now):
        return PinWrong()
    return await _keep(member_id, key, amount_fen, "pin", now)


async def permit_by_code(
    member_id: int, key: str, amount_fen: int, code: str, *, server: StaffPrincipal | PartnerPrincipal, now: datetime
) -> Permit | WrongMemberCode:
    """The till scanned the code on the member's screen; it is used up.

    Raises:
        TooManyMisses, Forbidden, OwnMembership
    """
    _authorize(member_id, server)
    actor = f"staff:{server.staff_id}" if isinstance(server, StaffPrincipal) else f"partner:{server.partner_id}"
    present = await member_codes.consume(code, used_by=actor, now=now)
    if isinstance(present, WrongMemberCode):
        return present
    if present.member_id != member_id:
        return WrongMemberCode()
    return await _keep(member_id, key, amount_fen, "code", now)


def _authorize(member_id: int, server: StaffPrincipal | PartnerPrincipal) -> None:
    access.authorize(server, Action.PURCHASE_RECORD, Resource(store_id=server.store_id, member_id=member_id))


async def _known(member_id: int) -> bytes | None:
    pin: bytes | None = await db.fetch_value("SELECT pin FROM stored_account WHERE member_id = $1", member_id)
    return pin


async def _is_right(member_id: int, known: bytes, pin: str, now: datetime) -> bool:
    actor = f"stored_pin:{member_id}"
    await attempts.refuse_if_locked(actor, now=now)
    if hmac.compare_digest(known[_SALT_BYTES:], _hash(pin, known[:_SALT_BYTES])):
        return True
    await attempts.count_miss(actor, now=now)
    return False


def _hash(pin: str, salt: bytes) -> bytes:
    return hashlib.scrypt(pin.encode(), salt=salt, n=2**12, r=8, p=1)


async def _keep(member_id: int, key: str, amount_fen: int, how: str, now: datetime) -> Permit:
    expires_at = now + PERMIT_FOR
    await db.execute(_KEEP, member_id, key, amount_fen, how, expires_at)
    return Permit(amount_fen, expires_at)
