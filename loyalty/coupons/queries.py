"""Reading coupons. A coupon whose time is over is shown as expired, whether or not the sweep closed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import orjson

from loyalty import db
from loyalty.coupon_templates import queries as templates
from loyalty.coupon_templates.queries import TemplateView, worth_of
from loyalty.coupon_templates.rules import AmountOff, Exchange, Gift, PercentOff
from loyalty.tiers import queries as tiers

PAGE_MAX: Final = 100

Status = Literal["issued", "redeemed", "expired", "void"]

_SELECT: Final = """
SELECT coupon.id, coupon.member_id, coupon.template_id, coupon.claimed_at, coupon.expires_at, coupon.redeemed_at,
       coupon.redeemed_store_id, coupon.redemption_key, template.code AS template_code, template.name, template.kind,
       template.value, template.min_spend_fen, template.store_ids, store.name AS redeemed_store,
       CASE WHEN coupon.status = 'issued' AND coupon.expires_at <= $1 THEN 'expired' ELSE coupon.status END AS status
FROM coupon
JOIN coupon_template AS template ON template.id = coupon.template_id
LEFT JOIN store ON store.id = coupon.redeemed_store_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponView:
    """A coupon with what it is worth; `store_ids` empty means that every store takes it."""

    id: int
    member_id: int
    template_id: int
    template_code: str
    name: Mapping[str, str]
    worth: AmountOff | PercentOff | Gift | Exchange
    min_spend_fen: int
    store_ids: tuple[int, ...]
    status: Status
    claimed_at: datetime
    expires_at: datetime
    redeemed_at: datetime | None
    redeemed_store_id: int | None
    redeemed_store: str | None
    redemption_key: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A template on offer to one member: whether it can be claimed now and, if not, the code of the refusal."""

    template: TemplateView
    held: int
    refusal: str | None


@dataclass(frozen=True, slots=True)
class Ending:
    """Unused coupons of one member that end soon; `expires_at` is when the first of them does."""

    member_id: int
    expires_at: datetime
    coupon_ids: tuple[int, ...]


async def claimable(member_id: int, *, at: datetime) -> list[Offer]:
    """What a member finds to claim at `at`; what they cannot have is shown with the reason."""
    on_offer = await templates.on_offer(at=at)
    rows = await db.fetch(
        "SELECT template_id, count(*) AS held FROM coupon WHERE member_id = $1 AND template_id = ANY($2)"
        " GROUP BY template_id",
        member_id,
        [template.id for template in on_offer],
    )
    held = {row["template_id"]: row["held"] for row in rows}
    choosy = any(template.tiers for template in on_offer)
    own = (await tiers.tiers_of([member_id], at=at))[member_id] if choosy else frozenset()
    return [
        Offer(template, held.get(template.id, 0), _refusal(template, held.get(template.id, 0), own))
        for template in on_offer
    ]


async def mine(
    member_id: int, *, at: datetime, status: Status | None = None, before_id: int | None = None, limit: int = 20
) -> list[CouponView]:
    """A member's coupons: the usable ones by what ends first, the others newest first."""
    order = "coupon.expires_at, coupon.id" if status == "issued" else "coupon.id DESC"
    return await _views(
        "WHERE coupon.member_id = $2 AND ($3::text IS NULL OR $3 ="
        " CASE WHEN coupon.status = 'issued' AND coupon.expires_at <= $1 THEN 'expired' ELSE coupon.status END)"
        f" AND ($4::bigint IS NULL OR coupon.id < $4) ORDER BY {order} LIMIT $5",
        at,
        member_id,
        status,
        before_id,
        max(1, min(limit, PAGE_MAX)),
    )


async def usable(member_id: int, store_id: int | None, *, at: datetime, limit: int = 20) -> list[CouponView]:
    """The coupons that a clerk of this store could take from the member in front of them, what ends first first."""
    return await _views(
        "WHERE coupon.member_id = $2 AND coupon.status = 'issued' AND coupon.expires_at > $1"
        " AND (template.store_ids = '[]'::jsonb OR template.store_ids @> to_jsonb($3::bigint))"
        " ORDER BY coupon.expires_at, coupon.id LIMIT $4",
        at,
        member_id,
        store_id,
        min(limit, PAGE_MAX),
    )


async def held_by(member_ids: Sequence[int], *, at: datetime, limit: int) -> Mapping[int, list[CouponView]]:
    """The usable coupons of each member, at most `limit` of each, what ends first first; in one statement."""
    found: dict[int, list[CouponView]] = {member_id: [] for member_id in member_ids}
    rows = await db.fetch(
        f"SELECT of_one.* FROM unnest($2::bigint[]) AS asked(id) CROSS JOIN LATERAL ({_SELECT}"
        " WHERE coupon.member_id = asked.id AND coupon.status = 'issued' AND coupon.expires_at > $1"
        " ORDER BY coupon.expires_at, coupon.id LIMIT $3) AS of_one",
        at,
        list(found),
        limit,
    )
    for view in _all(rows):
        found[view.member_id].append(view)
    return found


async def of_member(member_id: int, coupon_id: int, *, at: datetime) -> CouponView | None:
    """One coupon, if it is this member's."""
    found = await _views("WHERE coupon.id = $2 AND coupon.member_id = $3", at, coupon_id, member_id)
    return found[0] if found else None


async def find(coupon_id: int, *, at: datetime) -> CouponView | None:
    """One coupon, whoever holds it."""
    found = await _views("WHERE coupon.id = $2", at, coupon_id)
    return found[0] if found else None


async def ending(*, after: datetime, until: datetime, after_member: int = 0, limit: int = 500) -> list[Ending]:
    """Members whose unused coupons end in (after, until], by member; page on with the last member."""
    rows = await db.fetch(
        "SELECT member_id, min(expires_at) AS expires_at, array_agg(id ORDER BY expires_at, id) AS ids FROM coupon"
        " WHERE status = 'issued' AND expires_at > $1 AND expires_at <= $2 AND member_id > $3"
        " GROUP BY member_id ORDER BY member_id LIMIT $4",
        after,
        until,
        after_member,
        limit,
    )
    return [Ending(row["member_id"], row["expires_at"], tuple(row["ids"])) for row in rows]


def _refusal(template: TemplateView, held: int, tiers: frozenset[str]) -> str | None:
    if template.tiers and tiers.isdisjoint(template.tiers):
        return "coupons.tier_too_low"
    if held >= template.per_member_limit:
        return "coupons.limit_reached"
    return "coupons.sold_out" if template.left == 0 else None


async def _views(where: str, *args: object) -> list[CouponView]:
    return _all(await db.fetch(f"{_SELECT} {where}", *args))


def _all(rows: Sequence[db.Row]) -> list[CouponView]:
    shared = (
        "id",
        "member_id",
        "template_id",
        "template_code",
        "min_spend_fen",
        "status",
        "claimed_at",
        "expires_at",
        "redeemed_at",
        "redeemed_store_id",
        "redeemed_store",
        "redemption_key",
    )
    return [
        CouponView(
            **{name: row[name] for name in shared},
            name=orjson.loads(row["name"]),
            worth=worth_of(row["kind"], row["value"]),
            store_ids=tuple(orjson.loads(row["store_ids"])),
        )
        for row in rows
    ]
