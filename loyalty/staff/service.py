"""Stores, staff and partner systems: added by administrators, removed when the corp's address book says so."""

from dataclasses import dataclass
from datetime import datetime

from loyalty import access, db, vault
from loyalty.access import Action, PartnerPrincipal, Principal, Role
from loyalty.audit import service as audit
from loyalty.errors import Conflict, NotFound
from loyalty.sessions import service as sessions
from loyalty.staff.queries import StaffView, StoreView, card


class StoreCodeTaken(Conflict):
    """Another store has this code."""

    code = "staff.store_code_taken"


class StaffKnown(Conflict):
    """The WeCom account is staff already."""

    code = "staff.known"


class StaffUnknown(NotFound):
    """No such member of staff."""

    code = "staff.unknown"


class StoreUnknown(NotFound):
    """No such store."""

    code = "staff.store_unknown"


@dataclass(frozen=True, slots=True)
class NewPartner:
    """A partner system and its API key, which is shown once and stored only as a hash."""

    principal: PartnerPrincipal
    name: str
    key: str


async def add_store(*, code: str, name: str, city: str, principal: Principal, now: datetime) -> StoreView:
    """Open a store.

    Raises:
        Forbidden, StoreCodeTaken
    """
    access.authorize_alone(principal, Action.STAFF_EDIT)
    row = await db.fetch_one(
        "INSERT INTO store (code, name, city, status) VALUES ($1, $2, $3, 'active')"
        " ON CONFLICT (code) DO NOTHING RETURNING id",
        code,
        name,
        city,
    )
    if row is None:
        raise StoreCodeTaken(store_code=code)
    deed = audit.Deed(principal=principal, action="store.add", store_id=row["id"], details={"code": code})
    await audit.record(deed, now=now)
    return StoreView(row["id"], code, name, city)


async def add_staff(
    *,
    corp_id: str,
    user_id: str,
    name: str,
    role: Role,
    store_id: int | None,
    member_id: int | None = None,
    principal: Principal,
    now: datetime,
) -> StaffView:
    """Make a WeCom account staff; one that left comes back with the role and store given now.

    `member_id` is the person's own membership, which they may not serve themselves.

    Raises:
        Forbidden, StoreUnknown, StaffKnown
    """
    access.authorize_alone(principal, Action.STAFF_EDIT)
    await _check_store(store_id)
    row = await db.fetch_one(
        "INSERT INTO staff AS s (corp_id, user_id, name, role, store_id, member_id, status)"
        " VALUES ($1, $2, $3, $4, $5, $6, 'active')"
        " ON CONFLICT (corp_id, user_id) DO UPDATE SET name = excluded.name, role = excluded.role,"
        " store_id = excluded.store_id, member_id = excluded.member_id, status = 'active'"
        " WHERE s.status <> 'active' RETURNING id",
        corp_id,
        user_id,
        name,
        role.value,
        store_id,
        member_id,
    )
    if row is None:
        raise StaffKnown(user_id=user_id)
    await _record(principal, "staff.add", row["id"], store_id, now, role=role.value)
    return await _view(row["id"])


async def change_staff(
    staff_id: int, *, role: Role, store_id: int | None, member_id: int | None, principal: Principal, now: datetime
) -> StaffView:
    """Give an active member of staff another role, store or own membership, in force from the next request on.

    Raises:
        Forbidden, StoreUnknown, StaffUnknown
    """
    access.authorize_alone(principal, Action.STAFF_EDIT)
    await _check_store(store_id)
    changed = await db.execute(
        "UPDATE staff SET role = $2, store_id = $3, member_id = $4 WHERE id = $1 AND status = 'active'",
        staff_id,
        role.value,
        store_id,
        member_id,
    )
    if not changed:
        raise StaffUnknown
    await _record(principal, "staff.change", staff_id, store_id, now, role=role.value)
    return await _view(staff_id)


async def remove_staff(corp_id: str, user_id: str, *, principal: Principal, now: datetime) -> bool:
    """End somebody's employment: their rights and their sessions end with this transaction.

    False when the account was no active staff, as the address book also reports people unknown to us.

    Raises:
        Forbidden
    """
    access.authorize_alone(principal, Action.STAFF_EDIT)
    row = await db.fetch_one(
        "UPDATE staff SET status = 'left' WHERE corp_id = $1 AND user_id = $2 AND status = 'active'"
        " RETURNING id, store_id",
        corp_id,
        user_id,
    )
    if row is None:
        return False
    await sessions.revoke_all_of_staff(row["id"], now=now)
    await _record(principal, "staff.remove", row["id"], row["store_id"], now)
    return True


async def add_partner(*, name: str, store_id: int | None, principal: Principal, now: datetime) -> NewPartner:
    """Register a partner system and make its API key; without a store it speaks for the whole brand.

    Raises:
        Forbidden, StoreUnknown
    """
    access.authorize_alone(principal, Action.STAFF_EDIT)
    await _check_store(store_id)
    key = vault.new_token()
    partner_id: int = await db.fetch_value(
        "INSERT INTO partner (name, key_hash, store_id, status) VALUES ($1, $2, $3, 'active') RETURNING id",
        name,
        vault.token_hash(key),
        store_id,
    )
    deed = audit.Deed(principal=principal, action="partner.add", store_id=store_id, details={"partner_id": partner_id})
    await audit.record(deed, now=now)
    return NewPartner(PartnerPrincipal(partner_id, store_id), name, key)


async def _check_store(store_id: int | None) -> None:
    if store_id is not None and not await db.fetch("SELECT 1 FROM store WHERE id = $1", store_id):
        raise StoreUnknown


async def _view(staff_id: int) -> StaffView:
    view = await card(staff_id)
    if view is None:
        raise StaffUnknown
    return view


async def _record(
    principal: Principal, action: str, staff_id: int, store_id: int | None, now: datetime, **details: str
) -> None:
    deed = audit.Deed(principal=principal, action=action, store_id=store_id, details={"staff_id": staff_id, **details})
    await audit.record(deed, now=now)
