"""Writing rules: drafted, published from a date on, ended ahead; a published version never changes."""

from datetime import datetime
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Principal, StaffPrincipal, SystemPrincipal
from loyalty.audit import service as audit
from loyalty.earning import checks, documents, queries
from loyalty.earning.documents import Rule
from loyalty.earning.queries import COLUMNS, RuleView, view_of
from loyalty.errors import Conflict, Invalid, NotFound, unreachable
from loyalty.program import queries as program

_DRAFT: Final = f"""
INSERT INTO earning_rule (code, version, status, document, fingerprint, effective_from, effective_until, created_by,
                          created_at)
SELECT $1::text, coalesce(max(version), 0) + 1, 'draft', $2, $3, $4, $5, $6, $7 FROM earning_rule
WHERE code = $1::text AND status NOT IN ('draft', 'waiting')
ON CONFLICT (code, version) DO UPDATE SET document = excluded.document, fingerprint = excluded.fingerprint,
    effective_from = excluded.effective_from, effective_until = excluded.effective_until,
    created_by = excluded.created_by, created_at = excluded.created_at
WHERE earning_rule.status = 'draft'
RETURNING {COLUMNS}
"""
# A draft that somebody changed since it was read is another one: the fingerprint says which was meant.
_PUBLISH: Final = f"""
UPDATE earning_rule SET status = 'published', effective_from = coalesce(effective_from, $4), published_by = $3,
    published_at = $4
WHERE code = $1 AND fingerprint = $2 AND status IN ('draft', 'waiting')
RETURNING {COLUMNS}
"""
_END: Final = f"""
UPDATE earning_rule SET effective_until = $2
WHERE code = $1 AND status = 'published' AND (effective_until IS NULL OR effective_until > $2) AND effective_from < $2
RETURNING {COLUMNS}
"""
_NEVER_BEGINS: Final = """
UPDATE earning_rule SET status = 'withdrawn' WHERE code = $1 AND status = 'published' AND effective_from >= $2
"""
# A budget is never less than what was given of it already.
_BUDGET: Final = """
INSERT INTO earning_budget AS b (code, total) VALUES ($1, $2)
ON CONFLICT (code) DO UPDATE SET total = excluded.total WHERE b.used <= excluded.total
RETURNING id
"""


class RuleUnknown(NotFound):
    """There is no such rule, or it has no such version."""

    code = "earning.rule_unknown"


class RuleChanged(Conflict):
    """The draft is not the one that was read, or it was published; read it again."""

    code = "earning.rule_changed"


class BudgetSpent(Conflict):
    """More than the new budget was given already: `used`."""

    code = "earning.budget_spent"


class EndsTooEarly(Invalid):
    """A rule ends now or later: what it gave stays given."""

    code = "earning.ends_too_early"


async def draft(rule: Rule, *, principal: Principal, now: datetime) -> RuleView:
    """Write a draft of the next version, or write the present draft anew; it changes nothing yet.

    Raises:
        Forbidden, RuleChanged (the version waits for another person)
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work.
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    await check(rule, now=now)
    document = documents.canonical(documents.document_of(rule)).decode()
    row = await db.fetch_one(
        _DRAFT,
        rule.code,
        document,
        documents.fingerprint(documents.document_of(rule)),
        rule.effective_from,
        rule.effective_until,
        name_of(principal),
        now,
    )
    if row is None:
        raise RuleChanged
    written = view_of(row)
    await _audit(principal, "earning_rule.draft", written, now)
    return written


async def check(rule: Rule, *, now: datetime) -> None:
    """Refuse a rule that cannot work beside what is in force or will be.

    Raises:
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers
    """
    terms = (await program.in_force(now)).terms
    others = [
        view.rule
        for view in await queries.published(now=now)
        if view.effective_until is None or view.effective_until > now
    ]
    checks.check(rule, kinds=[kind.code for kind in terms.points_kinds], others=others)


async def publish(code: str, fingerprint: str, *, principal: Principal, now: datetime) -> RuleView:
    """Bring the draft that `fingerprint` names before members, from its date on or at once.

    Raises:
        RuleUnknown, RuleChanged, BudgetSpent, Forbidden
        NeedsAnother: the rule may give more than one person decides about.
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work any more.
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    found = await draft_of(code, fingerprint, now)
    terms = (await program.in_force(now)).terms
    is_large = checks.is_large(found.rule, alone_budget=terms.earning.alone_budget)
    if is_large and not isinstance(principal, SystemPrincipal):
        raise access.NeedsAnother(action=Action.CAMPAIGN_EDIT.value)
    return await carry_out(found, principal=principal, now=now)


