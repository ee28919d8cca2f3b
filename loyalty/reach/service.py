"""Keeping count of how somebody may be reached."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.reach.rules import OPENINGS, Act

_RENEW: Final = """
INSERT INTO reach_window (identity_id, kind, remaining, expires_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::timestamptz[])
    AS given(identity_id, kind, remaining, expires_at)
ORDER BY identity_id, kind
ON CONFLICT (identity_id, kind) DO UPDATE SET remaining = excluded.remaining, expires_at = excluded.expires_at
"""


async def renew(acts: Mapping[int, tuple[str, Act]], *, now: datetime) -> None:
    """Open the window that each identity's act on its channel opens; one statement, none when none opens."""
    opened = [
        (identity_id, act, OPENINGS[channel, act])
        for identity_id, (channel, act) in acts.items()
        if (channel, act) in OPENINGS
    ]
    if opened:
        await db.execute(
            _RENEW,
            [identity_id for identity_id, _, _ in opened],
            [act.value for _, act, _ in opened],
            [opening.count for _, _, opening in opened],
            [now + opening.lasts for _, _, opening in opened],
        )
