"""Value that waits for another person: asked for, decided once, or left to expire.

An approval is bound to its payload by a hash: what is carried out is what was asked for. The verb of each
kind (`points.service.decide_grant`) settles the approval here and carries it out in the same transaction.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.approvals.queries import COLUMNS, ApprovalView, find, view_of
from loyalty.audit import service as audit
from loyalty.errors import Conflict, NotFound, ensure, unreachable
from loyalty.events import ApprovalDecided, ApprovalRequested
from loyalty.spine import service as spine

PUBLIC_ID_BYTES: Final = 12

_DECIDE = f"""
UPDATE approval SET status = $2, decided_by = $3, decided_at = $4
WHERE id = $1 AND status = 'pending' AND expires_at > $4 AND requested_by <> $3
RETURNING {COLUMNS}
"""
_EXPIRE = f"""
UPDATE approval SET status = 'expired' WHERE id IN (
    SELECT id FROM approval WHERE status = 'pending' AND expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING {COLUMNS}
"""


class ApprovalUnknown(NotFound):
    """No such approval, or not one of this store."""

    code = "approvals.unknown"


class AlreadyDecided(Conflict):
    """Somebody decided before; `status` and `decided_at` say how and when."""

    code = "approvals.already_decided"


class ApprovalExpired(Conflict):
    """Nobody decided in time."""

    code = "approvals.expired"


class PayloadChanged(Conflict):
    """The stored request is not the one that was asked for; it cannot be approved."""

    code = "approvals.payload_changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for, with everything needed to carry it out: `amount` in points or fen as the kind says, for
    `member_id`, or for nobody in particular."""

    kind: str
    payload: Mapping[str, Any]
    amount: int
    member_id: int | None
    store_id: int | None
    expires_at: datetime


async def ask(request: Request, principal: StaffPrincipal, *, now: datetime) -> ApprovalView:
    """Store a pending request and tell it to whoever may decide, by the event `approval.requested`."""
    ensure(request.expires_at > now, "an approval leaves time to decide")
    row = await db.fetch_one(
        "INSERT INTO approval (public_id, kind, payload, payload_hash, amount, requested_by, store_id, member_id,"
        " status, created_at, expires_at) VALUES ($1, $2, $3::jsonb, $4, $5, $6, $7, $8, 'pending', $9, $10)"
        f" RETURNING {COLUMNS}",
        secrets.token_urlsafe(PUBLIC_ID_BYTES),
        request.kind,
        orjson.dumps(dict(request.payload)).decode(),
        _hash(request.kind, request.payload, request.amount, request.member_id),
        request.amount,
        principal.staff_id,
        request.store_id,
        request.member_id,
        now,
        request.expires_at,
    )
    if row is None:
        unreachable("an insert returns its row")
    asked = view_of(row)
    event = ApprovalRequested(
        member_id=asked.member_id,
        at=now,
        approval_id=asked.public_id,
        requested_by=principal.staff_id,
        kind=asked.kind,
        amount=asked.amount,
    )
    await spine.record(event, now=now)
    return asked


async def settle(
    public_id: str, principal: StaffPrincipal, *, approve: bool, beneficiary_id: int | None = None, now: datetime
) -> ApprovalView:
    """Decide a pending approval, once; the caller carries an approved one out.

    `beneficiary_id` is who gains today, when the member it was asked for has become another by a merge.

    Raises:
        ApprovalUnknown: it does not exist, or the principal's store is another.
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
        AlreadyDecided, ApprovalExpired, PayloadChanged
    """
    asked = await find(public_id)
    if asked is None:
        raise ApprovalUnknown
    _authorize(principal, asked, beneficiary_id or asked.member_id)
    if approve and asked.payload_hash != _hash(asked.kind, asked.payload, asked.amount, asked.member_id):
        raise PayloadChanged
    row = await db.fetch_one(_DECIDE, asked.id, "approved" if approve else "refused", principal.staff_id, now)
    if row is None:
        raise await _why_not(public_id, now)
    decided = view_of(row)
    await _tell(decided, principal, approve=approve, now=now)
    return decided


async def expire_due(*, now: datetime, batch_max: int) -> list[ApprovalView]:
    """Close requests that nobody decided in time; a late decision is refused even before this ran."""
    return [view_of(row) for row in await db.fetch(_EXPIRE, now, batch_max)]


def _authorize(principal: StaffPrincipal, asked: ApprovalView, beneficiary_id: int | None) -> None:
    resource = Resource(store_id=asked.store_id, member_id=beneficiary_id, requested_by=asked.requested_by)
    try:
        access.authorize(principal, Action.APPROVAL_DECIDE, resource)
    except access.OtherStore:
        raise ApprovalUnknown from None


async def _why_not(public_id: str, now: datetime) -> Conflict:
    asked = await find(public_id)
    if asked is None:
        unreachable("approvals are never removed")
    if asked.status in {"approved", "refused"}:
        return AlreadyDecided(status=asked.status, decided_at=asked.decided_at)
    ensure(asked.status == "expired" or asked.expires_at <= now, "a pending approval in time can be decided")
    return ApprovalExpired(expires_at=asked.expires_at)


async def _tell(decided: ApprovalView, principal: StaffPrincipal, *, approve: bool, now: datetime) -> None:
    await spine.record(
        ApprovalDecided(
            member_id=decided.member_id,
            at=now,
            approval_id=decided.public_id,
            requested_by=decided.requested_by,
            decided_by=principal.staff_id,
            approved=approve,
            kind=decided.kind,
            amount=decided.amount,
        ),
        now=now,
    )
    await audit.record(
        audit.Deed(
            principal=principal,
            action="approval.approve" if approve else "approval.refuse",
            member_id=decided.member_id,
            store_id=decided.store_id,
            details={"approval_id": decided.public_id, "kind": decided.kind, "amount": decided.amount},
        ),
        now=now,
    )


def _hash(kind: str, payload: Mapping[str, Any], amount: int, member_id: int | None) -> str:
    request = {"kind": kind, "payload": dict(payload), "amount": amount, "member_id": member_id}
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()
