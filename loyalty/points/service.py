"""Points given by people: at once within their limit, above it when another person approves."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from loyalty import access, db
from loyalty.access import Action, Limit, Resource, StaffPrincipal
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.audit import service as audit
from loyalty.clock import business_day
from loyalty.errors import Conflict, Invalid, unreachable
from loyalty.events import PointsAccrued
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Posted
from loyalty.points import rules
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.terms import Terms
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

KIND: Final = "points_grant"
POINTS_MAX: Final = 10**6
REASON_LENGTH_MAX: Final = 200
KEY_LENGTH_MAX: Final = 80

_RESERVE = """
INSERT INTO point_grant (staff_id, key, member_id, store_id, points, reason, day, status, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8)
ON CONFLICT (staff_id, key) DO NOTHING RETURNING id
"""
_KNOWN = """
SELECT g.id, g.member_id, g.points, g.reason, g.status, g.entry_id, a.public_id AS approval_id, a.expires_at,
       e.balance_after
FROM point_grant g LEFT JOIN approval a ON a.id = g.approval_id
LEFT JOIN ledger_entry e ON e.id = g.entry_id AND e.member_id = g.member_id
WHERE g.staff_id = $1 AND g.key = $2
"""
_WAITING = """
SELECT g.id, g.member_id FROM point_grant g JOIN approval a ON a.id = g.approval_id WHERE a.public_id = $1
"""
# The row is the day's counter and its lock: grants of one person on one day count one after another.
_COUNT = """
INSERT INTO point_grant_day AS d (staff_id, day, points) VALUES ($1, $2, $3)
ON CONFLICT (staff_id, day) DO UPDATE SET points = d.points + excluded.points
RETURNING points
"""


class GrantInvalid(Invalid):
    """A value of the grant is out of range; `field` names it."""

    code = "points.invalid"


class GrantKeyReused(Conflict):
    """The same person used this key for another grant."""

    code = "points.key_reused"


@dataclass(frozen=True, slots=True)
class Granted:
    """The points are the member's; `balance` is what they had right afterwards."""

    grant_id: int
    points: int
    balance: int
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class AwaitingApproval:
    """Another person decides until `expires_at`; `status` tells a repeat what became of it meanwhile."""

    grant_id: int
    points: int
    approval_id: str
    expires_at: datetime
    status: str = "pending"
    replayed: bool = False


GrantOutcome = Granted | AwaitingApproval


async def grant_points(
    principal: StaffPrincipal, member_id: int, points: int, *, reason: str, key: str, now: datetime
) -> GrantOutcome:
    """Give `points` at once within the principal's limits per grant and day, or ask another person.

    The same key of the same principal gives once and answers the same.

    Raises:
        Forbidden, OwnMembership: the principal may not.
        GrantInvalid, GrantKeyReused
    """
    _check(points, reason, key)
    terms = (await program.in_force(now)).terms
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    limit = access.authorize(principal, Action.POINTS_GRANT, resource, limits=terms.staff).limit
    if limit is None:
        unreachable("whoever may grant points has a limit")
    day = business_day(now, terms.calendar)
    grant_id = await db.fetch_value(
        _RESERVE, principal.staff_id, key, member_id, principal.store_id, points, reason, day, now
    )
    if grant_id is None:
        return await _repeat(principal, member_id, points, reason, key)
    asked = _Grant(grant_id, principal, member_id, points, reason)
    if await _needs_another(asked, day, limit):
        return await _ask(asked, terms, now)
    return await _give(asked, terms, now)


