"""Publishing coupon templates."""

from datetime import datetime

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal
from loyalty.audit import service as audit
from loyalty.coupon_templates.queries import COLUMNS, TemplateView, view_of
from loyalty.coupon_templates.rules import NewTemplate
from loyalty.errors import Conflict, NotFound


class TemplateUnknown(NotFound):
    """No such coupon template, or not one that members may claim."""

    code = "coupon_templates.unknown"


class TemplateCodeTaken(Conflict):
    """Another template has this code."""

    code = "coupon_templates.code_taken"


class StockBelowIssued(Conflict):
    """More coupons exist than the new stock; `issued` says how many."""

    code = "coupon_templates.stock_below_issued"


async def create_template(new: NewTemplate, *, principal: Principal, now: datetime) -> TemplateView:
    """Publish a template.

    Raises:
        Forbidden, TemplateCodeTaken
    """
    access.authorize_alone(principal, Action.CAMPAIGN_EDIT)
    row = await db.fetch_one(
        "INSERT INTO coupon_template (code, name, kind, value, min_spend_fen, stock, issued, per_member_limit,"
        " claimable, claim_from, claim_until, valid_days, valid_until, tiers, store_ids, status, created_at)"
        " VALUES ($1, $2::jsonb, $3, $4::jsonb, $5, $6, 0, $7, $8, $9, $10, $11, $12, $13::jsonb, $14::jsonb,"
        f" 'active', $15) ON CONFLICT (code) DO NOTHING RETURNING {COLUMNS}",
        new.code,
        orjson.dumps(new.name).decode(),
        new.worth.kind,
        new.worth.model_dump_json(exclude={"kind"}),
        new.min_spend_fen,
        new.stock,
        new.per_member_limit,
        new.claimable,
        new.claim_from,
        new.claim_until,
        new.valid_days,
        new.valid_until,
        orjson.dumps(new.tiers).decode(),
        orjson.dumps(new.store_ids).decode(),
        now,
    )
    if row is None:
        raise TemplateCodeTaken(template=new.code)
    await _record(principal, "coupon_template.create", row["id"], now)
    return view_of(row)


async def set_stock(template_id: int, stock: int | None, *, principal: Principal, now: datetime) -> TemplateView:
    """Change how many coupons may exist in all; None lifts the limit.

    Raises:
        Forbidden, TemplateUnknown, StockBelowIssued
    """
    access.authorize_alone(principal, Action.CAMPAIGN_EDIT)
    row = await db.fetch_one(
        "UPDATE coupon_template SET stock = $2 WHERE id = $1 AND ($2::bigint IS NULL OR issued <= $2)"
        f" RETURNING {COLUMNS}",
        template_id,
        stock,
    )
    if row is None:
        issued = await db.fetch_value("SELECT issued FROM coupon_template WHERE id = $1", template_id)
        raise TemplateUnknown if issued is None else StockBelowIssued(issued=issued)
    await _record(principal, "coupon_template.stock", template_id, now, stock=stock)
    return view_of(row)


async def set_active(template_id: int, *, active: bool, principal: Principal, now: datetime) -> TemplateView:
    """Stop or resume the issuing of a template's coupons; those that members hold stay good.

    Raises:
        Forbidden, TemplateUnknown
    """
    access.authorize_alone(principal, Action.CAMPAIGN_EDIT)
    row = await db.fetch_one(
        f"UPDATE coupon_template SET status = $2 WHERE id = $1 RETURNING {COLUMNS}",
        template_id,
        "active" if active else "paused",
    )
    if row is None:
        raise TemplateUnknown
    await _record(principal, "coupon_template.resume" if active else "coupon_template.pause", template_id, now)
    return view_of(row)


async def _record(principal: Principal, action: str, template_id: int, now: datetime, **details: int | None) -> None:
    deed = audit.Deed(principal=principal, action=action, details={"template_id": template_id, **details})
    await audit.record(deed, now=now)
