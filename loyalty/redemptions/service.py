"""Redeeming coupons (核销): one conditional update, so that one coupon counts once whatever happens at once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never

from tortoise.exceptions import IntegrityError

from loyalty import access, db
from loyalty.access import Action, Principal, Resource, StaffPrincipal
from loyalty.attempts import service as attempts
from loyalty.audit import service as audit
from loyalty.clock import business_day, start_of
from loyalty.coupon_templates.rules import discount_fen
from loyalty.coupons import queries as coupons
from loyalty.coupons.queries import CouponView
from loyalty.coupons.rules import coupon_of
from loyalty.errors import Conflict, Invalid, NotFound, ensure, unreachable
from loyalty.events import CouponRedeemed, CouponRedemptionUndone
from loyalty.program import queries as program
from loyalty.spine import service as spine

KEY_LENGTH_MAX: Final = 96

_REDEEM = """
UPDATE coupon SET status = 'redeemed', redeemed_at = $2, redeemed_store_id = $3, redeemed_by = $4, redemption_key = $5
FROM coupon_template AS template
WHERE coupon.id = $1 AND template.id = coupon.template_id
  AND coupon.status = 'issued' AND coupon.expires_at > $2
  AND (template.store_ids = '[]'::jsonb OR template.store_ids @> to_jsonb($3::bigint))
  AND ($6::bigint IS NULL OR coupon.member_id = $6)
  AND coupon.member_id IS DISTINCT FROM $7::bigint
  AND ($8::bigint IS NULL OR template.min_spend_fen <= $8)
RETURNING coupon.id
"""
_UNDO = """
UPDATE coupon SET status = 'issued', redeemed_at = NULL, redeemed_store_id = NULL, redeemed_by = NULL,
                  redemption_key = NULL
WHERE id = $1 AND status = 'redeemed' AND redeemed_store_id IS NOT DISTINCT FROM $2 AND redeemed_at >= $3
RETURNING id
"""


class CouponUnknown(NotFound):
    """No such coupon, or one of somebody else: both get the same answer."""

    code = "redemptions.coupon_unknown"


class AlreadyRedeemed(Conflict):
    """The coupon was used at `redeemed_at` in store `store`."""

    code = "redemptions.already_redeemed"


class CouponOver(Conflict):
    """The coupon's time was over at `expires_at`."""

    code = "redemptions.expired"


class CouponVoid(Conflict):
    """The coupon was withdrawn."""

    code = "redemptions.void"


class WrongStore(Conflict):
    """Other stores take the coupon, the till's does not."""

    code = "redemptions.wrong_store"


class SpendTooLow(Conflict):
    """The order is below the coupon's minimum, `min_spend_fen`."""

    code = "redemptions.spend_too_low"


class RedemptionKeyReused(Conflict):
    """The key redeemed another coupon before."""

    code = "redemptions.key_reused"


class RedemptionInvalid(Invalid):
    """A value is out of range; `field` names it."""

    code = "redemptions.invalid"


class UndoTooLate(Conflict):
    """A redemption can be undone on the business day it happened, in its store, while it stands."""

    code = "redemptions.undo_too_late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """Where and for what a coupon is taken. `key` makes the redemption once: the order's number where there is
    one. `order_fen` is what the order costs before the coupon, when it is known. `action` is what it is part of: a
    checkout that the member stands at, or a redemption by itself."""

    principal: Principal
    store_id: int
    key: str
    order_fen: int | None = None
    action: Action = Action.COUPON_REDEEM


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The coupon counted. `discount_fen` is what is taken off the order, None when its price was not told."""

    coupon: CouponView
    discount_fen: int | None
    replayed: bool = False


async def redeem_code(code: str, till: Till, *, now: datetime) -> Redeemed | CouponUnknown:
    """Redeem the coupon whose code was typed or scanned.

    A mistyped code is refused without asking the database. A well-formed one that names no coupon counts as a
    guess of whoever typed it; that refusal is returned and not raised, so that the count is committed.

    Raises:
        CodeMistyped, TooManyMisses, and as `redeem`.
    """
    _authorize(till, None)
    coupon_id = coupon_of(code)
    kind, number = audit.actor_of(till.principal)
    guesser = f"coupon_code:{kind}:{number}"
    await attempts.refuse_if_locked(guesser, now=now)
    redeemed = await _redeem(coupon_id, till, member_id=None, now=now)
    if isinstance(redeemed, CouponUnknown):
        await attempts.count_miss(guesser, now=now)
    return redeemed


async def redeem(coupon_id: int, till: Till, *, member_id: int, now: datetime) -> Redeemed:
    """Redeem a coupon of the member who was recognised at the till.

    Raises:
        Forbidden, OtherStore, OwnMembership: the principal may not.
        CouponUnknown, AlreadyRedeemed, CouponOver, CouponVoid, WrongStore, SpendTooLow, RedemptionKeyReused,
        RedemptionInvalid
    """
    _authorize(till, member_id)
    redeemed = await _redeem(coupon_id, till, member_id=member_id, now=now)
    if isinstance(redeemed, CouponUnknown):
        raise redeemed
    return redeemed


