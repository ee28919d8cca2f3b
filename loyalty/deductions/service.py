"""Points taken by people: at once within their limit, above it when another person approves.

How far it reaches is the terms' policy for claw-backs, but for one thing: a policy that takes pending points only is
about returned goods, and here what is usable is taken. What is out of reach is written down, never silently dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.allowances import service as allowances
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.audit import service as audit
from loyalty.clock import business_day
from loyalty.errors import Conflict, Invalid, unreachable
from loyalty.events import PointsDeducted
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Claw, ClawBack, TakeBack
from loyalty.program import queries as program
from loyalty.program.terms import Terms
from loyalty.spine import service as spine
from loyalty.tiers import queries as tiers_read
from loyalty.tiers import service as tiers

KIND: Final = "points_deduction"
ENTRY_KIND: Final = "staff_deduction"
POINTS_MAX: Final = 10**6
REASON_LENGTH_MAX: Final = 200
KEY_LENGTH_MAX: Final = 80

Status = Literal["posted", "pending", "refused", "expired"]

_COLUMNS: Final = "id, member_id, points, reason, status, taken, owed, forgiven"
_RESERVE: Final = """
INSERT INTO point_deduction (staff_id, key, member_id, store_id, points, reason, day, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8)
ON CONFLICT (staff_id, key) DO NOTHING RETURNING id
"""
_KNOWN: Final = f"""
SELECT {_COLUMNS}, (SELECT public_id FROM approval a WHERE a.id = d.approval_id) AS approval_id
FROM point_deduction d WHERE staff_id = $1 AND key = $2
"""
_WAITING: Final = """
SELECT d.id, d.member_id FROM point_deduction d JOIN approval a ON a.id = d.approval_id WHERE a.public_id = $1
"""
_POSTED: Final = f"""
UPDATE point_deduction SET status = 'posted', taken = $2, owed = $3, forgiven = $4
WHERE id = $1 AND status = 'pending' RETURNING {_COLUMNS}
"""


class DeductionInvalid(Invalid):
    """A value of the deduction is out of range; `field` names it."""

    code = "deductions.invalid"


class DeductionKeyReused(Conflict):
    """The same person used this key for another deduction."""

    code = "deductions.key_reused"


@dataclass(frozen=True, slots=True)
class Deduction:
    """What became of a deduction: `posted`, or `pending` until another person decides about `approval`."""

    id: int
    points: int
    status: Status
    taken: int = 0
    owed: int = 0
    forgiven: int = 0
    approval: str | None = None
    replayed: bool = False


async def deduct(
    principal: StaffPrincipal, member_id: int, points: int, *, reason: str, key: str, now: datetime
) -> Deduction:
    """Take `points` at once within the principal's limits per deed and day, or ask another person.

    The same key of the same principal takes once and answers the same.

    Raises:
        Forbidden, OwnMembership: the principal may not.
        DeductionInvalid, DeductionKeyReused
    """
    _check(points, reason, key)
    terms = (await program.in_force(now)).terms
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    limit = access.authorize(principal, Action.POINTS_DEDUCT, resource, limits=terms.staff).limit
    if limit is None:
        unreachable("whoever may take points has a limit")
    day = business_day(now, terms.calendar)
    deduction_id = await db.fetch_value(
        _RESERVE, principal.staff_id, key, member_id, principal.store_id, points, reason, day, now
    )
    if deduction_id is None:
        return await _repeat(principal, member_id, points, reason, key)
    asked = _Asked(deduction_id, principal, member_id, points, reason)
    if await allowances.exceeds(principal.staff_id, day, Action.POINTS_DEDUCT, points, limit):
        return await _ask(asked, terms, now)
    by = {"deduction_id": deduction_id, "staff_id": principal.staff_id}
    done = await _post(deduction_id, member_id, points, by, terms, now)
    await _audit(asked, "done", now, taken=done.taken, owed=done.owed, forgiven=done.forgiven)
    return done


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse a deduction that waits; an approved one is posted in the same unit of work.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
    """
    # The deduction follows its member through a merge, the request keeps naming whom it was asked for.
    waiting = await db.fetch_one(_WAITING, approval_id)
    if waiting is None:
        raise ApprovalUnknown
    member_id: int = waiting["member_id"]
    decided = await approvals.settle(approval_id, principal, approve=approve, beneficiary_id=member_id, now=now)
    if not approve:
        await close(decided, "refused")
        return decided
    terms = (await program.in_force(now)).terms
    by = {"deduction_id": waiting["id"], "staff_id": decided.requested_by, "approved_by": principal.staff_id}
    await _post(waiting["id"], member_id, decided.amount, by, terms, now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """Note on a deduction that it will not happen, and give its points back to the day's limit."""
    row = await db.fetch_one(
        "UPDATE point_deduction SET status = $2 WHERE approval_id = $1 AND status = 'pending'"
        " RETURNING staff_id, day, points",
        approval.id,
        status,
    )
    if row is None:
        unreachable("an open approval has a pending deduction")
    await allowances.give_back(row["staff_id"], row["day"], Action.POINTS_DEDUCT, row["points"])


@dataclass(frozen=True, slots=True)
class _Asked:
    id: int
    principal: StaffPrincipal
    member_id: int
    points: int
    reason: str


def _check(points: int, reason: str, key: str) -> None:
    in_range = {
        "points": 0 < points <= POINTS_MAX,
        "reason": len(reason.strip()) > 0 and len(reason) <= REASON_LENGTH_MAX,
        "key": 0 < len(key) <= KEY_LENGTH_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise DeductionInvalid(field=name)


async def _repeat(principal: StaffPrincipal, member_id: int, points: int, reason: str, key: str) -> Deduction:
    row = await db.fetch_one(_KNOWN, principal.staff_id, key)
    if row is None:
        unreachable("deductions are never removed")
    if (row["member_id"], row["points"], row["reason"]) != (member_id, points, reason):
        raise DeductionKeyReused(key=key)
    return _view(row, approval=row["approval_id"], replayed=True)


async def _ask(asked: _Asked, terms: Terms, now: datetime) -> Deduction:
    request = approvals.Request(
        kind=KIND,
        payload={"deduction_id": asked.id, "reason": asked.reason},
        amount=asked.points,
        member_id=asked.member_id,
        store_id=asked.principal.store_id,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    approval = await approvals.ask(request, asked.principal, now=now)
    await db.execute("UPDATE point_deduction SET approval_id = $2 WHERE id = $1", asked.id, approval.id)
    await _audit(asked, "asked", now, approval_id=approval.public_id)
    return Deduction(asked.id, asked.points, "pending", approval=approval.public_id)


async def _post(
    deduction_id: int, member_id: int, points: int, by: Mapping[str, Any], terms: Terms, now: datetime
) -> Deduction:
    operation = TakeBack(
        member_id=member_id,
        asset=Asset.POINTS,
        amount=points,
        key=f"deduction:{deduction_id}",
        kind=ENTRY_KIND,
        reason=by,
        occurred_at=now,
        policy=await _policy(member_id, terms, now),
    )
    posted = await ledger.post_one(operation, now=now)
    await tiers.review_posted([(operation, posted)], now=now)
    taken = -posted.delta - posted.arrears_delta - posted.pending_delta
    row = await db.fetch_one(_POSTED, deduction_id, taken, posted.arrears_delta, posted.forgiven)
    if row is None:
        unreachable("a deduction is posted once")
    event = PointsDeducted(member_id=member_id, at=now, points=taken, owed=posted.arrears_delta, key=operation.key)
    await spine.record(event, now=now)
    return _view(row)


async def _policy(member_id: int, terms: Terms, now: datetime) -> ClawBack:
    if terms.claw_back.mode != "allow":
        return ClawBack(Claw.WITHIN_BALANCE)
    tier = (await tiers_read.standing(member_id, at=now)).tier.code
    return ClawBack(Claw.ALLOW, terms.claw_back.cap_of(tier))


def _view(row: db.Row, *, approval: str | None = None, replayed: bool = False) -> Deduction:
    return Deduction(
        row["id"], row["points"], row["status"], row["taken"], row["owed"], row["forgiven"], approval, replayed
    )


async def _audit(asked: _Asked, outcome: audit.Outcome, now: datetime, **details: object) -> None:
    await audit.record(
        audit.Deed(
            principal=asked.principal,
            action=Action.POINTS_DEDUCT,
            outcome=outcome,
            member_id=asked.member_id,
            store_id=asked.principal.store_id,
            reason=asked.reason,
            details={"deduction_id": asked.id, "points": asked.points, **details},
        ),
        now=now,
    )
