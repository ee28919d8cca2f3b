"""The rotating code on a member's screen: shown by the member, consumed once at a till."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db, vault
from loyalty.attempts import service as attempts
from loyalty.errors import Conflict, ensure
from loyalty.member_codes import rules
from loyalty.members.service import MemberGone

# Looked up even for a number nobody has, so that the two cost the same.
_CONSUME: Final = """
INSERT INTO member_code_use (member_id, step, used_at, used_by)
VALUES ($1, $2, $3, $4)
ON CONFLICT (member_id, step) DO NOTHING
RETURNING id
"""


class WrongMemberCode(Conflict):
    """The code is wrong, over or used; which one is not told. Returned, not raised: the miss must be committed."""

    code = "member_code.wrong"


@dataclass(frozen=True, slots=True)
class ShownCode:
    """The code to show right now: `code` for the QR, `expires_in_s` until the next one."""

    code: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class MemberPresent:
    """The member's phone is here: they opened the code within the last half minute."""

    member_id: int


async def current(member_id: int, *, now: datetime) -> ShownCode:
    """The member's code of this half minute.

    Raises:
        MemberGone: closed, merged or unknown.
    """
    number = await db.fetch_value(
        "SELECT number FROM member WHERE id = $1 AND status NOT IN ('closed', 'merged')", member_id
    )
    if number is None:
        raise MemberGone
    return ShownCode(number + rules.password(_secret(number), rules.step_of(now)), rules.seconds_left(now))


async def consume(typed: str, *, used_by: str, now: datetime) -> MemberPresent | WrongMemberCode:
    """Who shows this code; each code of each half minute works once, whoever asks first.

    `used_by` names the asking person (`staff:7`, `partner:2`); five misses in ten minutes lock them out.

    Raises:
        TooManyMisses: locked out, even with a right code.
    """
    ensure(":" in used_by, "an actor is kind and id")
    await attempts.refuse_if_locked(_actor(used_by), now=now)
    member_id = await _consumed(typed, used_by, now=now)
    if member_id is None:
        await attempts.count_miss(_actor(used_by), now=now)
        return WrongMemberCode()
    return MemberPresent(member_id)


async def _consumed(typed: str, used_by: str, *, now: datetime) -> int | None:
    shown = rules.taken_apart(typed)
    if shown is None:
        return None
    step = rules.matching_step(shown, _secret(shown.number), now)
    if step is None:
        return None
    member_id = await db.fetch_value(
        "SELECT id FROM member WHERE number = $1 AND status NOT IN ('closed', 'merged')", shown.number
    )
    if member_id is None or await db.fetch_value(_CONSUME, member_id, step, now, used_by) is None:
        return None
    return int(member_id)


def _actor(used_by: str) -> str:
    return f"member_code:{used_by}"


def _secret(number: str) -> bytes:
    # Derived, not stored: there is nothing to steal from the database and nothing to provision.
    return hmac.digest(vault.keys().codes, f"member_code:{number}".encode(), "sha256")


async def forget_used(*, now: datetime, batch_max: int) -> int:
    """Drop uses whose step can never be accepted again, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM member_code_use WHERE id IN (SELECT id FROM member_code_use WHERE step < $1 LIMIT $2)",
        rules.step_of(now) - 1,
        batch_max,
    )
