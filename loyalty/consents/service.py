"""Members allow and refuse, purpose by purpose; every answer is kept, the newest is in force at once."""

from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.consents import rules
from loyalty.events import ConsentChanged
from loyalty.members import service as members
from loyalty.members.service import MemberGone
from loyalty.spine import service as spine

EVIDENCE_LENGTH_MAX: Final = 200

# Locks the member, so that two answers at the same moment have an order.
_LATEST: Final = """
SELECT m.id, c.granted, c.text_version
FROM (SELECT id FROM member WHERE id = $1 AND status NOT IN ('closed', 'merged') FOR UPDATE) AS m
LEFT JOIN LATERAL (
    SELECT granted, text_version FROM consent WHERE member_id = m.id AND purpose = $2 ORDER BY id DESC LIMIT 1
) AS c ON true
"""


async def grant(member_id: int, purpose: str, *, channel: str, evidence: str, now: datetime) -> bool:
    """The member allows `purpose` in the words of its present version; False when that was so already.

    `evidence` says how they said it (`menu:subscribe`, an inbox key), never what they typed.

    Raises:
        UnknownPurpose, MemberGone.
    """
    return await _answer(member_id, purpose, True, channel=channel, evidence=evidence, now=now)


async def withdraw(member_id: int, purpose: str, *, channel: str, evidence: str, now: datetime) -> bool:
    """The member refuses `purpose` or takes a permission back, as easily as they gave it; False when that was
    so already. The next send in a running campaign sees it.

    Raises:
        UnknownPurpose, MemberGone.
    """
    return await _answer(member_id, purpose, False, channel=channel, evidence=evidence, now=now)


async def _answer(
    member_id: int,
    purpose: str,
    granted: bool,  # noqa: FBT001 - the two public verbs name it
    *,
    channel: str,
    evidence: str,
    now: datetime,
) -> bool:
    asked = rules.purpose(purpose)
    latest = await db.fetch_one(_LATEST, member_id, purpose)
    if latest is None:
        raise MemberGone
    if latest["granted"] is granted and (not granted or latest["text_version"] >= asked.text_version):
        return False
    await db.execute(
        "INSERT INTO consent (member_id, purpose, granted, text_version, channel, evidence, at)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        member_id,
        purpose,
        granted,
        asked.text_version,
        channel,
        evidence[:EVIDENCE_LENGTH_MAX],
        now,
    )
    if purpose == rules.PROFILING:
        await members.set_profiling(member_id, allowed=granted)
    event = ConsentChanged(member_id=member_id, at=now, purpose=purpose, granted=granted)
    await spine.record(event, now=now)
    return True
