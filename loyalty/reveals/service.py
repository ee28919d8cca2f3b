"""Personal values in the clear: one at a time, to a named person, for a stated purpose, on the record."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from loyalty import db
from loyalty.access import MemberPrincipal, Principal, SystemPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Forbidden, ensure
from loyalty.members import service as members
from loyalty.members.service import MemberGone

Field = Literal["name", "phone", "birthday"]


class MinorProtected(Forbidden):
    """Staff see a minor's data only with an approval (未成年人网络保护条例 art. 36)."""

    code = "reveal.minor_protected"


@dataclass(frozen=True, slots=True)
class OwnProfile:
    """What a member told us about themselves, for their own eyes."""

    name: str | None
    phone: str | None
    birthday: date | None


async def reveal(
    member_id: int, field: Field, *, actor: Principal, purpose: str, now: datetime, approval_id: str | None = None
) -> str | None:
    """One value in the clear; None when the member never gave it. Writes who saw what and why.

    May `actor` see it at all is `access.authorize`'s question, asked before at the edge.

    Raises:
        MemberGone: unknown or erased, or a member asks for another member.
        MinorProtected: the member is a minor and no approval is given.
    """
    ensure(bool(purpose.strip()), "nobody looks without a purpose")
    if isinstance(actor, MemberPrincipal) and actor.member_id != member_id:
        raise MemberGone
    row = await _row(member_id)
    is_staff = not isinstance(actor, MemberPrincipal | SystemPrincipal)
    if row["is_minor"] and is_staff and approval_id is None:
        raise MinorProtected
    value = _opened(member_id, field, row)
    details = {"field": field, "found": value is not None, "approval": approval_id}
    deed = audit.Deed(principal=actor, action="member.reveal", member_id=member_id, reason=purpose, details=details)
    await audit.record(deed, now=now)
    return value


async def own_profile(member_id: int) -> OwnProfile:
    """The member's own values, for the member.

    Raises:
        MemberGone: unknown or erased.
    """
    row = await _row(member_id)
    birthday = _opened(member_id, "birthday", row)
    return OwnProfile(
        name=_opened(member_id, "name", row),
        phone=_opened(member_id, "phone", row),
        birthday=date.fromisoformat(birthday) if birthday else None,
    )


async def _row(member_id: int) -> db.Row:
    row = await db.fetch_one(
        "SELECT m.name_sealed, m.phone_sealed, m.birthday_sealed, m.is_minor, k.wrapped_key"
        " FROM member m JOIN member_key k ON k.member_id = m.id WHERE m.id = $1 AND m.status <> 'merged'",
        member_id,
    )
    if row is None or row["wrapped_key"] is None:
        raise MemberGone
    return row


def _opened(member_id: int, field: Field, row: db.Row) -> str | None:
    envelope = row[f"{field}_sealed"]
    if envelope is None:
        return None
    return members.unsealed(member_id, field, envelope, members.unwrapped(member_id, row["wrapped_key"]))
