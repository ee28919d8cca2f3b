"""Paying stored value out, as the law reckons it: calculated for everybody to see, paid once, by two people above a
limit. The money itself leaves by the counter or the payment platform; its proof is the row here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.audit import service as audit
from loyalty.clock import business_day
from loyalty.errors import Conflict, Invalid, NotFound, ensure
from loyalty.events import StoredValueRefunded
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Asset, Operation, TakeBack
from loyalty.ledger.outcomes import Posted
from loyalty.program import queries as program
from loyalty.program.terms import StoredValueTerms, Terms
from loyalty.spine import service as spine
from loyalty.stored_value.queries import SliceView, find, grant_key
from loyalty.stored_value.rules import Calculation, Cause, Rate, calculate, within_withdrawal
from loyalty.stored_value.service import lock

KIND: Final = "stored_payout"
KIND_PAID_OUT: Final = "stored_payout"
REASON_LENGTH_MAX: Final = 200
ENDED_DAYS_MAX: Final = 3660


class SliceUnknown(NotFound):
    """No such top-up, or it is not this member's."""

    code = "stored_value.slice_unknown"


class AlreadyPaidOut(Conflict):
    """The top-up was paid out before."""

    code = "stored_value.paid_out"


class WithdrawalOver(Conflict):
    """The seven days in which no reason is needed are over; `days` is how many there are."""

    code = "stored_value.withdrawal_over"


class PayoutInvalid(Invalid):
    """A value is out of range; `field` names it."""

    code = "stored_value.payout_invalid"


class PayoutChanged(Conflict):
    """The top-up was used, or a day has passed, since the payout was asked for: `due_fen` would be paid now."""

    code = "stored_value.payout_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Whose reason it is, and since when the contract has ended (None: today)."""

    slice_id: int
    cause: Cause
    reason: str
    ended_on: date | None = None


