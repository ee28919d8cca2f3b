"""Checking in: the unique (member, day) row is the only guard, also between two taps at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from loyalty import db
from loyalty.check_ins import rules
from loyalty.clock import business_day
from loyalty.conditions.vocabulary import CHECK_IN
from loyalty.earning import queries as earning_rules
from loyalty.earning import service as earning
from loyalty.earning.facts import Fact
from loyalty.errors import Conflict, unreachable
from loyalty.events import CheckedIn
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation, Posted
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.queries import PublishedTerms
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

_LATEST = """
SELECT asked.member_id, latest.day, latest.streak FROM unnest($1::bigint[]) AS asked(member_id)
CROSS JOIN LATERAL (
    SELECT day, streak FROM check_in
    WHERE check_in.member_id = asked.member_id AND day BETWEEN $2 AND $3 ORDER BY day DESC LIMIT 1
) AS latest
"""
_INSERT = """
INSERT INTO check_in (member_id, day, streak, points, at)
SELECT member_id, $1, streak, points, $2
FROM unnest($3::bigint[], $4::int[], $5::bigint[]) AS given(member_id, streak, points)
ORDER BY member_id
ON CONFLICT (member_id, day) DO NOTHING
RETURNING member_id
"""

_POINTS = """
UPDATE check_in SET points = given.points FROM unnest($2::bigint[], $3::bigint[]) AS given(member_id, points)
WHERE check_in.member_id = given.member_id AND check_in.day = $1 AND check_in.points <> given.points
"""


@dataclass(frozen=True, slots=True)
class CheckedInView:
    """A check-in that counted."""

    day: date
    streak: int
    points: int
    bonus: int
    balance: int
    next_bonus_days: int | None
    next_bonus_points: int | None


class AlreadyCheckedIn(Conflict):
    """The member was here today; the next check-in counts from `next_day`."""

    code = "check_ins.already_done"


CheckInOutcome = CheckedInView | AlreadyCheckedIn


async def check_in_many(member_ids: Sequence[int], *, now: datetime) -> list[CheckInOutcome]:
    """Check in each member on the business day of `now`; one outcome each, in order."""
    published = await program.in_force(now)
    day = business_day(now, published.terms.calendar)
    unique = sorted(set(member_ids))
    seen = await _latest(unique, day)
    fresh = [member_id for member_id in unique if (last := seen.get(member_id)) is None or last.day < day]
    rewards = {member_id: rules.reward(seen.get(member_id), day, published.terms.check_in) for member_id in fresh}
    won = await _insert(rewards, day, now)
    paid = {member_id: rewards[member_id] for member_id in won}
    if won and await earning_rules.has_published(CHECK_IN, now, now=now):
        posted = await _award(paid, day, now)
        rewards |= await _as_awarded(paid, posted, day)
    else:
        posted = await _pay(paid, day, published, now)
    await tiers.review_posted(posted, now=now)
    balances = _points(posted)
    await spine.record(
        *(
            CheckedIn(
                member_id=member_id, at=now, day=day, streak=rewards[member_id].streak, points=rewards[member_id].points
            )
            for member_id in won
        ),
        now=now,
    )
    views = {member_id: _view(rewards[member_id], day, balances.get(member_id, 0), published) for member_id in won}
    streaks = {member_id: last.streak for member_id, last in seen.items() if last.day == day}
    streaks |= {member_id: reward.streak for member_id, reward in rewards.items()}
    return [
        views.pop(member_id) if member_id in views else _refused(day, streaks.get(member_id))
        for member_id in member_ids
    ]


async def check_in(member_id: int, *, now: datetime) -> CheckedInView:
    """`check_in_many` of one.

    Raises:
        AlreadyCheckedIn: the member was here today.
    """
    outcome = (await check_in_many([member_id], now=now))[0]
    if isinstance(outcome, AlreadyCheckedIn):
        raise outcome
    return outcome


async def _latest(member_ids: Sequence[int], day: date) -> dict[int, rules.Last]:
    rows = await db.fetch(_LATEST, list(member_ids), day - timedelta(days=1), day)
    return {row["member_id"]: rules.Last(row["day"], row["streak"]) for row in rows}


async def _insert(rewards: Mapping[int, rules.Reward], day: date, now: datetime) -> list[int]:
    if not rewards:
        return []
    rows = await db.fetch(
        _INSERT,
        day,
        now,
        list(rewards),
        [reward.streak for reward in rewards.values()],
        [reward.points for reward in rewards.values()],
    )
    return sorted(row["member_id"] for row in rows)


async def _award(rewards: Mapping[int, rules.Reward], day: date, now: datetime) -> list[tuple[Operation, Posted]]:
    """What the published rules give, the programme's own points among it."""
    facts = [
        Fact(
            trigger=CHECK_IN,
            key=f"check_in:{day.isoformat()}",
            member_id=member_id,
            occurred_at=now,
            values={"check_in.streak": reward.streak},
            kind="check_in",
            reason={"day": day.isoformat(), "streak": reward.streak, "bonus": reward.bonus},
        )
        for member_id, reward in rewards.items()
    ]
    return [pair for earned in await earning.award(facts, now=now) for pair in earned.posted]