async def decide_grant(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse a grant that waits; approved points are posted in the same unit of work.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
    """
    # The grant follows its member through a merge, the request keeps naming whom it was asked for.
    waiting = await db.fetch_one(_WAITING, approval_id)
    if waiting is None:
        raise ApprovalUnknown
    beneficiary_id: int = waiting["member_id"]
    decided = await approvals.settle(approval_id, principal, approve=approve, beneficiary_id=beneficiary_id, now=now)
    if not approve:
        await close(decided, "refused")
        return decided
    terms = (await program.in_force(now)).terms
    reason = {"grant_id": waiting["id"], "staff_id": decided.requested_by, "approved_by": principal.staff_id}
    await _post(waiting["id"], beneficiary_id, decided.amount, reason, terms, now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """Note on a grant that it will not be given, and give its points back to the day's limit."""
    row = await db.fetch_one(
        "UPDATE point_grant SET status = $2 WHERE approval_id = $1 AND status = 'pending'"
        " RETURNING staff_id, day, points",
        approval.id,
        status,
    )
    if row is None:
        unreachable("an open approval has a pending grant")
    await db.execute(
        "UPDATE point_grant_day SET points = points - $3 WHERE staff_id = $1 AND day = $2",
        row["staff_id"],
        row["day"],
        row["points"],
    )


@dataclass(frozen=True, slots=True)
class _Grant:
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
            raise GrantInvalid(field=name)


async def _repeat(principal: StaffPrincipal, member_id: int, points: int, reason: str, key: str) -> GrantOutcome:
    row = await db.fetch_one(_KNOWN, principal.staff_id, key)
    if row is None:
        unreachable("grants are never removed")
    if (row["member_id"], row["points"], row["reason"]) != (member_id, points, reason):
        raise GrantKeyReused(key=key)
    if row["approval_id"] is None:
        return Granted(row["id"], points, row["balance_after"], replayed=True)
    return AwaitingApproval(row["id"], points, row["approval_id"], row["expires_at"], row["status"], replayed=True)


async def _needs_another(asked: _Grant, day: date, limit: Limit) -> bool:
    counted: int = await db.fetch_value(_COUNT, asked.principal.staff_id, day, asked.points)
    return rules.needs_another(asked.points, given_today=counted - asked.points, limit=limit)


async def _ask(asked: _Grant, terms: Terms, now: datetime) -> AwaitingApproval:
    request = approvals.Request(
        kind=KIND,
        payload={"grant_id": asked.id, "reason": asked.reason},
        amount=asked.points,
        member_id=asked.member_id,
        store_id=asked.principal.store_id,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    approval = await approvals.ask(request, asked.principal, now=now)
    await db.execute("UPDATE point_grant SET approval_id = $2 WHERE id = $1", asked.id, approval.id)
    await _audit(asked, "asked", now, approval_id=approval.public_id)
    return AwaitingApproval(asked.id, asked.points, approval.public_id, approval.expires_at)


async def _give(asked: _Grant, terms: Terms, now: datetime) -> Granted:
    reason = {"grant_id": asked.id, "staff_id": asked.principal.staff_id}
    posted = await _post(asked.id, asked.member_id, asked.points, reason, terms, now)
    await _audit(asked, "done", now)
    return Granted(asked.id, asked.points, posted.balance)


async def _post(
    grant_id: int, member_id: int, points: int, reason: Mapping[str, Any], terms: Terms, now: datetime
) -> Posted:
    lasts = validity.of_points(terms, now)
    grant = Grant(
        member_id=member_id,
        asset=Asset.POINTS,
        amount=points,
        key=f"grant:{grant_id}",
        kind="staff_grant",
        reason=reason,
        occurred_at=now,
        expires_at=lasts.expires_at,
        idle=lasts.idle,
    )
    posted = await ledger.post_one(grant, now=now)
    await tiers.review_posted([(grant, posted)], now=now)
    await db.execute(
        "UPDATE point_grant SET status = 'posted', entry_id = $2 WHERE id = $1 AND status = 'pending'",
        grant_id,
        posted.entry_id,
    )
    event = PointsAccrued(member_id=member_id, at=now, points=points, balance=posted.balance, key=grant.key)
    await spine.record(event, now=now)
    return posted


async def _audit(asked: _Grant, outcome: audit.Outcome, now: datetime, **details: str) -> None:
    await audit.record(
        audit.Deed(
            principal=asked.principal,
            action=Action.POINTS_GRANT,
            outcome=outcome,
            member_id=asked.member_id,
            store_id=asked.principal.store_id,
            reason=asked.reason,
            details={"grant_id": asked.id, "points": asked.points, **details},
        ),
        now=now,
    )
