"""A shop for tests: stores, staff, coupons and purchases, made by the product's own verbs."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from loyalty import db
from loyalty.access import Role, StaffPrincipal, SystemPrincipal
from loyalty.coupon_templates import service as templates
from loyalty.coupon_templates.queries import TemplateView
from loyalty.coupon_templates.rules import AmountOff, NewTemplate
from loyalty.ladders import service as ladders
from loyalty.ladders.rules import Ladder
from loyalty.purchases import service as purchases
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.service import NewPurchase
from loyalty.staff import queries as staff_read
from loyalty.staff import service as staff

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
ADMIN = SystemPrincipal("test")
CORP = "ww1"
_serial = count(1)


async def store(*, now: datetime = NOW) -> int:
    """The id of a new store."""
    number = next(_serial)
    async with db.unit_of_work():
        view = await staff.add_store(code=f"s{number}", name=f"{number}号店", city="上海", principal=ADMIN, now=now)
    return view.id


async def employee(
    role: Role, store_id: int | None = None, *, member_id: int | None = None, now: datetime = NOW
) -> StaffPrincipal:
    """A new member of staff."""
    async with db.unit_of_work():
        view = await staff.add_staff(
            corp_id=CORP,
            user_id=f"u{next(_serial)}",
            name="小王",
            role=role,
            store_id=store_id,
            member_id=member_id,
            principal=ADMIN,
            now=now,
        )
    principal = await staff_read.principal(view.id)
    assert principal is not None
    return principal


async def template(*, now: datetime = NOW, **values: Any) -> TemplateView:
    """A new coupon template: ¥10 off, 30 days, one per member, unless said otherwise."""
    given: dict[str, Any] = {
        "code": f"t{next(_serial)}",
        "name": {"zh-CN": "十元券", "en": "¥10 off"},
        "worth": AmountOff(off_fen=1000),
        "claim_from": now - timedelta(days=1),
        "valid_days": 30,
    }
    async with db.unit_of_work():
        return await templates.create_template(NewTemplate(**{**given, **values}), principal=ADMIN, now=now)


def a_purchase(member_id: int, amount_fen: int = 10_000, **values: Any) -> NewPurchase:
    """A purchase of ¥100, unless said otherwise."""
    given: dict[str, Any] = {
        "source": "till",
        "external_id": f"o{next(_serial)}",
        "member_id": member_id,
        "amount_fen": amount_fen,
        "occurred_at": NOW,
    }
    return NewPurchase(**{**given, **values})


async def bought(member_id: int, amount_fen: int = 10_000, *, now: datetime = NOW, **values: Any) -> PurchaseView:
    """A recorded purchase."""
    async with db.unit_of_work():
        return await purchases.record_one(a_purchase(member_id, amount_fen, **values), principal=ADMIN, now=now)


async def publish_ladder(ladder: Ladder, *, now: datetime = NOW) -> int:
    """Put a ladder in force, with names for whatever the test left unnamed; its version."""
    steps = tuple(step.model_copy(update={"names": step.names or _named(step.code)}) for step in ladder.steps)
    named = ladder.model_copy(update={"names": ladder.names or _named(ladder.code), "steps": steps})
    async with db.unit_of_work():
        drafted = await ladders.draft(named, principal=ADMIN, now=now)
        await ladders.publish(named.code, drafted.version, principal=ADMIN, effective_from=now, now=now)
    return drafted.version


def _named(code: str) -> dict[str, str]:
    return {"zh-CN": code, "en": code}
