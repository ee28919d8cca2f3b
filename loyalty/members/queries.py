"""Reading members."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db, vault
from loyalty.members import rules, service
from loyalty.members.service import MemberGone
from loyalty.phones import rules as phones

_COLUMNS: Final = """
SELECT m.id, m.public_id, m.number, m.status, m.locale, m.name_masked, m.phone_masked, m.is_minor, m.profiling,
       m.birthday_month_day, m.joined_at, m.registered_at, m.store_id, t.tier,
       coalesce((SELECT available FROM ledger_balance b WHERE b.member_id = m.id AND b.asset = 'points'), 0)
           - coalesce((SELECT sum(remaining) FROM ledger_lot l WHERE l.member_id = m.id AND l.asset = 'points'
                       AND l.remaining > 0 AND l.state = 'active' AND l.expires_at <= $2), 0)::bigint AS points,
       coalesce((SELECT available FROM ledger_balance b WHERE b.member_id = m.id AND b.asset = 'growth'), 0) AS growth
FROM member m LEFT JOIN tier_interval t ON t.member_id = m.id AND t.ladder = 'main' AND t.ends_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class MemberCard:
    """What the member and the clerk in front of them see; name and phone are masked, `tier` is None until the
    first review. `points` are the usable ones at the asked moment."""

    id: int
    public_id: uuid.UUID
    number: str
    status: str
    locale: str
    name_masked: str | None
    phone_masked: str | None
    is_minor: bool
    profiling: bool
    has_birthday: bool
    tier: str | None
    points: int
    growth: int
    joined_at: datetime
    registered_at: datetime | None
    store_id: int | None


_WHOEVER_IS: Final = """
WHERE m.status <> 'merged' AND m.id IN (
    WITH RECURSIVE whole AS (
        SELECT id FROM member WHERE public_id = $1
        UNION
        SELECT merge.target_id FROM whole JOIN member_merge merge ON merge.source_id = whole.id
        WHERE merge.undone_at IS NULL
    )
    SELECT id FROM whole
)
"""


_WHO_THEY_ARE: Final = """
WITH RECURSIVE whole AS (
    SELECT public_id, id FROM member WHERE public_id = ANY($1)
    UNION
    SELECT whole.public_id, merge.target_id FROM whole JOIN member_merge merge ON merge.source_id = whole.id
    WHERE merge.undone_at IS NULL
)
SELECT whole.public_id, member.id FROM whole JOIN member ON member.id = whole.id
WHERE member.status NOT IN ('merged', 'closed')
"""


async def card(member_id: int, *, at: datetime) -> MemberCard:
    """The card of a member, in one statement.

    Raises:
        MemberGone: unknown, closed or merged.
    """
    return _card(await db.fetch_one(_COLUMNS + "WHERE m.id = $1", member_id, at))


async def cards(member_ids: Sequence[int], *, at: datetime) -> list[MemberCard | MemberGone]:
    """The card of each member, in order, in one statement; `MemberGone` for who is unknown, closed or merged."""
    rows = {row["id"]: row for row in await db.fetch(_COLUMNS + "WHERE m.id = ANY($1)", list(member_ids), at)}
    found: list[MemberCard | MemberGone] = []
    for member_id in member_ids:
        row = rows.get(member_id)
        found.append(MemberGone() if _is_gone(row) else _card(row))
    return found


async def card_by_number(number: str, *, at: datetime) -> MemberCard:
    """The card of the member with this 10-digit number.

    Raises:
        MemberGone: nobody has it.
    """
    if not rules.is_number(number):
        raise MemberGone
    return _card(await db.fetch_one(_COLUMNS + "WHERE m.number = $1", number, at))


async def card_by_phone(typed: str, *, at: datetime) -> MemberCard:
    """The card of the member who proved this phone number, however it is spelled.

    Raises:
        PhoneInvalid: not a number of any numbering plan.
        MemberGone: nobody proved it.
    """
    index = service.phone_index(phones.e164(typed))
    return _card(await db.fetch_one(_COLUMNS + "WHERE m.phone_index = $1", index, at))


async def card_by_public_id(public_id: uuid.UUID, *, at: datetime) -> MemberCard:
    """The card of the member known outside by `public_id`, or of the one they were merged into: a till that heard an
    id before a merge still means the same person.

    Raises:
        MemberGone: nobody is.
    """
    return _card(await db.fetch_one(_COLUMNS + _WHOEVER_IS, public_id, at))


async def ids_of(public_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, int]:
    """Who is known outside by each of `public_ids` today, merges followed; without those who are gone."""
    rows = await db.fetch(_WHO_THEY_ARE, list(public_ids))
    return {row["public_id"]: row["id"] for row in rows}


async def data_opens() -> bool:
    """Whether the root secret of this process opens what the database holds; True while it holds nobody."""
    row = await db.fetch_one(
        "SELECT member_id, wrapped_key FROM member_key WHERE wrapped_key IS NOT NULL ORDER BY member_id LIMIT 1"
    )
    if row is None:
        return True
    try:
        service.unwrapped(row["member_id"], row["wrapped_key"])
    except vault.SealBroken:
        return False
    return True


def _is_gone(row: db.Row | None) -> bool:
    return row is None or row["status"] in {"closed", "merged"}


def _card(row: db.Row | None) -> MemberCard:
    if row is None or _is_gone(row):
        raise MemberGone
    values = {key: row[key] for key in MemberCard.__slots__ if key != "has_birthday"}
    return MemberCard(**values, has_birthday=row["birthday_month_day"] is not None)
