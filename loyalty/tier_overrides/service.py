"""Setting a tier by hand: with a reason and an end, alone within the limits, by another person's approval above them.

The override lies over where the member stands by right, which goes on underneath; at its end what holds is that.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.approvals import service as approvals
from loyalty.approvals.queries import ApprovalView
from loyalty.approvals.service import ApprovalUnknown
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, NotFound, unreachable
from loyalty.ladders import queries as ladders_read
from loyalty.ladders.rules import Ladders
from loyalty.members.service import MemberGone
from loyalty.program import queries as program
from loyalty.program.terms import Terms
from loyalty.tier_overrides import queries, rules
from loyalty.tier_overrides.queries import OverrideView
from loyalty.tier_overrides.rules import Limits
from loyalty.tiers import advancing, standings
from loyalty.tiers import rules as machine
from loyalty.tiers import service as tiers
from loyalty.tiers.advancing import Course
from loyalty.tiers.states import Pin, held

KIND: Final = "tier_override"
REASON_LENGTH_MAX: Final = 200
KEY_LENGTH_MAX: Final = 80
LONGEST: Final = timedelta(days=5 * 366)

_RESERVE: Final = """
INSERT INTO tier_override (staff_id, key, member_id, ladder, tier, exactly, reason, status, created_at, ends_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9)
ON CONFLICT (staff_id, key) DO NOTHING RETURNING id
"""
_KNOWN: Final = "SELECT id FROM tier_override WHERE staff_id = $1 AND key = $2"
_REPLACE: Final = """
UPDATE tier_override SET ended_at = least(ends_at, $4),
    status = CASE WHEN ends_at <= $4 THEN 'ended' ELSE 'replaced' END
WHERE member_id = $1 AND ladder = $2 AND status = 'active' AND id <> $3
"""
_WAITING: Final = """
SELECT o.id, o.member_id FROM tier_override o JOIN approval a ON a.id = o.approval_id WHERE a.public_id = $1
"""


class OverrideInvalid(Invalid):
    """A value of the override is out of range; `field` names it."""

    code = "tier_overrides.invalid"


class OverrideKeyReused(Conflict):
    """The same person used this key for another override."""

    code = "tier_overrides.key_reused"


class OverrideUnknown(NotFound):
    """There is no such override, or it is over."""

    code = "tier_overrides.unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOverride:
    """At least `tier` until `ends_at`, or `exactly` it."""

    ladder: str
    tier: str
    ends_at: datetime
    reason: str
    exactly: bool = False


@dataclass(frozen=True, slots=True)
class Overridden:
    """The override counts (`approval` None), or waits for another person."""

    override: OverrideView
    approval: str | None = None
    replayed: bool = False


async def set_tier(
    new: NewOverride, member_id: int, *, principal: StaffPrincipal, key: str, now: datetime
) -> Overridden:
    """Set a member's tier at once within the limits of one person, or ask another.

    The same key of the same person sets once and answers the same.

    Raises:
        Forbidden, OwnMembership: the principal may not.
        OverrideInvalid, OverrideKeyReused, MemberGone
    """
    ladders = await ladders_read.in_force(now)
    _check(new, key, ladders, now)
    resource = Resource(store_id=principal.store_id, member_id=member_id)
    access.authorize(principal, Action.TIER_OVERRIDE, resource)
    override_id = await db.fetch_value(
        _RESERVE,
        principal.staff_id,
        key,
        member_id,
        new.ladder,
        new.tier,
        new.exactly,
        new.reason,
        now,
        new.ends_at,
    )
    if override_id is None:
        return await _repeat(new, member_id, principal, key)
    terms = (await program.in_force(now)).terms
    course = await _course(member_id, new.ladder, ladders, terms, now)
    tier = held(course.state, ladders.by_code[new.ladder].ladder, now).code
    limits = Limits(terms.staff.override_steps, terms.staff.override_days)
    ladder = ladders.by_code[new.ladder].ladder
    if rules.needs_another(ladder, tier, new.tier, now=now, ends_at=new.ends_at, limits=limits):
        return await _ask(override_id, new, member_id, principal, terms, now)
    await _pin(override_id, course, now)
    await _audit(principal, override_id, await _found(override_id), "done", now)
    return Overridden(await _found(override_id))


async def decide(approval_id: str, principal: StaffPrincipal, *, approve: bool, now: datetime) -> ApprovalView:
    """Approve or refuse an override that waits; an approved one counts from now on.

    Raises:
        ApprovalUnknown, AlreadyDecided, ApprovalExpired, PayloadChanged
        Forbidden, OwnRequest, OwnMembership: the principal may not decide this one.
    """
    waiting = await db.fetch_one(_WAITING, approval_id)
    if waiting is None:
        raise ApprovalUnknown
    decided = await approvals.settle(
        approval_id, principal, approve=approve, beneficiary_id=waiting["member_id"], now=now
    )
    if not approve:
        await close(decided, "refused")
        return decided
    override = await _found(waiting["id"])
    if override.ends_at <= now:
        await close(decided, "expired")
        return decided
    terms = (await program.in_force(now)).terms
    ladders = await ladders_read.in_force(now)
    await _pin(override.id, await _course(override.member_id, override.ladder, ladders, terms, now), now)
    return decided


async def close(approval: ApprovalView, status: str) -> None:
    """Note that an override that was asked for will not be."""
    await db.execute(
        "UPDATE tier_override SET status = $2 WHERE approval_id = $1 AND status = 'pending'", approval.id, status
    )


async def end(override_id: int, *, principal: StaffPrincipal, reason: str, now: datetime) -> OverrideView:
    """Take an override back before its end; what the member holds is where they stand by right.

    Raises:
        Forbidden, OwnMembership, OverrideUnknown, OverrideInvalid
    """
    found = await queries.find(override_id)
    if found is None or found.status != "active" or found.ends_at <= now:
        raise OverrideUnknown
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX:
        raise OverrideInvalid(field="reason")
    access.authorize(principal, Action.TIER_OVERRIDE, Resource(store_id=principal.store_id, member_id=found.member_id))
    ended = await db.execute(
        "UPDATE tier_override SET status = 'ended', ended_at = $2, ended_by = $3 WHERE id = $1 AND status = 'active'",
        override_id,
        now,
        principal.staff_id,
    )
    if not ended:
        raise OverrideUnknown
    ladders = await ladders_read.in_force(now)
    terms = (await program.in_force(now)).terms
    course = await _course(found.member_id, found.ladder, ladders, terms, now)
    course.take(machine.unpinned(course.state, course.stood.case, override_id, now))
    await tiers.write([course], now=now)
    await _audit(principal, override_id, found, "done", now, action="tier.override_end", reason=reason)
    return await _found(override_id)


def _check(new: NewOverride, key: str, ladders: Ladders, now: datetime) -> None:
    published = ladders.by_code.get(new.ladder)
    in_range = {
        "ladder": published is not None,
        "tier": published is not None and any(step.code == new.tier for step in published.ladder.steps),
        "ends_at": now < new.ends_at <= now + LONGEST,
        "reason": len(new.reason.strip()) > 0 and len(new.reason) <= REASON_LENGTH_MAX,
        "key": 0 < len(key) <= KEY_LENGTH_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise OverrideInvalid(field=name)


async def _course(member_id: int, ladder: str, ladders: Ladders, terms: Terms, now: datetime) -> Course:
    """The member's standing, held for this unit of work and brought up to now."""
    stood = await standings.take([(member_id, ladder)], ladders, terms.calendar)
    if not stood:
        raise MemberGone
    courses = await advancing.advance(stood, now=now)
    return courses[0]


