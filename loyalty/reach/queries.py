"""Who can be reached where, at this moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import orjson

from loyalty import db

_RECIPIENT: Final = """
SELECT m.id, m.status, m.locale, i.id AS identity_id, i.channel, i.account, i.app_id, i.external_id, i.state,
       i.locale AS own_locale, i.staff_user_id,
       coalesce((SELECT sum(w.remaining) FROM reach_window w WHERE w.identity_id = i.id AND w.expires_at > $2), 0)::int
           AS window_left,
       (SELECT jsonb_object_agg(g.template_id, g.remaining) FROM reach_grant g
        WHERE g.identity_id = i.id AND g.remaining > 0 AND NOT g.refused) AS grants
FROM member m LEFT JOIN channel_identity i ON i.member_id = m.id
WHERE m.id = $1 ORDER BY i.last_seen_at DESC, i.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachable:
    """One identity with what may be sent to it now: free messages left, and grants by subscribe template.

    `state` is met, followed, left or blocked; `staff_user_id` is who serves a WeCom customer.
    """

    identity_id: int
    channel: str
    account: str
    app_id: str
    external_id: str
    state: str
    locale: str | None = None
    staff_user_id: str | None = None
    window_left: int = 0
    grants: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recipient:
    """A member with every identity, most recently seen first."""

    member_id: int
    status: str
    locale: str
    identities: tuple[Reachable, ...]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A route that rests."""

    channel: str
    account: str
    route: str
    until: datetime

    @property
    def spot(self) -> tuple[str, str, str]:
        """Channel, account and route together."""
        return (self.channel, self.account, self.route)


async def routes_now(member_id: int, *, now: datetime) -> Recipient | None:
    """A member and their identities as they are now, in one statement; None for an unknown member."""
    rows = await db.fetch(_RECIPIENT, member_id, now)
    if not rows:
        return None
    identities = tuple(_reachable(row) for row in rows if row["identity_id"] is not None)
    return Recipient(rows[0]["id"], rows[0]["status"], rows[0]["locale"], identities)


async def stops(*, now: datetime) -> tuple[Stopped, ...]:
    """Every route that rests now."""
    rows = await db.fetch("SELECT channel, account, route, until FROM reach_stop WHERE until > $1", now)
    return tuple(Stopped(row["channel"], row["account"], row["route"], row["until"]) for row in rows)


def _reachable(row: db.Row) -> Reachable:
    return Reachable(
        identity_id=row["identity_id"],
        channel=row["channel"],
        account=row["account"],
        app_id=row["app_id"],
        external_id=row["external_id"],
        state=row["state"],
        locale=row["own_locale"],
        staff_user_id=row["staff_user_id"],
        window_left=row["window_left"],
        grants=orjson.loads(row["grants"]) if row["grants"] else {},
    )
