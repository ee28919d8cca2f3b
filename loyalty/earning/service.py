"""Awarding: a fact earns once, by the rules in force when it happened, exactly within caps and budgets.

`award` and `preview` do the same arithmetic (`loyalty.earning.rules`) over the same reading; only `award` holds the
counters it reads, writes what was judged, and posts what was earned to the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from loyalty import db
from loyalty.earning import lots, reading, writing
from loyalty.earning.counting import Scope, Used, Withheld
from loyalty.earning.facts import Fact
from loyalty.earning.reading import Case
from loyalty.earning.rules import Award, Evaluation, evaluate
from loyalty.earning.writing import Judgement
from loyalty.errors import unreachable
from loyalty.events import PointsAccrued
from loyalty.ledger import service as ledger
from loyalty.ledger.operations import Asset, Grant
from loyalty.ledger.outcomes import Posted
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

_KNOWN: Final = """
SELECT f.member_id, f.key, a.rule, a.version, a.asset, a.amount, a.wanted, a.withheld, a.details, a.grant_key
FROM earning_fact f LEFT JOIN earning_award a ON a.fact_id = f.id
WHERE (f.member_id, f.key) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) ORDER BY a.id
"""

_JOIN_COUNTERS: Final = """
INSERT INTO earning_counter AS mine (member_id, code, period, amount, times, last_at)
SELECT $2, code, period, amount, times, last_at FROM earning_counter WHERE member_id = $1 ORDER BY code, period
ON CONFLICT (member_id, code, period) DO UPDATE SET amount = mine.amount + excluded.amount,
    times = mine.times + excluded.times, last_at = greatest(mine.last_at, excluded.last_at)
"""

FactKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Earned:
    """What a fact earned. `posted` are the ledger's answers to its grants; `replayed` when it was judged before."""

    evaluation: Evaluation
    posted: tuple[tuple[Grant, Posted], ...] = ()
    replayed: bool = False

    def total(self, asset: str) -> int:
        """Units of an asset in all."""
        return self.evaluation.total(asset)


async def preview(facts: Sequence[Fact], *, now: datetime) -> list[Evaluation]:
    """What each fact would earn, one after another, if it were awarded now; nothing is written."""
    cases = await reading.cases(facts, now=now)
    return _judged(cases, await reading.used(cases, hold=False))


async def preview_each(facts: Sequence[Fact], *, now: datetime) -> list[Evaluation]:
    """What each fact would earn if it were the only one awarded now; nothing is written."""
    cases = await reading.cases(facts, now=now)
    used = await reading.used(cases, hold=False)
    return [evaluate(case.fact, case.ruleset, case.member, used[case.fact.member_id]) for case in cases]


async def award(facts: Sequence[Fact], *, now: datetime) -> list[Earned]:
    """Judge each fact, in order, by the rules in force when it happened, and give what it earns; each once.

    A fact whose key was judged before earns nothing more and answers what it earned then. A fixed number of
    statements, whatever the size of the batch.
    """
    if not facts:
        return []
    known = await _known(facts)
    first: dict[FactKey, Fact] = {}
    for fact in facts:
        if (fact.member_id, fact.key) not in known:
            first.setdefault((fact.member_id, fact.key), fact)
    fresh = await _awarded(list(first.values()), now=now) if first else {}
    outcomes: list[Earned] = []
    for fact in facts:
        at = (fact.member_id, fact.key)
        earned = fresh.pop(at, None)
        if earned is not None:
            known[at] = earned.evaluation.awards
        outcomes.append(earned or Earned(Evaluation(fact, known[at], (), Used()), replayed=True))
    return outcomes


async def award_and_tell(facts: Sequence[Fact], *, now: datetime) -> list[Earned]:
    """`award` for facts that nobody else tells of: with the event of each accrual, and tiers raised at once."""
    earned = await award(facts, now=now)
    posted = [pair for one in earned for pair in one.posted]
    await tiers.review_posted(posted, now=now)
    await spine.record(
        *(
            PointsAccrued(member_id=grant.member_id, at=now, points=grant.amount, balance=done.balance, key=grant.key)
            for grant, done in posted
            if grant.asset == Asset.POINTS
        ),
        now=now,
    )
    return earned


async def join_counters(source_id: int, target_id: int) -> None:
    """Count for one member what limits counted for two (a merge): joining accounts brings no second allowance."""
    await db.execute(_JOIN_COUNTERS, source_id, target_id)
    await db.execute("DELETE FROM earning_counter WHERE member_id = $1", source_id)


async def _known(facts: Sequence[Fact]) -> dict[FactKey, tuple[Award, ...]]:
    found: dict[FactKey, list[Award]] = {}
    rows = await db.fetch(_KNOWN, [fact.member_id for fact in facts], [fact.key for fact in facts])
    for row in rows:
        awards = found.setdefault((row["member_id"], row["key"]), [])
        if row["rule"] is not None:
            awards.append(award_of(row))
    return {at: tuple(awards) for at, awards in found.items()}


def award_of(row: db.Row) -> Award:
    """An award as it was stored."""
    details = orjson.loads(row["details"])
    return Award(
        rule_code=row["rule"],
        version=row["version"],
        asset=row["asset"],
        amount=row["amount"],
        wanted=row["wanted"],
        withheld=tuple(
            Withheld(one["amount"], one["reason"], Scope(one["scope"])) for one in orjson.loads(row["withheld"])
        ),
        per_line=tuple(details.pop("per_line")),
        explanation=details,
    )


async def _awarded(facts: Sequence[Fact], *, now: datetime) -> dict[FactKey, Earned]:
    cases = await reading.cases(facts, now=now)
    evaluations = _judged(cases, await reading.used(cases, hold=True))
    granted = [lots.granted(case, found, now=now) for case, found in zip(cases, evaluations, strict=True)]
    judged = [
        Judgement(case, found, given.keys) for case, found, given in zip(cases, evaluations, granted, strict=True)
    ]
    await writing.write(judged, now=now)
    batch = [grant for given in granted for grant in given.grants]
    outcomes = dict(zip([grant_at(grant) for grant in batch], await ledger.post(batch, now=now), strict=True))
    return {
        (case.fact.member_id, case.fact.key): Earned(
            found, tuple((grant, _posted(outcomes[grant_at(grant)])) for grant in given.grants)
        )
        for case, found, given in zip(cases, evaluations, granted, strict=True)
    }


def grant_at(grant: Grant) -> FactKey:
    """What names a grant in the ledger."""
    return grant.member_id, grant.key


def _posted(outcome: object) -> Posted:
    if not isinstance(outcome, Posted) or outcome.replayed:
        unreachable("a fact that was not judged before was not paid")
    return outcome


def _judged(cases: Sequence[Case], used: Mapping[int, Used]) -> list[Evaluation]:
    """Judge in order: what one fact uses is used for the next one."""
    counts = {member_id: one.counts for member_id, one in used.items()}
    left = next(iter(used.values())).left if used else {}
    evaluations = []
    for case in cases:
        member_id = case.fact.member_id
        found = evaluate(case.fact, case.ruleset, case.member, Used(counts[member_id], left))
        counts[member_id], left = found.used.counts, found.used.left
        evaluations.append(found)
    return evaluations
