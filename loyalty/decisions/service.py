"""Deciding what waits for another person, whatever kind of request it is: the literal table of kinds."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from loyalty.access import StaffPrincipal
from loyalty.approvals import queries as approvals_read
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.deductions import service as deductions
from loyalty.draws import asking as draws
from loyalty.earning import asking as earning
from loyalty.points import service as points
from loyalty.staff_refunds import service as staff_refunds
from loyalty.stored_value import payouts
from loyalty.tier_overrides import service as overrides

Unit = Literal["points", "fen", "none"]


class Decide(Protocol):
    """Settles an approval of its kind and carries an approved one out."""

    def __call__(
        self, approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime
    ) -> Awaitable[ApprovalView]:
        """See the class."""
        ...


class Close(Protocol):
    """Notes on what was asked for that nobody decided in time."""

    def __call__(self, approval: ApprovalView, status: str, /) -> Awaitable[None]:
        """See the class."""
        ...


@dataclass(frozen=True, slots=True)
class Kind:
    """How requests of one kind are decided and closed, and what their amounts count."""

    decide: Decide
    close: Close
    unit: Unit


KINDS: Final[Mapping[str, Kind]] = {
    points.KIND: Kind(points.decide_grant, points.close, "points"),
    payouts.KIND: Kind(payouts.decide, payouts.close, "fen"),
    deductions.KIND: Kind(deductions.decide, deductions.close, "points"),
    staff_refunds.KIND: Kind(staff_refunds.decide, staff_refunds.close, "fen"),
    earning.KIND: Kind(earning.decide, earning.close, "points"),
    draws.KIND: Kind(draws.decide, draws.close, "fen"),
    overrides.KIND: Kind(overrides.decide, overrides.close, "none"),
}


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse; what is approved happens in the same unit of work.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
    """
    asked = await approvals_read.find(approval_id)
    if asked is None:
        raise ApprovalUnknown
    return await KINDS[asked.kind].decide(approval_id, principal, approve=approve, now=now)


async def expire_due(*, now: datetime, batch_max: int) -> int:
    """Close what nobody decided in time; how many."""
    expired = await approvals.expire_due(now=now, batch_max=batch_max)
    for approval in expired:
        await KINDS[approval.kind].close(approval, "expired")
    return len(expired)
