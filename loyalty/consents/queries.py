"""What members allow right now; asked again at the moment of sending."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.consents import rules
from loyalty.consents.rules import ASK_AGAIN_AFTER, PURPOSES

# Closed, merged and restricted accounts are not written to, whatever they once allowed (PIPL art. 47).
_ALLOWED: Final = """
SELECT m.id FROM member m
LEFT JOIN LATERAL (
    SELECT granted, text_version FROM consent WHERE member_id = m.id AND purpose = $2 ORDER BY id DESC LIMIT 1
) AS c ON true
WHERE m.id = ANY($1) AND m.status IN ('guest', 'active')
  AND CASE WHEN c.granted IS NULL THEN $4 ELSE c.granted AND c.text_version >= $3 END
"""
_STANDING: Final = """
SELECT DISTINCT ON (purpose) purpose, granted, text_version, channel, at FROM consent
WHERE member_id = $1 ORDER BY purpose, id DESC
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one purpose stands: allowed or not, by which answer, and whether the member may be asked (again)."""

    purpose: str
    allowed: bool
    answered_at: datetime | None
    channel: str | None
    may_ask: bool


async def answer_for(member_ids: Sequence[int], purpose: str) -> set[int]:
    """Those of `member_ids` whom `purpose` is allowed for, in one statement.

    Raises:
        UnknownPurpose: there is no such purpose.
    """
    asked = rules.purpose(purpose)
    rows = await db.fetch(_ALLOWED, list(member_ids), purpose, asked.text_version, asked.by_default)
    return {row["id"] for row in rows}


async def standing(member_id: int, *, now: datetime) -> list[Standing]:
    """Every purpose and where it stands, in the order of the registry."""
    answers = {row["purpose"]: row for row in await db.fetch(_STANDING, member_id)}
    return [_standing(purpose, answers.get(purpose.code), now) for purpose in PURPOSES.values()]


def _standing(purpose: rules.Purpose, answer: db.Row | None, now: datetime) -> Standing:
    if answer is None:
        return Standing(purpose.code, purpose.by_default, None, None, may_ask=not purpose.by_default)
    allowed = answer["granted"] and answer["text_version"] >= purpose.text_version
    rested = now - answer["at"] >= ASK_AGAIN_AFTER
    may_ask = not allowed and (answer["granted"] or rested)
    return Standing(purpose.code, allowed, answer["at"], answer["channel"], may_ask)


async def may_ask(member_id: int, purpose: str, *, now: datetime) -> bool:
    """Whether the member may be asked about `purpose` now: not while it is allowed, nor within 90 days of a no.

    Raises:
        UnknownPurpose: there is no such purpose.
    """
    rules.purpose(purpose)
    return next(entry.may_ask for entry in await standing(member_id, now=now) if entry.purpose == purpose)
