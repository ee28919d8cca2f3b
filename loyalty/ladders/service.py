"""Writing ladders: drafted by one person, published by another, never changed afterwards."""

from datetime import datetime
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Principal, StaffPrincipal, SystemPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, NotFound, ensure
from loyalty.ladders import checks, queries
from loyalty.ladders.checks import Surroundings
from loyalty.ladders.queries import COLUMNS, VersionView, view_of
from loyalty.ladders.rules import Ladder

_DRAFT: Final = f"""
INSERT INTO ladder_version (ladder, version, status, document, created_by, created_at)
SELECT $1::text, coalesce(max(version), 0) + 1, 'draft', $2::jsonb, $3, $4 FROM ladder_version WHERE ladder = $1::text
ON CONFLICT (ladder, version) DO NOTHING
RETURNING {COLUMNS}
"""
# The newest version counts: a draft that others were published after would never be in force.
_PUBLISH: Final = f"""
UPDATE ladder_version SET status = 'published', published_by = $3, published_at = $4, effective_from = $5
WHERE ladder = $1 AND version = $2 AND status = 'draft' AND NOT EXISTS (
    SELECT 1 FROM ladder_version newer
    WHERE newer.ladder = $1 AND newer.status = 'published' AND newer.version > $2
)
RETURNING {COLUMNS}
"""


class LadderUnknown(NotFound):
    """There is no such ladder, or it has no such version."""

    code = "ladders.unknown"


class LadderPublished(Conflict):
    """The version was published before; a published ladder never changes, a new draft does."""

    code = "ladders.published"


class DraftOutdated(Conflict):
    """A newer version of the ladder was published since the draft was written."""

    code = "ladders.draft_outdated"


class WrittenMeanwhile(Conflict):
    """Somebody else wrote a draft of this ladder at the same moment."""

    code = "ladders.written_meanwhile"


async def draft(ladder: Ladder, *, principal: Principal, now: datetime) -> VersionView:
    """Write the next version of a ladder, which changes nothing yet.

    Raises:
        Forbidden, WrittenMeanwhile
        LadderImpossible: the first of what keeps it from working.
    """
    access.authorize(principal, Action.TERMS_PROPOSE)
    await check(ladder, now=now)
    row = await db.fetch_one(_DRAFT, ladder.code, ladder.model_dump_json(), name_of(principal), now)
    if row is None:
        raise WrittenMeanwhile
    written = view_of(row)
    await _record(principal, "ladder.draft", written, now)
    return written


async def check(ladder: Ladder, *, now: datetime) -> None:
    """Refuse a ladder that cannot work beside what else is in force.

    Raises:
        LadderImpossible
    """
    in_force = await queries.in_force(now)
    taken = {step.code: code for code, published in in_force.by_code.items() for step in published.ladder.steps}
    for problem in checks.problems(ladder, Surroundings(tiers=taken)):
        raise problem


async def publish(
    code: str, number: int, *, principal: Principal, effective_from: datetime, now: datetime
) -> VersionView:
    """Put a draft in force from `effective_from`, which is not in the past.

    Raises:
        Forbidden, LadderUnknown, LadderPublished, DraftOutdated, LadderImpossible
    """
    access.authorize(principal, Action.TERMS_APPROVE)
    found = await queries.version(code, number)
    if found is None:
        raise LadderUnknown
    await check(found.ladder, now=now)
    row = await db.fetch_one(_PUBLISH, code, number, name_of(principal), now, max(effective_from, now))
    if row is None:
        raise LadderPublished if found.status == "published" else DraftOutdated
    queries.forget()
    published = view_of(row)
    await _record(principal, "ladder.publish", published, now)
    return published


def name_of(principal: Principal) -> str:
    """Who wrote or published it, as it is kept beside the version."""
    if isinstance(principal, StaffPrincipal):
        return f"staff:{principal.staff_id}"
    ensure(isinstance(principal, SystemPrincipal), "members and partners write no ladders")
    return f"system:{principal.name}" if isinstance(principal, SystemPrincipal) else ""


async def _record(principal: Principal, action: str, version: VersionView, now: datetime) -> None:
    details = {"ladder": version.ladder.code, "version": version.version}
    await audit.record(audit.Deed(principal=principal, action=action, details=details), now=now)
