"""What the survivor of a merge takes over of the other's standing and personal values, and how it goes back."""

from collections.abc import Sequence
from typing import Final

from loyalty import db
from loyalty.errors import unreachable
from loyalty.members import service as members

VALUES: Final = ("name", "phone", "birthday")

_BOTH: Final = """
SELECT s.name_sealed AS source_name, s.phone_sealed AS source_phone, s.birthday_sealed AS source_birthday,
       t.name_sealed AS target_name, t.phone_sealed AS target_phone, t.birthday_sealed AS target_birthday,
       s.phone_index, s.status AS source_status, t.status AS target_status,
       sk.wrapped_key AS source_key, tk.wrapped_key AS target_key
FROM member s JOIN member_key sk ON sk.member_id = s.id, member t JOIN member_key tk ON tk.member_id = t.id
WHERE s.id = $1 AND t.id = $2
"""
_ADOPT: Final = """
UPDATE member t SET
    status = $7,
    registered_at = coalesce(t.registered_at, s.registered_at),
    name_sealed = coalesce($3, t.name_sealed),
    name_masked = CASE WHEN $3::bytea IS NULL THEN t.name_masked ELSE s.name_masked END,
    phone_sealed = coalesce($4, t.phone_sealed),
    phone_masked = CASE WHEN $4::bytea IS NULL THEN t.phone_masked ELSE s.phone_masked END,
    phone_verified_at = CASE WHEN $4::bytea IS NULL THEN t.phone_verified_at ELSE s.phone_verified_at END,
    phone_index = CASE WHEN $4::bytea IS NULL THEN t.phone_index ELSE $6 END,
    birthday_sealed = coalesce($5, t.birthday_sealed),
    birthday_month_day = CASE WHEN $5::bytea IS NULL THEN t.birthday_month_day ELSE s.birthday_month_day END,
    is_minor = t.is_minor OR s.is_minor,
    profiling = t.profiling AND s.profiling
FROM member s WHERE t.id = $2 AND s.id = $1
"""
_FORGET: Final = {
    "name": "UPDATE member SET name_sealed = NULL, name_masked = NULL WHERE id = $1",
    "phone": "UPDATE member SET phone_sealed = NULL, phone_index = NULL, phone_masked = NULL, phone_verified_at = NULL"
    " WHERE id = $1",
    "birthday": "UPDATE member SET birthday_sealed = NULL, birthday_month_day = NULL WHERE id = $1",
    "registration": "UPDATE member SET registered_at = NULL WHERE id = $1",
}
_RESTORE: Final = """
UPDATE member SET
    status = CASE WHEN $3 THEN 'restricted' WHEN registered_at IS NULL THEN 'guest' ELSE 'active' END,
    phone_index = CASE WHEN EXISTS (SELECT 1 FROM member WHERE phone_index = $2) THEN NULL ELSE $2 END
WHERE id = $1
"""
_STANDING_AGAIN: Final = """
UPDATE member SET status = CASE WHEN registered_at IS NULL THEN 'guest' ELSE 'active' END
WHERE id = $1 AND (status <> 'restricted' OR $2)
"""


async def adopt(source_id: int, target_id: int) -> list[str]:
    """Give the survivor of a merge what only the other one had; which things, for `give_back`.

    The source keeps its own sealed values for an undo, but no longer holds the number. A restriction of one is a
    restriction of the person.
    """
    row = await db.fetch_one(_BOTH, source_id, target_id)
    if row is None:
        unreachable("both members of a merge exist")
    adopted = [value for value in VALUES if row[f"source_{value}"] and not row[f"target_{value}"]]
    source_key = members.unwrapped(source_id, row["source_key"])
    target_key = members.unwrapped(target_id, row["target_key"])
    resealed = {
        value: members.sealed(
            target_id, value, members.unsealed(source_id, value, row[f"source_{value}"], source_key), target_key
        )
        for value in adopted
    }
    await db.execute("UPDATE member SET status = 'merged', phone_index = NULL WHERE id = $1", source_id)
    await db.execute(
        _ADOPT, source_id, target_id, *(resealed.get(value) for value in VALUES), row["phone_index"], _status(row)
    )
    return [*adopted, *_standing(row)]


def _status(row: db.Row) -> str:
    both = {row["source_status"], row["target_status"]}
    return next(status for status in ("restricted", "active", "guest") if status in both)


def _standing(row: db.Row) -> list[str]:
    gained = []
    if row["target_status"] == "guest" and row["source_status"] != "guest":
        gained.append("registration")
    if row["source_status"] == "restricted":
        gained.append("source_restricted")
        if row["target_status"] != "restricted":
            gained.append("restriction")
    return gained


async def give_back(source_id: int, target_id: int, adopted: Sequence[str]) -> None:
    """Undo `adopt`: the source stands on its own again and takes back what the survivor had from it."""
    for thing in adopted:
        if thing in _FORGET:
            await db.execute(_FORGET[thing], target_id)
    await db.execute(_STANDING_AGAIN, target_id, "restriction" in adopted)
    # A number that moved on meanwhile stays where it is.
    await db.execute(_RESTORE, source_id, await _own_index(source_id), "source_restricted" in adopted)


async def _own_index(member_id: int) -> str | None:
    sealed = await db.fetch_value("SELECT phone_sealed FROM member WHERE id = $1", member_id)
    if sealed is None:
        return None
    return members.phone_index(members.unsealed(member_id, "phone", sealed, await members.data_key(member_id)))
