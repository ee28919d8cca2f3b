"""Keeping count of how somebody may be reached.

Every count is taken by one conditional statement before a message is sent and given back when the platform
refused it: two senders never share the last message of a window.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.reach.rules import OPENINGS, Act

ACCEPT: Final = "accept"

# Whoever could not be reached can be now: what waited for that is due at once, in the same statement.
_RENEW: Final = """
WITH freed AS (
    UPDATE outbox SET due_at = $5 WHERE id IN (
        SELECT id FROM outbox WHERE status = 'queued' AND code = 'unreachable' AND due_at > $5
            AND member_id IN (SELECT member_id FROM channel_identity WHERE id = ANY($1))
        FOR UPDATE SKIP LOCKED
    )
)
INSERT INTO reach_window (identity_id, kind, remaining, expires_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::int[], $4::timestamptz[])
    AS given(identity_id, kind, remaining, expires_at)
ORDER BY identity_id, kind
ON CONFLICT (identity_id, kind) DO UPDATE SET remaining = excluded.remaining, expires_at = excluded.expires_at
"""
# The window that ends first, so that the long one is left for later.
_TAKE: Final = """
UPDATE reach_window SET remaining = remaining - 1
WHERE remaining > 0 AND id = (
    SELECT id FROM reach_window WHERE identity_id = $1 AND remaining > 0 AND expires_at > $2
    ORDER BY expires_at LIMIT 1 FOR UPDATE
)
RETURNING kind
"""
_CHOOSE: Final = """
INSERT INTO reach_grant AS known (identity_id, template_id, remaining, refused, updated_at)
SELECT $1, template_id, CASE WHEN accepted THEN 1 ELSE 0 END, NOT accepted, $4
FROM unnest($2::text[], $3::boolean[]) AS given(template_id, accepted)
ORDER BY template_id
ON CONFLICT (identity_id, template_id) DO UPDATE SET
    remaining = CASE WHEN excluded.refused THEN 0 ELSE known.remaining + 1 END,
    refused = excluded.refused,
    updated_at = excluded.updated_at
"""
_STOP: Final = """
INSERT INTO reach_stop (channel, account, route, until, reason) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (channel, account, route) DO UPDATE SET until = greatest(reach_stop.until, excluded.until),
    reason = excluded.reason
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
            now,
        )


async def take_window(identity_id: int, *, now: datetime) -> str | None:
    """Use one message of an open window up; its kind, or None when no window is open."""
    kind: str | None = await db.fetch_value(_TAKE, identity_id, now)
    return kind


async def give_back_window(identity_id: int, kind: str) -> None:
    """The platform refused for another reason: the message of the window is there again."""
    await db.execute(
        "UPDATE reach_window SET remaining = remaining + 1 WHERE identity_id = $1 AND kind = $2", identity_id, kind
    )


async def close_windows(identity_id: int) -> None:
    """The platform says that no window is open (45015, 45047): believe it until the person's next act."""
    await db.execute("UPDATE reach_window SET remaining = 0 WHERE identity_id = $1", identity_id)


async def record_choices(
    identity_id: int,
    choices: Mapping[str, str],
    *,
    managed: bool = False,
    now: datetime,
) -> None:
    """What the person answered for subscribe templates, by template id: each "accept" allows one message more,
    anything else takes all that is left away.

    `managed` choices were made in the platform's settings: an acceptance there lifts a refusal and allows nothing.
    """
    answers = {template_id: choice == ACCEPT for template_id, choice in choices.items()}
    if managed:
        lifted = [template_id for template_id, accepted in answers.items() if accepted]
        await db.execute(
            "UPDATE reach_grant SET refused = false, updated_at = $3 WHERE identity_id = $1 AND template_id = ANY($2)",
            identity_id,
            lifted,
            now,
        )
        answers = {template_id: accepted for template_id, accepted in answers.items() if not accepted}
    if answers:
        await db.execute(_CHOOSE, identity_id, list(answers), list(answers.values()), now)


async def take_grant(identity_id: int, template_id: str, *, now: datetime) -> bool:
    """Use one message of a subscribe template up; False when none is allowed."""
    taken = await db.execute(
        "UPDATE reach_grant SET remaining = remaining - 1, updated_at = $3"
        " WHERE identity_id = $1 AND template_id = $2 AND remaining > 0 AND NOT refused",
        identity_id,
        template_id,
        now,
    )
    return taken == 1


async def give_back_grant(identity_id: int, template_id: str, *, now: datetime) -> None:
    """The platform refused for another reason: the grant is there again."""
    await db.execute(
        "UPDATE reach_grant SET remaining = remaining + 1, updated_at = $3"
        " WHERE identity_id = $1 AND template_id = $2 AND NOT refused",
        identity_id,
        template_id,
        now,
    )


async def grant_used_up(identity_id: int, template_id: str, *, now: datetime) -> None:
    """The platform says that no grant is left (43101): believe it until the person's next answer."""
    await db.execute(
        "UPDATE reach_grant SET remaining = 0, updated_at = $3 WHERE identity_id = $1 AND template_id = $2",
        identity_id,
        template_id,
        now,
    )


async def served_by(identity_id: int, staff_user_id: str) -> None:
    """A WeCom customer became a contact of this member of staff, who confirms what is sent to them."""
    await db.execute("UPDATE channel_identity SET staff_user_id = $2 WHERE id = $1", identity_id, staff_user_id)


async def stop(channel: str, account: str, route: str, *, until: datetime, reason: str) -> None:
    """Let a route of an account rest until `until`; a longer rest that was told before stays."""
    await db.execute(_STOP, channel, account, route, until, reason[:80])


async def forget_over(*, now: datetime, batch_max: int) -> int:
    """Drop windows and stops that are over since a day, at most `batch_max` of each; how many went."""
    moment = now - timedelta(days=1)
    windows = await db.execute(
        "DELETE FROM reach_window WHERE id IN (SELECT id FROM reach_window WHERE expires_at < $1 LIMIT $2)",
        moment,
        batch_max,
    )
    stops = await db.execute(
        "DELETE FROM reach_stop WHERE id IN (SELECT id FROM reach_stop WHERE until < $1 LIMIT $2)", moment, batch_max
    )
    return windows + stops
