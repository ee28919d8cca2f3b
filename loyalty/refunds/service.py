"""Recording refunds: points that paid come back first, then what was earned is taken back, and the terms' policy
applies to what is left. What was earned is what was recorded, never what today's rules would give."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from loyalty import access, db
from loyalty.access import Action, PartnerPrincipal, Principal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.earning import returning
from loyalty.earning.facts import Fact
from loyalty.earning.returning import Recorded
from loyalty.errors import Conflict, NotFound, ensure
from loyalty.events import PurchaseRefunded
from loyalty.ledger import service as ledger
from loyalty.ledger.service import (
    Asset,
    Claw,
    ClawBack,
    Grant,
    NothingToReverse,
    Operation,
    Outcome,
    Posted,
    Reverse,
    TakeBack,
)
from loyalty.money import AMOUNT_MAX
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.terms import Terms
from loyalty.purchases import earning
from loyalty.purchases.queries import COLUMNS as PURCHASE_COLUMNS
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.queries import view_of as purchase_view
from loyalty.purchases.service import CLOCK_SKEW_MAX, EXTERNAL_ID_LENGTH_MAX, SOURCE_LENGTH_MAX
from loyalty.purchases.tendering import stored_key, tender_key
from loyalty.refunds import rules
from loyalty.refunds.queries import COLUMNS, RefundView, refunds_of, together, view_of
from loyalty.refunds.rules import Earlier, Method, Quote, Sold
from loyalty.refunds.rules import NewRefund as NewRefund
from loyalty.refunds.rules import RefundInvalid as RefundInvalid
from loyalty.refunds.rules import RefundTooLarge as RefundTooLarge
from loyalty.spine import service as spine
from loyalty.stored_value import queries as stored_read
from loyalty.stored_value import returning as stored_returning
from loyalty.stored_value.returning import Return
from loyalty.tiers import queries as tiers_read
from loyalty.tiers import refunding
from loyalty.tiers import service as tiers

_FIND: Final = f"SELECT {PURCHASE_COLUMNS} FROM purchase WHERE source = $1 AND external_id = $2"
_KNOWN: Final = f"SELECT {COLUMNS} FROM refund WHERE source = $1 AND external_id = $2"
_BOOK: Final = """
UPDATE purchase SET refunded_fen = refunded_fen + $2, points_returned = points_returned + $4
WHERE id = $1 AND refunded_fen = $3 AND refunded_fen + $2 <= amount_fen
"""
_INSERT: Final = f"""
INSERT INTO refund (purchase_id, member_id, source, external_id, amount_fen, money_fen, points_returned, method, lines,
                    points_taken, points_forgiven, points_owed, growth_taken, occurred_at, recorded_at, stored_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (source, external_id) DO NOTHING RETURNING {COLUMNS}
"""


class PurchaseUnknown(NotFound):
    """No purchase has this number, or it is not the principal's to refund."""

    code = "refunds.purchase_unknown"


class RefundKeyReused(Conflict):
    """The source reported this number before, for another refund."""

    code = "refunds.key_reused"


class RefundTooLate(Conflict):
    """The purchase is older than `days` days."""

    code = "refunds.too_late"


@dataclass(frozen=True, slots=True)
class _Case:
    purchase: PurchaseView
    earlier: Earlier
    terms: Terms
    judged_by: Terms
    recorded: Recorded | None
    stored_fen: int

    @property
    def sold(self) -> Sold:
        view = self.purchase
        return Sold(
            view.amount_fen,
            view.receipt,
            view.points,
            view.growth,
            view.multiplier_percent,
            view.points_spent,
            self.stored_fen,
        )

    def quote(self, new: NewRefund, method: Method) -> Quote:
        priced = new.amount_fen
        if new.lines or priced is None:
            counted = rules.price_fen(self.sold, new.lines, self.earlier, method)
            priced = counted if priced is None else priced
        left = self.purchase.amount_fen - self.earlier.amount_fen
        if priced > left:
            raise RefundTooLarge(left_fen=left)
        kept = self._kept(new, priced, method)
        return rules.quote(self.sold, priced, self.earlier, method=method, terms=self.judged_by, kept=kept)

    def rest(self, new: NewRefund, priced: int) -> Fact | None:
        """What is left of the purchase, as earning rules see it."""
        gone = {
            no: self.earlier.returned(no) + new.lines.get(no, 0) for no in {*new.lines, *(self.earlier.lines or {})}
        }
        return earning.rest_of(self.purchase, gone, self.earlier.amount_fen + priced)

    def _kept(self, new: NewRefund, priced: int, method: Method) -> tuple[int, int] | None:
        if method != "readjudicate" or self.recorded is None:
            return None
        kept = self.recorded.kept(self.rest(new, priced))
        units = dict.fromkeys((Asset.POINTS, Asset.GROWTH), 0)
        for one in self.recorded.awards:
            if one.asset in units:
                units[Asset(one.asset)] += kept[one.id]
        return units[Asset.POINTS], units[Asset.GROWTH]


async def preview(new: NewRefund, *, principal: Principal, now: datetime) -> list[Quote]:
    """What a refund would come to by each method, that of the terms first. Nothing is written.

    Raises:
        RefundInvalid, PurchaseUnknown, RefundTooLarge, RefundTooLate, LineUnknown, LineReturned
        Forbidden, OwnMembership
    """
    _check(new, now)
    case = await _case(new, principal, now)
    chosen: Method = new.method or case.terms.refunds.method
    other: Method = "proportional" if chosen == "readjudicate" else "readjudicate"
    return [case.quote(new, chosen), case.quote(new, other)]


async def refund(new: NewRefund, *, principal: Principal, now: datetime) -> RefundView:
    """Record a refund, once: give the points back that paid, and take back what was earned, as the terms say.

    A tier that would not have been reached without this purchase is kept until its review or revoked, as its ladder
    says.

    Raises:
        RefundInvalid, PurchaseUnknown, RefundKeyReused, RefundTooLarge, RefundTooLate, LineUnknown, LineReturned
        Forbidden, OwnMembership: the principal may not refund this purchase.
    """
    _check(new, now)
    case = await _case(new, principal, now, lock=" FOR UPDATE")
    known = await db.fetch_one(_KNOWN, new.source, new.external_id)
    if known is not None:
        return _repeat(view_of(known, replayed=True), new, case.purchase)
    quoted = case.quote(new, new.method or case.terms.refunds.method)
    booked = await db.execute(
        _BOOK, case.purchase.id, quoted.amount_fen, case.purchase.refunded_fen, quoted.points_returned
    )
    if not booked:
        raise RefundTooLarge(left_fen=case.purchase.amount_fen - case.purchase.refunded_fen)
    done = await _write(new, case, quoted, now)
    await _note(new, case, quoted)
    await _tell(done, case.purchase, principal, now)
    await refunding.refunded([(case.purchase.member_id, case.purchase.id)], now=now)
    return done


async def _note(new: NewRefund, case: _Case, quoted: Quote) -> None:
    """Limits of the rules have again what was taken back."""
    if case.recorded is None:
        return
    rest = case.rest(new, quoted.amount_fen)
    if quoted.method == "readjudicate" or rest is None:
        kept = case.recorded.kept(rest)
    else:
        kept = case.recorded.shared(Asset.POINTS, quoted.points_taken)
        kept |= case.recorded.shared(Asset.GROWTH, quoted.growth_taken)
    await returning.give_back(case.recorded, kept, member_id=case.purchase.member_id, rest=rest)


def _check(new: NewRefund, now: datetime) -> None:
    in_range = {
        "source": 0 < len(new.source) <= SOURCE_LENGTH_MAX,
        "external_id": 0 < len(new.external_id) <= EXTERNAL_ID_LENGTH_MAX,
        "amount_fen": bool(new.lines) if new.amount_fen is None else 0 < new.amount_fen <= AMOUNT_MAX,
        "occurred_at": new.occurred_at.tzinfo is not None and new.occurred_at <= now + CLOCK_SKEW_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise RefundInvalid(field=name)


async def _case(new: NewRefund, principal: Principal, now: datetime, *, lock: str = "") -> _Case:
    """The purchase with what came back of it; under the lock, the conditional update and CHECK remain the guards."""
    row = await db.fetch_one(_FIND + lock, new.purchase_source, new.purchase_external_id)
    if row is None:
        raise PurchaseUnknown
    purchase = purchase_view(row)
    try:
        resource = Resource(store_id=purchase.store_id, member_id=purchase.member_id)
        access.authorize(principal, Action.PURCHASE_REFUND, resource)
    except access.OtherStore:
        raise PurchaseUnknown from None
    terms = (await program.in_force(now)).terms
    if new.occurred_at > purchase.occurred_at + timedelta(days=terms.refunds.days):
        raise RefundTooLate(days=terms.refunds.days)
    judged_by = await program.of_version(purchase.terms_version, now=now)
    recorded = await returning.recorded(earning.fact_key(purchase.id), now=now)
    stored = await stored_read.used_for(stored_key(purchase.id))
    earlier = together(await refunds_of(purchase.id))
    return _Case(purchase, earlier, terms, judged_by, recorded, stored[0] if stored else 0)


def _repeat(known: RefundView, new: NewRefund, purchase: PurchaseView) -> RefundView:
    same_price = new.amount_fen is None or known.amount_fen == new.amount_fen
    if known.purchase_id != purchase.id or not same_price or dict(known.lines) != dict(new.lines):
        raise RefundKeyReused(source=new.source, external_id=new.external_id)
    return known


@dataclass(frozen=True, slots=True)
class _Taken:
    taken: int = 0
    owed: int = 0
    forgiven: int = 0


async def _write(new: NewRefund, case: _Case, quoted: Quote, now: datetime) -> RefundView:
    points, growth = await _move(new, case, quoted, now)
    if quoted.stored_fen:
        await stored_returning.give_back(_stored(new, case.purchase, quoted), now=now)
    row = await db.fetch_one(
        _INSERT,
        case.purchase.id,
        case.purchase.member_id,
        new.source,
        new.external_id,
        quoted.amount_fen,
        quoted.money_fen,
        quoted.points_returned,
        quoted.method,
        orjson.dumps({str(no): pieces for no, pieces in new.lines.items()}).decode(),
        points.taken,
        points.forgiven,
        points.owed,
        growth.taken,
        new.occurred_at,
        now,
        quoted.stored_fen,
    )
    if row is None:
        # The same number was used for a refund of another purchase at this very moment.
        raise RefundKeyReused(source=new.source, external_id=new.external_id)
    return view_of(row)


async def _move(new: NewRefund, case: _Case, quoted: Quote, now: datetime) -> tuple[_Taken, _Taken]:
    """Points that paid come back before what was earned is taken: the policy meets the net of both."""
    batch: list[Operation] = []
    if quoted.points_returned:
        batch.append(_giving_back(new, case.purchase, quoted))
    policy = await _policy(case, now)
    for asset, amount in ((Asset.POINTS, quoted.points_taken), (Asset.GROWTH, quoted.growth_taken)):
        if amount:
            keys = case.recorded.keys(asset) if case.recorded is not None else ()
            policed = policy if asset == Asset.POINTS else ClawBack()
            batch.append(_taking(new, case.purchase, asset, amount, policed, keys))
    outcomes = await ledger.post(batch, now=now)
    await tiers.review_posted(list(zip(batch, outcomes, strict=True)), buyers=[case.purchase.member_id], now=now)
    if batch and isinstance(batch[0], Reverse) and isinstance(outcomes[0], NothingToReverse):
        await _give_anew(new, case, quoted, now)
    taken = {
        operation.asset: _reached(outcome)
        for operation, outcome in zip(batch, outcomes, strict=True)
        if isinstance(operation, TakeBack)
    }
    return taken.get(Asset.POINTS, _Taken()), taken.get(Asset.GROWTH, _Taken())


def _stored(new: NewRefund, purchase: PurchaseView, quoted: Quote) -> Return:
    return Return(
        member_id=purchase.member_id,
        key=stored_key(purchase.id),
        amount_fen=quoted.stored_fen,
        return_key=_key(new, "stored"),
        occurred_at=new.occurred_at,
    )


def _giving_back(new: NewRefund, purchase: PurchaseView, quoted: Quote) -> Reverse:
    return Reverse(
        member_id=purchase.member_id,
        asset=Asset.POINTS,
        key=_key(new, "returned"),
        reverses_key=tender_key(purchase.id),
        kind="redeem_returned",
        occurred_at=new.occurred_at,
        amount=quoted.points_returned,
        reason={"purchase_id": purchase.id, "amount_fen": quoted.amount_fen},
    )


async def _give_anew(new: NewRefund, case: _Case, quoted: Quote, now: datetime) -> None:
    """The member who paid was merged into this one: their lots are not here, so the points come as a new lot."""
    lasts = validity.of_points(case.terms, now)
    grant = Grant(
        member_id=case.purchase.member_id,
        asset=Asset.POINTS,
        amount=quoted.points_returned,
        key=_key(new, "anew"),
        kind="redeem_returned",
        occurred_at=new.occurred_at,
        effective_at=now,
        expires_at=lasts.expires_at,
        idle=lasts.idle,
        reason={"purchase_id": case.purchase.id, "amount_fen": quoted.amount_fen},
    )
    await ledger.post_one(grant, now=now)


async def _policy(case: _Case, now: datetime) -> ClawBack:
    claw = case.terms.claw_back
    if claw.mode != "allow":
        return ClawBack(Claw(claw.mode))
    tier = (await tiers_read.standing(case.purchase.member_id, at=now)).tier.code
    return ClawBack(Claw.ALLOW, claw.cap_of(tier))


def _taking(
    new: NewRefund, purchase: PurchaseView, asset: Asset, amount: int, policy: ClawBack, keys: tuple[str, ...]
) -> TakeBack:
    return TakeBack(
        member_id=purchase.member_id,
        asset=asset,
        amount=amount,
        key=_key(new, asset),
        kind="refund",
        reason={"purchase_id": purchase.id, "amount_fen": new.amount_fen},
        occurred_at=new.occurred_at,
        reverses=keys or (earning.earn_key(purchase.id, asset),),
        policy=policy,
    )


def _key(new: NewRefund, what: str) -> str:
    return f"refund:{new.source}:{new.external_id}:{what}"


def _reached(outcome: Outcome) -> _Taken:
    ensure(isinstance(outcome, Posted), "a claw-back is never refused")
    if not isinstance(outcome, Posted):
        return _Taken()
    taken = -outcome.delta - outcome.arrears_delta - outcome.pending_delta
    return _Taken(taken, outcome.arrears_delta, outcome.forgiven)


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
    if isinstance(principal, StaffPrincipal | PartnerPrincipal):
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
