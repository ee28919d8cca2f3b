"""Draws that one person may not publish alone: another one agrees to exactly the odds and prizes that were read."""

from datetime import datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Principal, StaffPrincipal
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.draws import publishing, rules
from loyalty.draws.publishing import DrawChanged
from loyalty.draws.queries import DrawView
from loyalty.program import queries as program
from loyalty.program.terms import Terms

KIND: Final = "draw"

_OPEN: Final = """
SELECT a.public_id FROM draw d JOIN approval a ON a.id = d.approval_id
WHERE d.id = $1 AND a.status = 'pending' AND a.expires_at > $2 AND a.payload ->> 'fingerprint' = $3
"""


async def publish(code: str, fingerprint: str, *, principal: Principal, now: datetime) -> tuple[DrawView, str | None]:
    """Publish a draft, or ask another person: then it stays a draft, and the request's id is told, too.

    Asked again about the same draft, the same request waits.

    Raises:
        as `publishing.publish`
    """
    found = await publishing.draft_of(code, principal=principal, now=now)
    if found.fingerprint != fingerprint:
        raise DrawChanged
    terms = (await program.in_force(now)).terms
    alone = terms.draws
    large = rules.needs_another(found.draw, alone_fen=alone.alone_fen, alone_chance_fen=alone.alone_chance_fen)
    if not large or not isinstance(principal, StaffPrincipal):
        return await publishing.publish(code, fingerprint, principal=principal, now=now), None
    waiting: str | None = await db.fetch_value(_OPEN, found.id, now, fingerprint)
    return found, waiting or await _ask(found, principal, terms, now)


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Agree to a draw and publish it, or refuse it; it stays a draft then.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        DrawChanged, DrawFrozen, DrawTooLate: it is not the draft any more that was asked about.
        Forbidden, OwnRequest: the principal may not decide this one.
    """
    access.authorize(principal, Action.TERMS_APPROVE)
    decided = await approvals.settle(approval_id, principal, approve=approve, now=now)
    if approve:
        payload = decided.payload
        await publishing.carry_out(payload["code"], payload["fingerprint"], principal=principal, now=now)
    return decided


async def close(_approval: ApprovalView, _status: str) -> None:
    """A draw that was not agreed to is the draft that it was."""


async def _ask(found: DrawView, principal: StaffPrincipal, terms: Terms, now: datetime) -> str:
    worth_fen = sum(prize.worth_fen * (prize.stock or 0) for prize in found.draw.prizes)
    payload = {
        "code": found.code,
        "fingerprint": found.fingerprint,
        "budget_fen": rules.budget_fen(found.draw),
        "chance_fen": rules.chance_fen(found.draw),
    }
    request = approvals.Request(
        kind=KIND,
        payload=payload,
        amount=worth_fen,
        member_id=None,
        store_id=None,
        expires_at=now + timedelta(hours=terms.staff.approval_hours),
    )
    asked = await approvals.ask(request, principal, now=now)
    await db.execute("UPDATE draw SET approval_id = $2 WHERE id = $1", found.id, asked.id)
    return asked.public_id
