"""What judging facts needs to know: their rules, their members, and what limits have counted so far.

A fixed number of statements for any batch: one for members and one for their tiers, one each for counters, budgets
and stores, and none for what no rule in force asks for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

from loyalty import db
from loyalty.conditions import queries as conditions
from loyalty.conditions.rules import Setting, Values
from loyalty.conditions.vocabulary import MEMBER
from loyalty.earning import queries
from loyalty.earning.amounts import BIRTHDAY_POINTS, MULTIPLIER
from loyalty.earning.counting import Count, CounterKey, Used
from loyalty.earning.facts import Fact
from loyalty.earning.rules import RuleSet
from loyalty.ladders.rules import Benefits
from loyalty.tiers import queries as tiers

_OF_TIERS: Final = frozenset({MULTIPLIER, BIRTHDAY_POINTS})
_OF_STORES: Final = frozenset({"purchase.store", "purchase.city"})

# The row of each counter is its lock: whoever counts next on it waits, also while it did not exist before.
_HOLD_COUNTERS: Final = """
INSERT INTO earning_counter AS c (member_id, code, period)
SELECT member_id, code, period FROM unnest($1::bigint[], $2::text[], $3::text[]) AS given(member_id, code, period)
ORDER BY member_id, code, period
ON CONFLICT (member_id, code, period) DO UPDATE SET times = c.times
RETURNING member_id, code, period, amount, times, last_at
"""
_READ_COUNTERS: Final = """
SELECT member_id, code, period, amount, times, last_at FROM earning_counter
WHERE (member_id, code, period) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]))
"""
_READ_BUDGETS: Final = "SELECT code, total - used AS left FROM earning_budget WHERE code = ANY($1) ORDER BY code"


@dataclass(frozen=True, slots=True)
class Case:
    """A fact with the rules that are asked, and what is known of its member then."""

    fact: Fact
    ruleset: RuleSet
    member: Values

    @property
    def day(self) -> date:
        """The business day on which it happened."""
        return self.fact.occurred_at.astimezone(self.ruleset.setting.zone).date()


async def cases(facts: Sequence[Fact], *, now: datetime) -> list[Case]:
    """Each fact with the rules in force when it happened."""
    rulesets = [await queries.in_force(fact.trigger, fact.occurred_at, now=now) for fact in facts]
    return await known(list(zip(facts, rulesets, strict=True)), now=now)


async def known(pairs: Sequence[tuple[Fact, RuleSet]], *, now: datetime) -> list[Case]:
    """Each fact with these rules, and what they ask about its member and its store."""
    if not pairs:
        return []
    keys = frozenset().union(*(ruleset.keys() for _, ruleset in pairs))
    located = await _located([fact for fact, _ in pairs], keys)
    members = await _members(located, keys, pairs[0][1].setting, now=now)
    return [
        Case(fact, ruleset, members.get((fact.member_id, fact.occurred_at), {}))
        for fact, (_, ruleset) in zip(located, pairs, strict=True)
    ]


async def _located(facts: Sequence[Fact], keys: frozenset[str]) -> list[Fact]:
    ids = sorted({fact.store_id for fact in facts if fact.store_id is not None and fact.store is None})
    if not ids or not keys & _OF_STORES:
        return list(facts)
    rows = await db.fetch("SELECT id, code, city FROM store WHERE id = ANY($1)", ids)
    stores = {row["id"]: (row["code"], row["city"]) for row in rows}
    return [
        replace(fact, store=stores[fact.store_id][0], city=stores[fact.store_id][1])
        if fact.store_id in stores
        else fact
        for fact in facts
    ]


async def _members(
    facts: Sequence[Fact], keys: frozenset[str], setting: Setting, *, now: datetime
) -> Mapping[tuple[int, datetime], Values]:
    moments = sorted({(fact.member_id, fact.occurred_at) for fact in facts})
    # What every fact brings along was read before.
    keys -= frozenset.intersection(*(frozenset(fact.values) for fact in facts))
    asked = {key for key in keys if key.startswith(f"{MEMBER}.")} - _OF_TIERS
    values = await conditions.values_of(moments, asked, setting)
    if not keys & _OF_TIERS:
        return values
    benefits = await tiers.benefits_at(moments, now=now)
    return {moment: {**values.get(moment, {}), **_of_tiers(benefits[moment], keys)} for moment in moments}


def _of_tiers(benefits: Benefits, keys: frozenset[str]) -> Values:
    given = {MULTIPLIER: benefits.multiplier_percent, BIRTHDAY_POINTS: benefits.birthday_points}
    return {key: value for key, value in given.items() if key in keys}


async def used(batch: Sequence[Case], *, hold: bool) -> dict[int, Used]:
    """What limits have counted of each member; budgets are the same for all. With `hold` nobody else counts on them
    until the unit of work ends."""
    wanted = sorted({(case.fact.member_id, *key) for case in batch for key in case.ruleset.counters(case.day)})
    budgets = sorted(frozenset().union(*(case.ruleset.budgets() for case in batch)))
    counts: dict[int, dict[CounterKey, Count]] = {case.fact.member_id: {} for case in batch}
    if wanted:
        columns = [[key[place] for key in wanted] for place in range(3)]
        for row in await db.fetch(_HOLD_COUNTERS if hold else _READ_COUNTERS, *columns):
            count = Count(row["amount"], row["times"], row["last_at"])
            counts[row["member_id"]][row["code"], row["period"]] = count
    left: dict[str, int] = {}
    if budgets:
        rows = await db.fetch(_READ_BUDGETS + (" FOR UPDATE" if hold else ""), budgets)
        left = {row["code"]: row["left"] for row in rows}
    return {member_id: Used(own, left) for member_id, own in counts.items()}
