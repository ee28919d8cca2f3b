"""Raising tiers: at once when growth value reaches a step, never lowering outside the periodic review."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.events import TierRaised
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from loyalty.program import queries as program
from loyalty.spine import service as spine
from loyalty.tiers import rules

NOTICE_KEEPS: Final = timedelta(days=2)

_READ = """
SELECT balance.member_id, balance.available AS growth, held.tier
FROM ledger_balance balance
LEFT JOIN tier_interval held ON held.member_id = balance.member_id AND held.ends_at IS NULL
WHERE balance.asset = 'growth' AND balance.member_id = ANY($1)
ORDER BY balance.member_id
"""
# Closes only the interval that was read: a review that lost a race changes nothing.
_CLOSE = """
UPDATE tier_interval held SET ends_at = $1
FROM unnest($2::bigint[], $3::text[]) AS given(member_id, tier)
WHERE held.member_id = given.member_id AND held.tier = given.tier AND held.ends_at IS NULL
RETURNING held.member_id
"""
_OPEN = """
INSERT INTO tier_interval (member_id, tier, reason, starts_at)
SELECT member_id, tier, $2, $1 FROM unnest($3::bigint[], $4::text[]) AS given(member_id, tier)
ORDER BY member_id
ON CONFLICT (member_id) WHERE ends_at IS NULL DO NOTHING
RETURNING id, member_id
"""


@dataclass(frozen=True, slots=True)
class Raised:
    """A member rose from tier `old` to `new`; both are codes of the terms."""

    interval_id: int
    member_id: int
    old: str
    new: str
    growth: int


@dataclass(frozen=True, slots=True)
class _Rise:
    member_id: int
    open_tier: str | None
    old: str
    new: str
    growth: int


async def review(member_ids: Iterable[int], *, now: datetime, reason: str = "growth") -> list[Raised]:
    """Raise whoever's growth value reaches a higher step, with the event `tier.raised` and a notice each.

    One statement when nobody rises. Call it in the unit of work that posted the growth.
    """
    members = sorted(set(member_ids))
    if not members:
        return []
    ladder = (await program.in_force(now)).terms.tiers
    rises = [rise for row in await db.fetch(_READ, members) if (rise := _rise(row, ladder)) is not None]
    if not rises:
        return []
    raised = await _write(rises, reason, now)
    await _tell(raised, now)
    return raised


def _rise(row: db.Row, ladder: rules.Ladder) -> _Rise | None:
    step = rules.raised(row["tier"], row["growth"], ladder)
    if step is None:
        return None
    old = row["tier"] or ladder[0].code
    return _Rise(row["member_id"], row["tier"], old, step.code, row["growth"])


async def _write(rises: Sequence[_Rise], reason: str, now: datetime) -> list[Raised]:
    holding = [(rise.member_id, rise.open_tier) for rise in rises if rise.open_tier is not None]
    closed = await _close(holding, now)
    free = {rise.member_id: rise for rise in rises if rise.open_tier is None or rise.member_id in closed}
    rows = await db.fetch(_OPEN, now, reason, list(free), [rise.new for rise in free.values()])
    return [
        Raised(row["id"], rise.member_id, rise.old, rise.new, rise.growth)
        for row in rows
        for rise in [free[row["member_id"]]]
    ]


async def _close(holding: Sequence[tuple[int, str]], now: datetime) -> set[int]:
    if not holding:
        return set()
    rows = await db.fetch(_CLOSE, now, [member_id for member_id, _ in holding], [tier for _, tier in holding])
    return {row["member_id"] for row in rows}


async def _tell(raised: Sequence[Raised], now: datetime) -> None:
    await spine.record(
        *(TierRaised(member_id=rise.member_id, at=now, old=rise.old, new=rise.new) for rise in raised), now=now
    )
    await outbox.queue(*(_notice(rise, now) for rise in raised), now=now)


def _notice(rise: Raised, now: datetime) -> Notice:
    return Notice(
        key=f"tier_raised:{rise.member_id}:{rise.interval_id}",
        notice="tier_raised",
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=rise.member_id,
        params={"old": rise.old, "new": rise.new, "growth": rise.growth},
        due_at=now,
        give_up_at=now + NOTICE_KEEPS,
    )
