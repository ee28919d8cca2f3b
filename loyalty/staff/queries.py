"""Who works here, where, and which systems may call."""

from collections.abc import Sequence
from dataclasses import dataclass

from loyalty import db, vault
from loyalty.access import PartnerPrincipal, Role, StaffPrincipal

ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class StoreView:
    """A shop of the brand."""

    id: int
    code: str
    name: str
    city: str


@dataclass(frozen=True, slots=True)
class StaffView:
    """A member of staff as colleagues see them."""

    id: int
    user_id: str
    name: str
    role: Role
    store_id: int | None
    store_name: str | None
    is_active: bool


async def recognise(corp_id: str, user_id: str) -> StaffPrincipal | None:
    """The active member of staff with this WeCom account; None for everybody else, phone or name count for nothing."""
    row = await db.fetch_one(
        "SELECT id, role, store_id, member_id FROM staff WHERE corp_id = $1 AND user_id = $2 AND status = 'active'",
        corp_id,
        user_id,
    )
    return None if row is None else _principal(row)


async def principal(staff_id: int) -> StaffPrincipal | None:
    """The principal of an active member of staff, for a session that is open."""
    row = await db.fetch_one(
        "SELECT id, role, store_id, member_id FROM staff WHERE id = $1 AND status = 'active'", staff_id
    )
    return None if row is None else _principal(row)


async def partner_by_key(key: str) -> PartnerPrincipal | None:
    """The active partner system that holds this API key."""
    (partner,) = await partners_by_key([key])
    return partner


async def partners_by_key(keys: Sequence[str]) -> list[PartnerPrincipal | None]:
    """The active partner system that holds each of the API keys, in one statement."""
    hashes = [vault.token_hash(key) for key in keys]
    rows = await db.fetch(
        "SELECT id, store_id, key_hash FROM partner WHERE key_hash = ANY($1) AND status = 'active'", hashes
    )
    known = {row["key_hash"]: PartnerPrincipal(partner_id=row["id"], store_id=row["store_id"]) for row in rows}
    return [known.get(each) for each in hashes]


async def card(staff_id: int) -> StaffView | None:
    """One member of staff, active or not."""
    rows = await _cards("WHERE staff.id = $1", staff_id)
    return rows[0] if rows else None


async def contact(staff_id: int) -> tuple[str, str] | None:
    """Corp and WeCom user id of an active member of staff, to write to; None once they left."""
    row = await db.fetch_one("SELECT corp_id, user_id FROM staff WHERE id = $1 AND status = 'active'", staff_id)
    return None if row is None else (row["corp_id"], row["user_id"])


async def colleagues(store_id: int) -> list[StaffView]:
    """The active staff of one store."""
    return await _cards("WHERE staff.store_id = $1 AND staff.status = 'active'", store_id)


async def deciders(store_id: int | None, *, but: int) -> list[StaffView]:
    """Who may decide an approval of `store_id` asked for by staff `but`: its other managers, and finance."""
    return await _cards(
        "WHERE staff.status = 'active' AND staff.id <> $2"
        " AND (staff.role = 'finance' OR (staff.role = 'manager' AND staff.store_id = $1))",
        store_id,
        but,
    )


async def _cards(where: str, *args: object) -> list[StaffView]:
    rows = await db.fetch(
        "SELECT staff.id, staff.user_id, staff.name, staff.role, staff.store_id, store.name AS store_name,"
        f" staff.status FROM staff LEFT JOIN store ON store.id = staff.store_id {where} ORDER BY staff.id",
        *args,
    )
    return [
        StaffView(
            id=row["id"],
            user_id=row["user_id"],
            name=row["name"],
            role=Role(row["role"]),
            store_id=row["store_id"],
            store_name=row["store_name"],
            is_active=row["status"] == ACTIVE,
        )
        for row in rows
    ]


async def stores() -> list[StoreView]:
    """The open stores."""
    return await _stores("status = 'active'")


async def store(store_id: int) -> StoreView | None:
    """One store, open or closed."""
    found = await _stores("id = $1", store_id)
    return found[0] if found else None


async def store_by_code(code: str) -> StoreView | None:
    """The open store with the code that tills and the command line use."""
    found = await _stores("code = $1 AND status = 'active'", code)
    return found[0] if found else None


async def _stores(where: str, *args: object) -> list[StoreView]:
    rows = await db.fetch(f"SELECT id, code, name, city FROM store WHERE {where} ORDER BY id", *args)
    return [StoreView(row["id"], row["code"], row["name"], row["city"]) for row in rows]


def _principal(row: db.Row) -> StaffPrincipal:
    return StaffPrincipal(
        staff_id=row["id"], role=Role(row["role"]), store_id=row["store_id"], member_id=row["member_id"]
    )