async def undo(coupon_id: int, *, principal: StaffPrincipal, reason: str, now: datetime) -> CouponView:
    """Give a redeemed coupon back on the same business day; it is usable again until its own expiry.

    Raises:
        Forbidden, OwnMembership: the principal may not.
        CouponUnknown: no such coupon, or redeemed in another store.
        UndoTooLate, RedemptionInvalid
    """
    if not reason.strip():
        raise RedemptionInvalid(field="reason")
    coupon = await coupons.find(coupon_id, at=now)
    if coupon is None:
        raise CouponUnknown
    store_id = coupon.redeemed_store_id
    try:
        resource = Resource(store_id=store_id, member_id=coupon.member_id)
        access.authorize(principal, Action.COUPON_UNDO, resource)
    except access.OtherStore:
        raise CouponUnknown from None
    zone = (await program.in_force(now)).terms.calendar
    today = start_of(business_day(now, zone), zone)
    if not await db.fetch(_UNDO, coupon_id, store_id, today):
        raise UndoTooLate
    event = CouponRedemptionUndone(
        member_id=coupon.member_id, at=now, coupon_id=coupon_id, template_id=coupon.template_id, store_id=store_id
    )
    await spine.record(event, now=now)
    await _audit(principal, Action.COUPON_UNDO, coupon, store_id, now, reason=reason)
    return await _found(coupon_id, now)


def _authorize(till: Till, member_id: int | None) -> None:
    access.authorize(till.principal, till.action, Resource(store_id=till.store_id, member_id=member_id))


async def _redeem(coupon_id: int, till: Till, *, member_id: int | None, now: datetime) -> Redeemed | CouponUnknown:
    _check(till)
    stored_key = f"{till.store_id}:{till.key}"
    if not await _take(coupon_id, till, stored_key, member_id, now):
        return await _replay_or_refuse(coupon_id, till, stored_key, member_id, now)
    coupon = await _found(coupon_id, now)
    event = CouponRedeemed(
        member_id=coupon.member_id,
        at=now,
        coupon_id=coupon_id,
        template_id=coupon.template_id,
        store_id=till.store_id,
    )
    await spine.record(event, now=now)
    await _audit(till.principal, Action.COUPON_REDEEM, coupon, till.store_id, now, reason="")
    return Redeemed(coupon, _discount(coupon, till))


def _check(till: Till) -> None:
    if not 0 < len(till.key) <= KEY_LENGTH_MAX:
        raise RedemptionInvalid(field="key")
    if till.order_fen is not None and till.order_fen < 0:
        raise RedemptionInvalid(field="order_fen")


async def _take(coupon_id: int, till: Till, stored_key: str, member_id: int | None, now: datetime) -> bool:
    kind, number = audit.actor_of(till.principal)
    own = till.principal.member_id if isinstance(till.principal, StaffPrincipal) else None
    try:
        taken = await db.fetch(
            _REDEEM, coupon_id, now, till.store_id, f"{kind}:{number}", stored_key, member_id, own, till.order_fen
        )
    except IntegrityError as broken:
        if db.constraint_of(broken) == "coupon_redemption_once":
            raise RedemptionKeyReused(key=till.key) from broken
        raise
    return bool(taken)


async def _replay_or_refuse(
    coupon_id: int, till: Till, stored_key: str, member_id: int | None, now: datetime
) -> Redeemed | CouponUnknown:
    coupon = await coupons.find(coupon_id, at=now)
    if coupon is None or (member_id is not None and coupon.member_id != member_id):
        return CouponUnknown()
    _authorize(till, coupon.member_id)
    if coupon.status == "redeemed" and coupon.redemption_key == stored_key:
        return Redeemed(coupon, _discount(coupon, till), replayed=True)
    raise _why_not(coupon, till)


def _why_not(coupon: CouponView, till: Till) -> Conflict:
    match coupon.status:
        case "redeemed":
            return AlreadyRedeemed(
                redeemed_at=coupon.redeemed_at, store=coupon.redeemed_store, store_id=coupon.redeemed_store_id
            )
        case "expired":
            return CouponOver(expires_at=coupon.expires_at)
        case "void":
            return CouponVoid()
        case "issued":
            return _why_not_here(coupon, till)
        case _:
            assert_never(coupon.status)


def _why_not_here(coupon: CouponView, till: Till) -> Conflict:
    if coupon.store_ids and till.store_id not in coupon.store_ids:
        return WrongStore(store_ids=coupon.store_ids)
    too_low = till.order_fen is not None and till.order_fen < coupon.min_spend_fen
    ensure(too_low, "a coupon that nothing speaks against is redeemed")
    return SpendTooLow(min_spend_fen=coupon.min_spend_fen)


def _discount(coupon: CouponView, till: Till) -> int | None:
    return None if till.order_fen is None else discount_fen(coupon.worth, till.order_fen)


async def _found(coupon_id: int, now: datetime) -> CouponView:
    coupon = await coupons.find(coupon_id, at=now)
    if coupon is None:
        unreachable("coupons are never removed")
    return coupon


async def _audit(
    principal: Principal, action: Action, coupon: CouponView, store_id: int | None, now: datetime, *, reason: str
) -> None:
    await audit.record(
        audit.Deed(
            principal=principal,
            action=action,
            member_id=coupon.member_id,
            store_id=store_id,
            reason=reason,
            details={"coupon_id": coupon.id, "template_id": coupon.template_id},
        ),
        now=now,
    )
