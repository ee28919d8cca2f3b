"""What goes out: queued with its cause, leased by a sender, finished with one of three outcomes.

Accepted and rejected are answers of the platform; unknown means that the request may have been carried
out. `sending` is written and committed before the network is touched: a sender that died before it sent
nothing, and the message is queued again; one that died after it may have, and the outcome is unknown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import orjson

from loyalty import bell, db
from loyalty.outbox.rules import MARKETING as MARKETING
from loyalty.outbox.rules import TRANSACTION as TRANSACTION
from loyalty.outbox.rules import Notice as Notice

FinalStatus = Literal["accepted", "rejected", "unknown", "suppressed", "expired"]

_QUEUE = """
INSERT INTO outbox (key, member_id, staff_id, identity_id, send_class, purpose, notice, params, bulk, status, attempts,
                    epoch, due_at, give_up_at, created_at)
SELECT key, member_id, staff_id, identity_id, send_class, purpose, notice, params::jsonb, bulk, 'queued', 0, 0,
       due_at, give_up_at, $12
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[], $10::timestamptz[], $11::boolean[])
     AS given(key, member_id, staff_id, identity_id, send_class, purpose, notice, params, due_at, give_up_at, bulk)
ORDER BY key
ON CONFLICT (key) DO NOTHING
"""
_CLAIM = """
UPDATE outbox SET status = 'leased', lease_until = $1::timestamptz + $3::interval, epoch = epoch + 1,
    attempts = attempts + 1
WHERE id IN (
    SELECT id FROM outbox WHERE status = 'queued' AND bulk = $4 AND due_at <= $1
    ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, key, member_id, staff_id, identity_id, send_class, purpose, notice, params, attempts, epoch, due_at,
    give_up_at
"""
# A slow sender whose lease was given up still knows better than "unknown", as long as nobody leased it again.
_MINE = "(status IN ('leased', 'sending') OR (status = 'unknown' AND code = 'lease_lost'))"
_SETTLE = """
UPDATE outbox SET
    status = CASE status WHEN 'leased' THEN 'queued' ELSE 'unknown' END,
    code = 'lease_lost',
    finished_at = CASE status WHEN 'sending' THEN $1::timestamptz END,
    lease_until = NULL
WHERE id IN (
    SELECT id FROM outbox WHERE status IN ('leased', 'sending') AND lease_until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING status
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message leased to this sender; `epoch` fences it against a later lease."""

    id: int
    key: str
    member_id: int | None
    staff_id: int | None
    identity_id: int | None
    send_class: str
    purpose: str
    notice: str
    params: Mapping[str, Any]
    attempts: int
    epoch: int
    due_at: datetime
    give_up_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What became of a message and by which way it went."""

    status: FinalStatus
    channel: str | None = None
    account: str | None = None
    route: str | None = None
    platform_message_id: str | None = None
    code: str | None = None


async def queue(*notices: Notice, now: datetime) -> None:
    """Write the rows, in the unit of work of their cause; a key that exists is left as it is."""
    if not notices:
        return
    await db.execute(
        _QUEUE,
        [n.key for n in notices],
        [n.member_id for n in notices],
        [n.staff_id for n in notices],
        [n.identity_id for n in notices],
        [n.send_class for n in notices],
        [n.purpose for n in notices],
        [n.notice for n in notices],
        [orjson.dumps(dict(n.params)).decode() for n in notices],
        [n.due_at for n in notices],
        [n.give_up_at for n in notices],
        [n.bulk or n.send_class == "marketing" for n in notices],
        now,
    )
    bell.ring("outbox")


async def claim_due(*, now: datetime, batch_max: int, lease: timedelta, bulk: bool = False) -> list[Claimed]:
    """Lease what is due, oldest first; other senders skip these rows until the lease ends."""
    rows = await db.fetch(_CLAIM, now, batch_max, lease, bulk)
    claimed = [Claimed(**{**dict(row), "params": orjson.loads(row["params"])}) for row in rows]
    return sorted(claimed, key=lambda message: (message.due_at, message.id))


async def begin(message: Claimed, *, channel: str, account: str, route: str, lease_until: datetime) -> bool:
    """Commit this before the platform is called; False when the lease was lost, and nothing may be sent."""
    begun = await db.execute(
        "UPDATE outbox SET status = 'sending', channel = $3, account = $4, route = $5, lease_until = $6"
        " WHERE id = $1 AND epoch = $2 AND status IN ('leased', 'sending')",
        message.id,
        message.epoch,
        channel,
        account,
        route,
        lease_until,
    )
    return begun == 1


async def give_back(messages: Sequence[Claimed]) -> int:
    """Queue leased messages again that this sender did not begin, because it ends; how many."""
    return await db.execute(
        "UPDATE outbox SET status = 'queued', lease_until = NULL, attempts = outbox.attempts - 1"
        " FROM unnest($1::bigint[], $2::int[]) AS given(id, epoch)"
        " WHERE outbox.id = given.id AND outbox.epoch = given.epoch AND status = 'leased'",
        [message.id for message in messages],
        [message.epoch for message in messages],
    )


async def finish(message: Claimed, outcome: Finish, *, now: datetime) -> bool:
    """Record the outcome, also one that comes after the lease ran out; False when another sender has it meanwhile."""
    done = await db.execute(
        "UPDATE outbox SET status = $3, channel = coalesce($4, channel), account = coalesce($5, account),"
        " route = coalesce($6, route), platform_message_id = $7, code = $8, finished_at = $9, lease_until = NULL"
        f" WHERE id = $1 AND epoch = $2 AND {_MINE}",
        message.id,
        message.epoch,
        outcome.status,
        outcome.channel,
        outcome.account,
        outcome.route,
        outcome.platform_message_id,
        outcome.code[:40] if outcome.code else None,
        now,
    )
    return done == 1


async def retry_at(message: Claimed, due_at: datetime, *, code: str) -> bool:
    """Put a refused message back until `due_at`; False when the lease was lost."""
    done = await db.execute(
        "UPDATE outbox SET status = 'queued', due_at = $3, code = $4, lease_until = NULL, finished_at = NULL"
        f" WHERE id = $1 AND epoch = $2 AND {_MINE}",
        message.id,
        message.epoch,
        due_at,
        code[:40],
    )
    return done == 1


@dataclass(frozen=True, slots=True)
class LostLeases:
    """What became of messages whose sender died: queued again, or of unknown outcome."""

    requeued: int
    unknown: int


async def settle_lost_leases(*, now: datetime, batch_max: int) -> LostLeases:
    """Messages that were leased and not begun are queued again; those that were being sent become unknown."""
    rows = await db.fetch(_SETTLE, now, batch_max)
    requeued = sum(row["status"] == "queued" for row in rows)
    if requeued:
        bell.ring("outbox")
    return LostLeases(requeued, len(rows) - requeued)


async def withdraw(member_ids: Sequence[int], *, now: datetime) -> int:
    """Suppress everything still queued for members who closed their account; how many."""
    return await db.execute(
        "UPDATE outbox SET status = 'suppressed', code = 'member_closed', finished_at = $2"
        " WHERE member_id = ANY($1) AND status = 'queued'",
        list(member_ids),
        now,
    )


async def report_delivery(platform_message_id: str, *, account: str, status: str, code: str) -> None:
    """The platform told later what became of an accepted message."""
    await db.execute(
        "UPDATE outbox SET status = $3, code = $4"
        " WHERE platform_message_id = $1 AND account = $2 AND status = 'accepted'",
        platform_message_id,
        account,
        status,
        code,
    )