async def _as_awarded(
    rewards: Mapping[int, rules.Reward], posted: Sequence[tuple[Operation, Posted]], day: date
) -> dict[int, rules.Reward]:
    """Each reward with the points that were given in the end; the check-in keeps them."""
    points = dict.fromkeys(rewards, 0)
    for operation, outcome in posted:
        if operation.asset == Asset.POINTS:
            points[operation.member_id] += outcome.amount
    await db.execute(_POINTS, day, list(points), list(points.values()))
    return {member_id: replace(reward, points=points[member_id]) for member_id, reward in rewards.items()}


async def _pay(
    rewards: Mapping[int, rules.Reward], day: date, published: PublishedTerms, now: datetime
) -> list[tuple[Operation, Posted]]:
    """Points and growth of each check-in, as they were booked."""
    terms = published.terms
    lasts = validity.of_points(terms, now)
    batch: list[Operation] = []
    for member_id, reward in rewards.items():
        reason = {"day": day.isoformat(), "streak": reward.streak, "bonus": reward.bonus, "terms": published.version}
        for asset, amount, end in (
            (Asset.POINTS, reward.points, lasts),
            (Asset.GROWTH, terms.growth.per_check_in, None),
        ):
            if amount:
                key = f"check_in:{day.isoformat()}:{asset}"
                batch.append(
                    Grant(
                        member_id=member_id,
                        asset=asset,
                        amount=amount,
                        key=key,
                        kind="check_in",
                        occurred_at=now,
                        reason=reason,
                        expires_at=end.expires_at if end else None,
                        idle=end.idle if end else None,
                    )
                )
    posted: list[tuple[Operation, Posted]] = []
    for operation, outcome in zip(batch, await ledger.post(batch, now=now), strict=True):
        if not isinstance(outcome, Posted) or outcome.replayed:
            unreachable("a day that was just inserted was not paid before")
        posted.append((operation, outcome))
    return posted


def _points(posted: Sequence[tuple[Operation, Posted]]) -> dict[int, int]:
    """The points balance after each check-in."""
    return {operation.member_id: outcome.balance for operation, outcome in posted if operation.asset == Asset.POINTS}


def _view(reward: rules.Reward, day: date, balance: int, published: PublishedTerms) -> CheckedInView:
    ahead = rules.next_bonus(reward.streak, published.terms.check_in)
    return CheckedInView(
        day=day,
        streak=reward.streak,
        points=reward.points,
        bonus=reward.bonus,
        balance=balance,
        next_bonus_days=ahead[0] if ahead else None,
        next_bonus_points=ahead[1] if ahead else None,
    )


def _refused(day: date, streak: int | None) -> AlreadyCheckedIn:
    return AlreadyCheckedIn(day=day, next_day=day + timedelta(days=1), streak=streak)
