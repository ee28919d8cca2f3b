"""Rules that one person may not bring before members alone: another one agrees to exactly the draft that was read."""

from datetime import datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, StaffPrincipal
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.earning import publishing, queries
from loyalty.earning.publishing import RuleChanged
from loyalty.earning.queries import COLUMNS, RuleView, view_of
from loyalty.errors import unreachable
from loyalty.program import queries as program

KIND: Final = "earning_rule"

_WAIT: Final = f"""
UPDATE earning_rule SET status = 'waiting', approval_id = $2 WHERE id = $1 AND status = 'draft' RETURNING {COLUMNS}
"""
_WAITING: Final = f"""
SELECT {COLUMNS} FROM earning_rule
WHERE status = 'waiting' AND approval_id = (SELECT id FROM approval WHERE public_id = $1) FOR UPDATE
"""
_CLOSE: Final = """
UPDATE earning_rule SET status = $2::text, approval_id = CASE $2::text WHEN 'draft' THEN NULL ELSE approval_id END
WHERE approval_id = $1 AND status = 'waiting'
"""


async def publish(code: str, fingerprint: str, *, principal: StaffPrincipal, now: datetime) -> RuleView:
    """Publish a draft, or ask another person where its budget is above what one person decides about.

    Raises:
        as `publishing.publish`, but for NeedsAnother
    """
    try:
        return await publishing.publish(code, fingerprint, principal=principal, now=now)
    except access.NeedsAnother:
        return await _ask(await publishing.draft_of(code, fingerprint, now), principal, now)


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Agree to a rule that waits and publish it, or refuse it: a refused version stays, the next one is new.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged, RuleChanged, BudgetSpent
        Forbidden, OwnRequest: the principal may not decide this one.
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work any more.
    """
    access.authorize(principal, Action.TERMS_APPROVE)
    decided = await approvals.settle(approval_id, principal, approve=approve, now=now)
    if not approve:
        await close(decided, "refused")
        return decided
    row = await db.fetch_one(_WAITING, approval_id)
    if row is None:
        raise ApprovalUnknown
    found = view_of(row)
    if found.fingerprint != decided.payload["fingerprint"]:
        raise RuleChanged
    await publishing.check(found.rule, now=now)
    await publishing.carry_out(found, principal=principal, now=now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """What was refused stays as it is; what nobody decided about is a draft again."""
    await db.execute(_CLOSE, approval.id, "refused" if status == "refused" else "draft")


async def _ask(found: RuleView, principal: StaffPrincipal, now: datetime) -> RuleView:
    terms = (await program.in_force(now)).terms
    budget = found.rule.budget
    request = approvals.Request(
        kind=KIND,
        payload={
            "code": found.code,
            "version": found.version,
            "fingerprint": found.fingerprint,
            "budget": budget is not None,
        },
        amount=budget.total if budget is not None else 0,
        member_id=None,
        store_id=None,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    asked = await approvals.ask(request, principal, now=now)
    row = await db.fetch_one(_WAIT, found.id, asked.id)
    return view_of(row) if row is not None else unreachable("the draft was read in this unit of work")


async def approval_of(view: RuleView) -> str | None:
    """The id of the request that a version waits for."""
    if view.status != "waiting":
        return None
    found: str | None = await db.fetch_value("SELECT public_id FROM approval WHERE id = $1", view.approval_id)
    return found


async def waiting_version(code: str, fingerprint: str) -> str | None:
    """The request about exactly this draft, where it waits."""
    for view in await queries.versions(code):
        if view.status == "waiting" and view.fingerprint == fingerprint:
            return await approval_of(view)
    return None
