"""Recording refunds: the recorded earn goes back in proportion, never recomputed with today's rules."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Principal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, NotFound, ensure
from loyalty.events import PurchaseRefunded
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Operation, Posted, TakeBack
from loyalty.money import AMOUNT_MAX
from loyalty.purchases.queries import COLUMNS as PURCHASE_COLUMNS
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.queries import view_of as purchase_view
from loyalty.purchases.service import CLOCK_SKEW_MAX, EXTERNAL_ID_LENGTH_MAX, SOURCE_LENGTH_MAX, earn_key
from loyalty.refunds import rules
from loyalty.refunds.queries import COLUMNS, RefundView, view_of
from loyalty.spine import service as spine
from loyalty.tiers import refunding
from loyalty.tiers import service as tiers

_LOCK = f"SELECT {PURCHASE_COLUMNS} FROM purchase WHERE source = $1 AND external_id = $2 FOR UPDATE"
_KNOWN = f"SELECT {COLUMNS} FROM refund WHERE source = $1 AND external_id = $2"
_BOOK = """
UPDATE purchase SET refunded_fen = refunded_fen + $2
WHERE id = $1 AND refunded_fen = $3 AND refunded_fen + $2 <= amount_fen
"""
_INSERT = f"""
INSERT INTO refund (purchase_id, member_id, source, external_id, amount_fen, points_taken, points_forgiven,
                    growth_taken, occurred_at, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (source, external_id) DO NOTHING RETURNING {COLUMNS}
"""
NOTHING_TAKEN: Final = (0, 0)


class RefundInvalid(Invalid):
    """A value of the refund is out of range; `field` names it."""

    code = "refunds.invalid"


class PurchaseUnknown(NotFound):
    """No purchase has this number, or it is not the principal's to refund."""

    code = "refunds.purchase_unknown"


class RefundKeyReused(Conflict):
    """The source reported this number before, for another refund."""

    code = "refunds.key_reused"


class RefundTooLarge(Conflict):
    """More would go back than was paid; `left_fen` is what can still be refunded."""

    code = "refunds.too_large"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRefund:
    """Money given back for a purchase that its source knows as (`purchase_source`, `purchase_external_id`)."""

    source: str
    external_id: str
    purchase_source: str
    purchase_external_id: str
    amount_fen: int
    occurred_at: datetime


async def refund(new: NewRefund, *, principal: Principal, now: datetime) -> RefundView:
    """Record a refund, once, and take back its share of the points and growth value that were earned.

    What the member has spent already is forgiven and recorded as such. A tier that would not have been reached
    without this purchase is kept until its review or revoked, as its ladder says.

    Raises:
        RefundInvalid, PurchaseUnknown, RefundKeyReused, RefundTooLarge
        Forbidden, OwnMembership: the principal may not refund this purchase.
    """
    _check(new, now)
    purchase = await _locked(new, principal)
    known = await db.fetch_one(_KNOWN, new.source, new.external_id)
    if known is not None:
        return _repeat(view_of(known, replayed=True), new, purchase)
    booked = await db.execute(_BOOK, purchase.id, new.amount_fen, purchase.refunded_fen)
    if not booked:
        raise RefundTooLarge(left_fen=purchase.amount_fen - purchase.refunded_fen)
    done = await _write(new, purchase, now)
    await _tell(done, purchase, principal, now)
    await refunding.refunded([(purchase.member_id, purchase.id)], now=now)
    return done


def _check(new: NewRefund, now: datetime) -> None:
    in_range = {
        "source": 0 < len(new.source) <= SOURCE_LENGTH_MAX,
        "external_id": 0 < len(new.external_id) <= EXTERNAL_ID_LENGTH_MAX,
        "amount_fen": 0 < new.amount_fen <= AMOUNT_MAX,
        "occurred_at": new.occurred_at.tzinfo is not None and new.occurred_at <= now + CLOCK_SKEW_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise RefundInvalid(field=name)


async def _locked(new: NewRefund, principal: Principal) -> PurchaseView:
    """The purchase, held against other refunds of it; the conditional update and CHECK remain the guards."""
    row = await db.fetch_one(_LOCK, new.purchase_source, new.purchase_external_id)
    if row is None:
        raise PurchaseUnknown
    purchase = purchase_view(row)
    try:
        resource = Resource(store_id=purchase.store_id, member_id=purchase.member_id)
        access.authorize(principal, Action.PURCHASE_REFUND, resource)
    except access.OtherStore:
        raise PurchaseUnknown from None
    return purchase


def _repeat(known: RefundView, new: NewRefund, purchase: PurchaseView) -> RefundView:
    if (known.purchase_id, known.amount_fen) != (purchase.id, new.amount_fen):
        raise RefundKeyReused(source=new.source, external_id=new.external_id)
    return known


async def _write(new: NewRefund, purchase: PurchaseView, now: datetime) -> RefundView:
    share = rules.shares(
        amount_fen=purchase.amount_fen,
        refunded_before_fen=purchase.refunded_fen,
        refund_fen=new.amount_fen,
        points=purchase.points,
        growth=purchase.growth,
    )
    taken = await _take_back(share, purchase, new, now)
    points_taken, points_forgiven = taken.get(Asset.POINTS, NOTHING_TAKEN)
    growth_taken, _ = taken.get(Asset.GROWTH, NOTHING_TAKEN)
    row = await db.fetch_one(
        _INSERT,
        purchase.id,
        purchase.member_id,
        new.source,
        new.external_id,
        new.amount_fen,
        points_taken,
        points_forgiven,
        growth_taken,
        new.occurred_at,
        now,
    )
    if row is None:
        # The same number was used for a refund of another purchase at this very moment.
        raise RefundKeyReused(source=new.source, external_id=new.external_id)
    return view_of(row)


async def _take_back(
    share: rules.Shares, purchase: PurchaseView, new: NewRefund, now: datetime
) -> dict[Asset, tuple[int, int]]:
    """What left the balance and what was forgiven, per asset."""
    batch: list[Operation] = [
        TakeBack(
            member_id=purchase.member_id,
            asset=asset,
            amount=amount,
            key=f"refund:{new.source}:{new.external_id}:{asset}",
            kind="refund",
            reason={"purchase_id": purchase.id, "amount_fen": new.amount_fen},
            occurred_at=new.occurred_at,
            reverses=(earn_key(purchase.id, asset),),
        )
        for asset, amount in ((Asset.POINTS, share.points), (Asset.GROWTH, share.growth))
        if amount
    ]
    taken: dict[Asset, tuple[int, int]] = {}
    outcomes = await ledger.post(batch, now=now)
    for operation, outcome in zip(batch, outcomes, strict=True):
        ensure(isinstance(outcome, Posted), "a claw-back is never refused")
        if isinstance(outcome, Posted):
            taken[operation.asset] = (-outcome.delta, outcome.forgiven)
    await tiers.review_posted(zip(batch, outcomes, strict=True), buyers=[purchase.member_id], now=now)
    return taken


async def _tell(done: RefundView, purchase: PurchaseView, principal: Principal, now: datetime) -> None:
    await spine.record(
        PurchaseRefunded(
            member_id=done.member_id,
            at=done.occurred_at,
            purchase_id=done.purchase_id,
            refund_id=done.id,
            amount_fen=done.amount_fen,
            points_taken=done.points_taken,
        ),
        now=now,
    )
    if isinstance(principal, StaffPrincipal):
        await audit.record(
            audit.Deed(
                principal=principal,
                action=Action.PURCHASE_REFUND,
                member_id=done.member_id,
                store_id=purchase.store_id,
                details={
                    "purchase_id": done.purchase_id,
                    "refund_id": done.id,
                    "amount_fen": done.amount_fen,
                    "points_taken": done.points_taken,
                    "points_forgiven": done.points_forgiven,
                },
            ),
            now=now,
        )
