"""Reading tiers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loyalty import db
from loyalty.program import queries as program
from loyalty.program.terms import TierTerms
from loyalty.tiers import rules

_STANDING = """
SELECT balance.member_id, balance.available AS growth, held.tier, held.starts_at
FROM ledger_balance balance
LEFT JOIN tier_interval held ON held.member_id = balance.member_id AND held.ends_at IS NULL
WHERE balance.asset = 'growth' AND balance.member_id = ANY($1)
"""
_HELD_AT = """
SELECT asked.member_id, asked.at, held.tier
FROM unnest($1::bigint[], $2::timestamptz[]) AS asked(member_id, at)
JOIN tier_interval held ON held.member_id = asked.member_id AND held.starts_at <= asked.at
     AND (held.ends_at IS NULL OR held.ends_at > asked.at)
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member stands. `since` is None for members who never rose above the lowest tier."""

    tier: TierTerms
    growth: int
    since: datetime | None
    next_tier: TierTerms | None
    missing: int


@dataclass(frozen=True, slots=True)
class Interval:
    """A tier held in [starts_at, ends_at); open while `ends_at` is None."""

    tier: str
    reason: str
    starts_at: datetime
    ends_at: datetime | None


async def standings(member_ids: Sequence[int], *, at: datetime) -> Mapping[int, Standing]:
    """Tier, growth value and what is missing to the next tier, per member who has an account."""
    ladder = (await program.in_force(at)).terms.tiers
    return {
        row["member_id"]: _standing(row["tier"], row["growth"], row["starts_at"], ladder)
        for row in await db.fetch(_STANDING, list(member_ids))
    }


async def standing(member_id: int, *, at: datetime) -> Standing:
    """`standings` of one; a member without an account stands at the bottom."""
    found = await standings([member_id], at=at)
    return found.get(member_id) or _standing(None, 0, None, (await program.in_force(at)).terms.tiers)


async def held_at(moments: Sequence[tuple[int, datetime]]) -> Mapping[tuple[int, datetime], str]:
    """The tier code that each (member, instant) had; pairs without a row were on the lowest tier."""
    if not moments:
        return {}
    rows = await db.fetch(_HELD_AT, [member_id for member_id, _ in moments], [at for _, at in moments])
    return {(row["member_id"], row["at"]): row["tier"] for row in rows}


async def history(member_id: int, *, limit: int = 50) -> list[Interval]:
    """The tiers a member held, newest first."""
    rows = await db.fetch(
        "SELECT tier, reason, starts_at, ends_at FROM tier_interval WHERE member_id = $1 ORDER BY id DESC LIMIT $2",
        member_id,
        limit,
    )
    return [Interval(row["tier"], row["reason"], row["starts_at"], row["ends_at"]) for row in rows]


def _standing(code: str | None, growth: int, since: datetime | None, ladder: rules.Ladder) -> Standing:
    holding = rules.held(code, ladder)
    above = rules.step_above(holding, growth, ladder)
    return Standing(
        tier=holding,
        growth=growth,
        since=since,
        next_tier=above.tier if above else None,
        missing=above.missing if above else 0,
    )
