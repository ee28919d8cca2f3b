"""Points given by people, and the approvals that larger gifts wait for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from loyalty.access import Action, OtherStore, OwnMembership, OwnRequest
from loyalty.approvals import queries as approvals_read
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import AlreadyDecided, ApprovalExpired, ApprovalUnknown, PayloadChanged
from loyalty.counter import service as counter
from loyalty.decisions import service as decisions
from loyalty.draws.publishing import DrawChanged, DrawFrozen, DrawTooLate
from loyalty.earning.publishing import BudgetSpent, RuleChanged
from loyalty.ladders import queries as ladders
from loyalty.members import queries as members
from loyalty.members.service import MemberGone
from loyalty.points import service as points
from loyalty.points.service import AwaitingApproval, GrantInvalid, GrantKeyReused
from loyalty.refunds.service import RefundTooLarge
from loyalty.staff_refunds.service import QuoteChanged
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import Served, served


class PointGrant(Body):
    """Points that a person gives, and why."""

    member: UUID
    points: Annotated[int, Field(ge=1, le=10**6)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class Decision(Body):
    """Approve or refuse."""

    approve: bool


@dataclass(frozen=True, slots=True)
class PointGrantOutcome:
    """The points are given, or wait for another person."""

    status: Literal["granted", "pending"]
    points: int
    balance: int | None
    approval: str | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Approval:
    """A request of value that waits, or waited, for another person; `amount` counts what `unit` says, `details` is what
    would be carried out."""

    id: str
    kind: str
    amount: int
    unit: Literal["points", "fen", "none"]
    reason: str
    details: Mapping[str, Any]
    member: Served | None
    status: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Approvals:
    """What the caller could decide now, oldest first."""

    items: tuple[Approval, ...]


async def staff_grant_points(call: Call[PointGrant, NoQuery]) -> PointGrantOutcome:
    """Give points within the limit, or ask another person."""
    wanted = call.body
    card = await counter.recall(wanted.member, server=call.staff, action=Action.POINTS_GRANT, now=call.now)
    key = call.operation_key
    outcome = await points.grant_points(call.staff, card.id, wanted.points, reason=wanted.reason, key=key, now=call.now)
    if isinstance(outcome, AwaitingApproval):
        return PointGrantOutcome("pending", outcome.points, None, outcome.approval_id, outcome.expires_at)
    return PointGrantOutcome("granted", outcome.points, outcome.balance, None, None)


async def staff_approvals(call: Call[NoBody, NoQuery]) -> Approvals:
    """What the caller could decide."""
    waiting = await approvals_read.waiting_for(call.staff, now=call.now)
    return Approvals(items=tuple([await _approval(call, asked) for asked in waiting]))


async def staff_decide(call: Call[Decision, NoQuery]) -> Approval:
    """Decide what another person asked for."""
    decided = await decisions.decide(call.path["approval"], call.staff, approve=call.body.approve, now=call.now)
    return await _approval(call, decided)


async def _approval(call: Call[NoBody, NoQuery] | Call[Decision, NoQuery], asked: ApprovalView) -> Approval:
    return Approval(
        id=asked.public_id,
        kind=asked.kind,
        amount=asked.amount,
        unit=decisions.KINDS[asked.kind].unit,
        reason=str(asked.payload.get("reason", "")),
        details=asked.payload,
        member=await _member(call, asked.member_id),
        status=asked.status,
        created_at=asked.created_at,
        expires_at=asked.expires_at,
    )


async def _member(call: Call[NoBody, NoQuery] | Call[Decision, NoQuery], member_id: int | None) -> Served | None:
    if member_id is None:
        return None
    try:
        card = await members.card(member_id, at=call.now)
    except MemberGone:
        return None
    return served(card, await ladders.in_force(call.now), call.locale)


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/staff/point-grants",
        run=staff_grant_points,
        audience=Audience.STAFF,
        action=Action.POINTS_GRANT,
        body=PointGrant,
        result=PointGrantOutcome,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(OtherStore, OwnMembership, MemberGone, GrantInvalid, GrantKeyReused),
        summary=Summary("补发积分（超过额度需审批）", "Grant points (above the limit another person decides)"),
    ),
    Endpoint(
        method="GET",
        path="/v1/staff/approvals",
        run=staff_approvals,
        audience=Audience.STAFF,
        action=Action.APPROVAL_READ,
        result=Approvals,
        refusals=(OtherStore,),
        summary=Summary("待我审批", "What waits for my decision"),
    ),
    Endpoint(
        method="POST",
        path="/v1/staff/approvals/{approval}/decision",
        run=staff_decide,
        audience=Audience.STAFF,
        action=Action.APPROVAL_DECIDE,
        body=Decision,
        result=Approval,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(
            OtherStore,
            OwnMembership,
            OwnRequest,
            ApprovalUnknown,
            AlreadyDecided,
            ApprovalExpired,
            PayloadChanged,
            QuoteChanged,
            RefundTooLarge,
            RuleChanged,
            BudgetSpent,
            DrawChanged,
            DrawFrozen,
            DrawTooLate,
        ),
        summary=Summary("批准或驳回", "Approve or refuse"),
    ),
)
