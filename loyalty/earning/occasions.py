"""Facts that earn because of what a member became: registered, complete, a friend of somebody who brought them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from loyalty import db
from loyalty.earning import service
from loyalty.earning.facts import Fact

REGISTRATION: Final = "registration"
PROFILE: Final = "profile_completed"
REFERRAL: Final = "referral"

# A shared link says who shared it: ref_<member number>. Nobody brings themselves, and the first one counts.
_REFERRED: Final = r"""
UPDATE member m SET referrer_id = friend.id
FROM member friend
WHERE m.id = ANY($1) AND m.referrer_id IS NULL AND friend.number = substring(m.scene FROM '^ref[:_](\d{10})$')
  AND friend.id <> m.id AND friend.status = 'active' AND friend.joined_at < m.joined_at
"""
_REFERRERS: Final = """
SELECT m.id, m.referrer_id FROM member m JOIN member friend ON friend.id = m.referrer_id
WHERE m.id = ANY($1) AND friend.status = 'active'
"""


@dataclass(frozen=True, slots=True)
class Registered:
    """A member who registered at an instant, with what the event told."""

    member_id: int
    at: datetime
    data: Mapping[str, Any]


async def registered(told: Sequence[Registered], *, now: datetime) -> None:
    """Give what rules have for registering, and for having brought whoever registered; each once."""
    ids = [one.member_id for one in told]
    await db.execute(_REFERRED, ids)
    rows = await db.fetch(_REFERRERS, ids)
    referrers = {row["id"]: row["referrer_id"] for row in rows}
    facts = [
        Fact(
            trigger=REGISTRATION,
            key=REGISTRATION,
            member_id=one.member_id,
            occurred_at=one.at,
            values={
                "event.data.channel": one.data.get("channel"),
                "event.data.with_phone": one.data.get("with_phone"),
            },
            kind=REGISTRATION,
        )
        for one in told
    ]
    facts += [
        Fact(
            trigger=REFERRAL,
            key=f"{REFERRAL}:{one.member_id}",
            member_id=referrers[one.member_id],
            occurred_at=one.at,
            kind=REFERRAL,
        )
        for one in told
        if one.member_id in referrers
    ]
    await service.award_and_tell(facts, now=now)


async def profile_completed(told: Sequence[tuple[int, datetime]], *, now: datetime) -> None:
    """Give what rules have for a profile in which nothing is missing; once per member."""
    facts = [
        Fact(trigger=PROFILE, key=PROFILE, member_id=member_id, occurred_at=at, kind="profile")
        for member_id, at in told
    ]
    await service.award_and_tell(facts, now=now)
