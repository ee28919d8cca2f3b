"""Bringing items before members: written with versions, put on and taken off, their codes uploaded."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from tortoise.exceptions import IntegrityError

from loyalty import access, db, vault
from loyalty.access import Action, Principal, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.coupon_templates import queries as templates
from loyalty.errors import Conflict, Invalid, NotFound, unreachable
from loyalty.mall.queries import ItemView, find
from loyalty.mall.rules import CouponGood, NewItem, VirtualCode
from loyalty.program import queries as program

CODE_LENGTH_MAX: Final = 200

_CREATE: Final = """
INSERT INTO mall_item (code, version, document, status, stock, updated_by, updated_at)
VALUES ($1, 1, $2, 'on', $3, $4, $5) ON CONFLICT (code) DO NOTHING RETURNING id, version
"""
# The stock of codes is their pool, which only an upload changes.
_UPDATE: Final = """
UPDATE mall_item SET version = version + 1, document = $3, updated_by = $5, updated_at = $6,
    stock = CASE WHEN $7 THEN stock ELSE $4 END
WHERE code = $1 AND version = $2 RETURNING id, version
"""
_VERSION: Final = """
INSERT INTO mall_item_version (item_id, version, document, written_by, at) VALUES ($1, $2, $3, $4, $5)
"""
_UPLOAD: Final = """
WITH added AS (
    INSERT INTO mall_code (item_id, hidden, sealed, uploaded_at)
    SELECT $1, hidden, sealed, $4 FROM unnest($2::text[], $3::bytea[]) AS given(hidden, sealed)
    ON CONFLICT (item_id, hidden) DO NOTHING RETURNING id
), counted AS (UPDATE mall_item SET stock = stock + (SELECT count(*) FROM added) WHERE id = $1)
SELECT count(*) FROM added
"""


class ItemUnknown(NotFound):
    """There is no such item, or it is not on offer."""

    code = "mall.item_unknown"


class ItemChanged(Conflict):
    """Somebody wrote the item meanwhile: it is at `version`."""

    code = "mall.item_changed"


class StockBelowOrders(Conflict):
    """More are promised already than the stock would be."""

    code = "mall.stock_below_orders"


class ItemInvalid(Invalid):
    """The item names something that does not exist or may not change: `field`."""

    code = "mall.item_invalid"


def sealed_as(item_id: int, hidden: str) -> str:
    """What a sealed code is bound to."""
    return f"mall_code.sealed:{item_id}:{hidden}"


async def write(item: NewItem, *, version: int, principal: Principal, now: datetime) -> ItemView:
    """Write an item, new with `version` 0, else over the version that was read.

    Raises:
        ItemChanged, ItemInvalid, StockBelowOrders, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    known = await find(item.code, at=now)
    await _check(item, known, now)
    document, name, pooled = item.model_dump_json(), _name(principal), isinstance(item.good, VirtualCode)
    if version == 0:
        row = await db.fetch_one(_CREATE, item.code, document, item.stock, name, now)
    else:
        row = await _update(item, version, document, name, now, pooled=pooled)
    if row is None:
        raise ItemChanged(version=0 if known is None else known.version)
    await db.execute(_VERSION, row["id"], row["version"], document, name, now)
    await _audit(principal, "mall.item_write", item.code, now, version=row["version"])
    return await _found(item.code, now)


async def switch(code: str, *, on: bool, principal: Principal, now: datetime) -> ItemView:
    """Put an item on or take it off (上架, 下架); orders that exist go on.

    Raises:
        ItemUnknown, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    status = "on" if on else "off"
    if not await db.execute("UPDATE mall_item SET status = $2, updated_at = $3 WHERE code = $1", code, status, now):
        raise ItemUnknown
    await _audit(principal, "mall.item_switch", code, now, status=status)
    return await _found(code, now)


async def upload(code: str, given: Sequence[str], *, principal: Principal, now: datetime) -> int:
    """Put codes into the pool of an item, sealed; how many were new.

    Raises:
        ItemUnknown, ItemInvalid, Forbidden
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    found = await find(code, at=now)
    if found is None:
        raise ItemUnknown
    plain = [one.strip() for one in given if one.strip()]
    if not isinstance(found.item.good, VirtualCode) or any(len(one) > CODE_LENGTH_MAX for one in plain):
        raise ItemInvalid(field="codes")
    hidden = [vault.blind_index(f"mall_code:{found.id}", one) for one in plain]
    sealed = [
        vault.seal(one.encode(), context=sealed_as(found.id, index)) for one, index in zip(plain, hidden, strict=True)
    ]
    # The item's row first, as everybody who takes a code does.
    await db.execute("SELECT 1 FROM mall_item WHERE id = $1 FOR UPDATE", found.id)
    added = int(await db.fetch_value(_UPLOAD, found.id, hidden, sealed, now))
    await _audit(principal, "mall.codes_upload", code, now, added=added)
    return added


async def _check(item: NewItem, known: ItemView | None, now: datetime) -> None:
    if known is not None and known.item.good.kind != item.good.kind:
        raise ItemInvalid(field="good")
    if isinstance(item.good, CouponGood) and await templates.by_code(item.good.template) is None:
        raise ItemInvalid(field="template")
    kinds = {kind.code for kind in (await program.in_force(now)).terms.points_kinds}
    if item.points_kind is not None and item.points_kind not in kinds:
        raise ItemInvalid(field="points_kind")


async def _update(
    item: NewItem, version: int, document: str, name: str, now: datetime, *, pooled: bool
) -> db.Row | None:
    try:
        return await db.fetch_one(_UPDATE, item.code, version, document, item.stock, name, now, pooled)
    except IntegrityError as broken:
        if db.constraint_of(broken) == "mall_not_oversold":
            raise StockBelowOrders from broken
        raise


async def _found(code: str, now: datetime) -> ItemView:
    found = await find(code, at=now)
    return unreachable("items are never removed") if found is None else found


def _name(principal: Principal) -> str:
    kind, number = audit.actor_of(principal)
    return f"{kind}:{number}"


async def _audit(principal: Principal, action: str, code: str, now: datetime, **details: object) -> None:
    if isinstance(principal, StaffPrincipal):
        await audit.record(audit.Deed(principal=principal, action=action, details={"item": code, **details}), now=now)