async def _pin(override_id: int, course: Course, now: datetime) -> None:
    override = await _found(override_id)
    await db.execute(_REPLACE, override.member_id, override.ladder, override_id, now)
    await db.execute("UPDATE tier_override SET status = 'active' WHERE id = $1", override_id)
    pin = Pin(override_id, override.tier, override.ends_at, override.exactly)
    course.take(machine.pinned(course.state, pin, course.stood.case, now))
    await tiers.write([course], now=now)


async def _ask(
    override_id: int, new: NewOverride, member_id: int, principal: StaffPrincipal, terms: Terms, now: datetime
) -> Overridden:
    expires_at = min(now + timedelta(hours=terms.staff.approval_hours), new.ends_at)
    payload = {
        "override_id": override_id,
        "ladder": new.ladder,
        "tier": new.tier,
        "exactly": new.exactly,
        "ends_at": new.ends_at.isoformat(),
        "reason": new.reason,
    }
    request = approvals.Request(
        kind=KIND, payload=payload, amount=0, member_id=member_id, store_id=principal.store_id, expires_at=expires_at
    )
    asked = await approvals.ask(request, principal, now=now)
    await db.execute("UPDATE tier_override SET approval_id = $2 WHERE id = $1", override_id, asked.id)
    override = await _found(override_id)
    await _audit(principal, override_id, override, "asked", now)
    return Overridden(override, asked.public_id)


async def _repeat(new: NewOverride, member_id: int, principal: StaffPrincipal, key: str) -> Overridden:
    known = await _found(await db.fetch_value(_KNOWN, principal.staff_id, key))
    asked = (known.member_id, known.ladder, known.tier, known.exactly, known.ends_at, known.reason)
    if asked != (member_id, new.ladder, new.tier, new.exactly, new.ends_at, new.reason):
        raise OverrideKeyReused(key=key)
    approval = await db.fetch_value(
        "SELECT public_id FROM approval WHERE id = (SELECT approval_id FROM tier_override WHERE id = $1)", known.id
    )
    return Overridden(known, approval, replayed=True)


async def _found(override_id: int) -> OverrideView:
    found = await queries.find(override_id)
    if found is None:
        unreachable("overrides are never removed")
    return found


async def _audit(
    principal: StaffPrincipal,
    override_id: int,
    override: OverrideView,
    outcome: audit.Outcome,
    now: datetime,
    *,
    action: str = Action.TIER_OVERRIDE,
    reason: str | None = None,
) -> None:
    await audit.record(
        audit.Deed(
            principal=principal,
            action=action,
            outcome=outcome,
            member_id=override.member_id,
            store_id=principal.store_id,
            reason=override.reason if reason is None else reason,
            details={"override_id": override_id, "ladder": override.ladder, "tier": override.tier},
        ),
        now=now,
    )