@dataclass(frozen=True, slots=True)
class PaidOut:
    """The money is to be handed over now."""

    slice_id: int
    calculation: Calculation


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another person decides first."""

    slice_id: int
    calculation: Calculation
    approval_id: str
    expires_at: datetime


async def preview(slice_id: int, member_id: int, *, now: datetime, ended_on: date | None = None) -> list[Calculation]:
    """What would go back of one top-up for each cause that applies today. Nothing is written.

    Raises:
        SliceUnknown, AlreadyPaidOut
    """
    one = await _open(slice_id, member_id)
    terms = (await program.in_force(now)).terms
    today = business_day(now, terms.calendar)
    causes = [Cause.MERCHANT, Cause.CONSUMER]
    if within_withdrawal(business_day(one.paid_at, terms.calendar), today):
        causes.insert(0, Cause.WITHDRAWAL)
    return [_calculated(one, cause, ended_on or today, today, terms) for cause in causes]


async def pay_out(asked: Asked, member_id: int, *, principal: StaffPrincipal, now: datetime) -> PaidOut | Waiting:
    """Pay one top-up out, or ask another person when it is more than one may pay alone.

    Raises:
        SliceUnknown, AlreadyPaidOut, WithdrawalOver, PayoutInvalid
        Forbidden, OwnMembership
    """
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    access.authorize_alone(principal, Action.STORED_VALUE_PAY_OUT, resource)
    await lock(member_id)
    one, calculation, terms = await _asked(asked, member_id, now)
    if calculation.total_fen > terms.stored_value.payout_alone_fen:
        return await _ask(asked, one, calculation, principal, terms, now)
    await _pay(asked, one, calculation, principal.staff_id, now)
    await _note(principal, "done", one, calculation, asked.reason, now)
    return PaidOut(one.id, calculation)


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse a payout that waits; an approved one is paid in the same unit of work, at exactly what was
    asked for.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged, PayoutChanged, SliceUnknown, AlreadyPaidOut
        Forbidden, OwnRequest, OwnMembership
    """
    decided = await approvals.settle(approval_id, principal, approve=approve, now=now)
    if approve:
        asked = _read(decided.payload)
        one = await find(asked.slice_id)
        if one is None:
            raise SliceUnknown
        await lock(one.member_id)
        one, calculation, _ = await _asked(asked, one.member_id, now)
        if calculation.total_fen != decided.amount:
            raise PayoutChanged(due_fen=calculation.total_fen)
        await _pay(asked, one, calculation, decided.requested_by, now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """A payout that nobody approved: nothing was reserved for it."""


def _calculated(one: SliceView, cause: Cause, ended_on: date, today: date, terms: Terms) -> Calculation:
    paid_on = business_day(one.paid_at, terms.calendar)
    rates = _rates(terms.stored_value, cause)
    return calculate(one.as_rule(paid_on), cause, ended_on=ended_on, paid_out_on=today, rates=rates)


def _rates(terms: StoredValueTerms, cause: Cause) -> list[Rate]:
    chosen = terms.loan_rates if cause is Cause.MERCHANT else terms.deposit_rates
    return [Rate(one.since, one.basis_points) for one in chosen]


async def _open(slice_id: int, member_id: int) -> SliceView:
    one = await find(slice_id)
    if one is None or one.member_id != member_id:
        raise SliceUnknown
    if one.status != "open":
        raise AlreadyPaidOut
    return one


async def _asked(asked: Asked, member_id: int, now: datetime) -> tuple[SliceView, Calculation, Terms]:
    one = await _open(asked.slice_id, member_id)
    terms = (await program.in_force(now)).terms
    today, paid_on = business_day(now, terms.calendar), business_day(one.paid_at, terms.calendar)
    ended_on = asked.ended_on or today
    if not asked.reason.strip() or len(asked.reason) > REASON_LENGTH_MAX:
        raise PayoutInvalid(field="reason")
    if not max(paid_on, today - timedelta(days=ENDED_DAYS_MAX)) <= ended_on <= today:
        raise PayoutInvalid(field="ended_on")
    if asked.cause is Cause.WITHDRAWAL and not within_withdrawal(paid_on, today):
        raise WithdrawalOver(days=7)
    return one, _calculated(one, asked.cause, ended_on, today, terms), terms


async def _pay(asked: Asked, one: SliceView, calculation: Calculation, staff_id: int, now: datetime) -> None:
    left = {Asset.PRINCIPAL: one.principal_left_fen, Asset.BONUS: one.bonus_left_fen}
    operations: list[Operation] = [
        TakeBack(
            member_id=one.member_id,
            asset=asset,
            amount=amount,
            key=f"stored:{one.id}:paid_out:{asset}",
            kind=KIND_PAID_OUT,
            occurred_at=now,
            reason={"stored_slice_id": one.id},
            reverses=(grant_key(one.id, asset),),
        )
        for asset, amount in left.items()
        if amount
    ]
    for outcome in await ledger.post(operations, now=now):
        whole = isinstance(outcome, Posted) and not outcome.forgiven
        ensure(whole, "the account is locked, and what is left of the top-up was read")
    await db.execute("UPDATE stored_slice SET status = 'paid_out' WHERE id = $1", one.id)
    await db.execute(
        "INSERT INTO stored_payout (slice_id, member_id, cause, principal_fen, interest_fen, principal_taken_fen,"
        " bonus_taken_fen, calculation, reason, staff_id, ended_on, paid_out_at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12)",
        one.id,
        one.member_id,
        calculation.cause,
        calculation.principal_fen,
        calculation.interest_fen,
        left[Asset.PRINCIPAL],
        left[Asset.BONUS],
        orjson.dumps(asdict(calculation)).decode(),
        asked.reason,
        staff_id,
        asked.ended_on or now.date(),
        now,
    )
    event = StoredValueRefunded(
        member_id=one.member_id, at=now, slice_id=one.id, cause=calculation.cause, amount_fen=calculation.total_fen
    )
    await spine.record(event, now=now)


async def _ask(
    asked: Asked, one: SliceView, calculation: Calculation, principal: StaffPrincipal, terms: Terms, now: datetime
) -> Waiting:
    request = approvals.Request(
        kind=KIND,
        payload={
            "slice_id": asked.slice_id,
            "cause": asked.cause.value,
            "reason": asked.reason,
            "ended_on": None if asked.ended_on is None else asked.ended_on.isoformat(),
        },
        amount=calculation.total_fen,
        member_id=one.member_id,
        store_id=principal.store_id,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    approval = await approvals.ask(request, principal, now=now)
    await _note(principal, "asked", one, calculation, asked.reason, now)
    return Waiting(one.id, calculation, approval.public_id, approval.expires_at)


def _read(payload: Mapping[str, Any]) -> Asked:
    ended_on = payload["ended_on"]
    return Asked(
        slice_id=payload["slice_id"],
        cause=Cause(payload["cause"]),
        reason=payload["reason"],
        ended_on=None if ended_on is None else date.fromisoformat(ended_on),
    )


async def _note(
    principal: StaffPrincipal,
    outcome: audit.Outcome,
    one: SliceView,
    calculation: Calculation,
    reason: str,
    now: datetime,
) -> None:
    deed = audit.Deed(
        principal=principal,
        action=Action.STORED_VALUE_PAY_OUT,
        outcome=outcome,
        member_id=one.member_id,
        store_id=principal.store_id,
        reason=reason,
        details={"slice_id": one.id, "cause": calculation.cause.value, "amount_fen": calculation.total_fen},
    )
    await audit.record(deed, now=now)
