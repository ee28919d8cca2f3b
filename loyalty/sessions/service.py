"""Logins: opaque 256-bit tokens, stored hashed, looked up in one statement, revocable at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from loyalty import db, vault
from loyalty.errors import Unauthenticated

Audience = Literal["member", "staff"]

MEMBER_IDLE: Final = timedelta(hours=24)
MEMBER_LIFETIME: Final = timedelta(days=30)
STAFF_LIFETIME: Final = timedelta(hours=12)
# A sliding session is written at most this often, so that reading stays reading.
SLIDE_AFTER: Final = timedelta(hours=1)

_OPEN: Final = """
INSERT INTO session (token_hash, audience, member_id, staff_id, identity_id, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_PRINCIPALS: Final = """
SELECT s.token_hash, s.audience, s.member_id, s.identity_id, s.created_at, s.expires_at, m.status AS member_status,
       m.locale, s.staff_id, w.role, w.store_id, w.status AS staff_status
FROM session s
LEFT JOIN member m ON m.id = s.member_id
LEFT JOIN staff w ON w.id = s.staff_id
WHERE s.token_hash = ANY($1) AND s.revoked_at IS NULL AND s.expires_at > $2
"""
_SLIDE: Final = """
UPDATE session SET expires_at = least($2::timestamptz + $3::interval, created_at + $4::interval)
FROM (SELECT token_hash FROM session WHERE token_hash = ANY($1) ORDER BY token_hash FOR UPDATE SKIP LOCKED) AS idle
WHERE session.token_hash = idle.token_hash AND revoked_at IS NULL AND expires_at > $2
"""


class SessionEnded(Unauthenticated):
    """The token is unknown, too old or revoked, or its owner may not log in any more; logging in again helps."""

    code = "session.ended"


@dataclass(frozen=True, slots=True)
class MemberSession:
    """A member is logged in. `identity_id` is the channel they came through."""

    member_id: int
    member_status: str
    locale: str
    identity_id: int | None


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A member of staff is logged in, with the role and store they have right now."""

    staff_id: int
    role: str
    store_id: int | None


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """The token to hand out, once; only its hash is kept."""

    token: str
    expires_at: datetime


async def open_for_member(member_id: int, *, identity_id: int | None, now: datetime) -> OpenedSession:
    """Log a member in: 24 hours from the last use, 30 days at most."""
    return await _open("member", member_id, None, identity_id, now=now, expires_at=now + MEMBER_IDLE)


async def open_for_staff(staff_id: int, *, now: datetime) -> OpenedSession:
    """Log a member of staff in for 12 hours."""
    return await _open("staff", None, staff_id, None, now=now, expires_at=now + STAFF_LIFETIME)


async def _open(
    audience: Audience,
    member_id: int | None,
    staff_id: int | None,
    identity_id: int | None,
    *,
    now: datetime,
    expires_at: datetime,
) -> OpenedSession:
    token = vault.new_token()
    await db.execute(_OPEN, vault.token_hash(token), audience, member_id, staff_id, identity_id, now, expires_at)
    return OpenedSession(token, expires_at)


LoggedIn = MemberSession | StaffSession


async def principals(tokens: Sequence[str], *, now: datetime) -> list[LoggedIn | SessionEnded]:
    """Who presents each token, in order, in one statement; a member's session slides forward.

    An unknown, expired or revoked token, or one whose account is closed, merged or disabled, is `SessionEnded`.
    """
    hashes = [vault.token_hash(token) for token in tokens]
    found = {row["token_hash"]: row for row in await db.fetch(_PRINCIPALS, hashes, now)}
    idle = [token_hash for token_hash, row in found.items() if _slides(row, now)]
    if idle:
        await db.execute(_SLIDE, idle, now, MEMBER_IDLE, MEMBER_LIFETIME)
    return [_logged_in(found.get(token_hash)) for token_hash in hashes]


async def principal(token: str, *, now: datetime) -> LoggedIn:
    """`principals` of one.

    Raises:
        SessionEnded: see there.
    """
    session = (await principals([token], now=now))[0]
    if isinstance(session, SessionEnded):
        raise session
    return session


def _slides(row: db.Row, now: datetime) -> bool:
    end = min(now + MEMBER_IDLE, row["created_at"] + MEMBER_LIFETIME)
    return row["audience"] == "member" and bool(row["expires_at"] + SLIDE_AFTER <= end)


def _logged_in(row: db.Row | None) -> LoggedIn | SessionEnded:
    if row is None:
        return SessionEnded()
    if row["audience"] == "staff":
        if row["staff_status"] != "active":
            return SessionEnded()
        return StaffSession(row["staff_id"], row["role"], row["store_id"])
    if row["member_status"] in {None, "closed", "merged"}:
        return SessionEnded()
    return MemberSession(row["member_id"], row["member_status"], row["locale"], row["identity_id"])


async def revoke(token: str, *, now: datetime) -> None:
    """Log this token out; again changes nothing."""
    await db.execute(
        "UPDATE session SET revoked_at = $2 WHERE token_hash = $1 AND revoked_at IS NULL", vault.token_hash(token), now
    )


async def revoke_all_of_member(member_id: int, *, now: datetime) -> int:
    """Log a member out everywhere; how many sessions ended."""
    return await db.execute(
        "UPDATE session SET revoked_at = $2 WHERE member_id = $1 AND revoked_at IS NULL", member_id, now
    )


async def revoke_all_of_staff(staff_id: int, *, now: datetime) -> int:
    """Log a member of staff out everywhere; how many sessions ended."""
    return await db.execute(
        "UPDATE session SET revoked_at = $2 WHERE staff_id = $1 AND revoked_at IS NULL", staff_id, now
    )


async def forget_ended(*, now: datetime, batch_max: int) -> int:
    """Drop sessions that are over, at most `batch_max`; how many went."""
    return await db.execute(
        "DELETE FROM session WHERE token_hash IN (SELECT token_hash FROM session WHERE expires_at <= $1 LIMIT $2)",
        now,
        batch_max,
    )