async def approve(code: str, fingerprint: str, *, principal: StaffPrincipal, now: datetime) -> RuleView:
    """Publish what another person wrote and one person may not publish alone; the fingerprint is what is agreed to.

    Raises:
        RuleUnknown, RuleChanged, BudgetSpent, Forbidden
        OwnRequest: whoever wrote the rule does not approve it.
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work any more.
    """
    access.authorize(principal, Action.TERMS_APPROVE)
    found = await draft_of(code, fingerprint, now)
    if found.created_by == name_of(principal):
        raise access.OwnRequest(action=Action.TERMS_APPROVE.value)
    return await carry_out(found, principal=principal, now=now)


async def draft_of(code: str, fingerprint: str, now: datetime) -> RuleView:
    """The draft that was read, locked by nobody: publishing names its fingerprint again.

    Raises:
        RuleUnknown, RuleChanged
    """
    versions = await queries.versions(code)
    found = next((view for view in versions if view.status == "draft"), None)
    if not versions:
        raise RuleUnknown
    if found is None or found.fingerprint != fingerprint:
        raise RuleChanged
    await check(found.rule, now=now)
    return found


async def carry_out(found: RuleView, *, principal: Principal, now: datetime) -> RuleView:
    """Publish a version that everybody who has to agreed to.

    Raises:
        RuleChanged, BudgetSpent
    """
    row = await db.fetch_one(_PUBLISH, found.code, found.fingerprint, name_of(principal), now)
    if row is None:
        raise RuleChanged
    await _open_budget(found.rule)
    queries.forget()
    published = view_of(row)
    await _audit(principal, "earning_rule.publish", published, now)
    return published


async def _open_budget(rule: Rule) -> None:
    if rule.budget is None or rule.budget_code is None:
        return
    if await db.fetch_value(_BUDGET, rule.budget_code, rule.budget.total) is None:
        left = await queries.budgets_left([rule.budget_code])
        raise BudgetSpent(used=left[rule.budget_code][1])


async def end(code: str, *, at: datetime | None = None, principal: Principal, now: datetime) -> list[RuleView]:
    """Let a rule end at `at` (None: now), whichever of its versions counts then; what would begin later does not.

    Raises:
        Forbidden, RuleUnknown, EndsTooEarly
    """
    access.authorize(principal, Action.CAMPAIGN_EDIT)
    ends_at = at or now
    if ends_at < now:
        raise EndsTooEarly
    withdrawn = await db.execute(_NEVER_BEGINS, code, ends_at)
    rows = await db.fetch(_END, code, ends_at)
    if not rows and not withdrawn:
        raise RuleUnknown
    queries.forget()
    ended = [view_of(row) for row in rows]
    for view in ended:
        await _audit(principal, "earning_rule.end", view, now)
    return ended


def name_of(principal: Principal) -> str:
    """Who wrote it, as it is kept."""
    if isinstance(principal, StaffPrincipal):
        return f"staff:{principal.staff_id}"
    return f"system:{principal.name}" if isinstance(principal, SystemPrincipal) else unreachable("no others write")


async def _audit(principal: Principal, action: str, view: RuleView, now: datetime) -> None:
    if isinstance(principal, StaffPrincipal):
        details = {"rule": view.code, "version": view.version, "fingerprint": view.fingerprint}
        await audit.record(audit.Deed(principal=principal, action=action, details=details), now=now)
