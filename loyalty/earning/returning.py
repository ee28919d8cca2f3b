"""When part of a fact is undone: what is kept is judged by the recorded versions of its rules and by what was known
then, and whatever it would not have earned goes back. Limits get back what they counted; what they withheld is not
paid afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.conditions.rules import Values
from loyalty.earning import facts, queries, reading
from loyalty.earning.counting import Count, CounterKey, Used, carry_key
from loyalty.earning.facts import Fact
from loyalty.earning.rules import Evaluation, RuleSet, evaluate, unlimited
from loyalty.money import split

_RECORDED: Final = """
SELECT id, member_id, key, trigger, occurred_at, inputs FROM earning_fact WHERE key = $1 ORDER BY id LIMIT 1
"""
_AWARDS: Final = """
SELECT id, rule, asset, amount, returned, counted, budget, grant_key FROM earning_award WHERE fact_id = $1 ORDER BY id
"""
_RETURN: Final = """
WITH award AS (
    UPDATE earning_award a SET returned = a.returned + given.units
    FROM unnest($1::bigint[], $2::bigint[]) AS given(id, units) WHERE a.id = given.id
), counter AS (
    UPDATE earning_counter c
    SET amount = greatest(0, c.amount - given.units), times = greatest(0, c.times - given.times)
    FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
         AS given(member_id, code, period, units, times)
    WHERE c.member_id = given.member_id AND c.code = given.code AND c.period = given.period
)
UPDATE earning_budget b SET used = greatest(0, b.used - given.units)
FROM unnest($8::text[], $9::bigint[]) AS given(code, units) WHERE b.code = given.code
"""


@dataclass(frozen=True, slots=True)
class Given:
    """One award as it stands: `left` of it was not taken back yet."""

    id: int
    rule: str
    asset: str
    amount: int
    returned: int
    counted: tuple[CounterKey, ...]
    budget: str | None
    grant_key: str | None

    @property
    def left(self) -> int:
        """What the member keeps of it so far."""
        return self.amount - self.returned


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact that was judged, with its awards and everything that is needed to judge it again."""

    fact: Fact
    ruleset: RuleSet
    member: Values
    carry: Mapping[str, int]
    awards: tuple[Given, ...]

    def keys(self, asset: str) -> tuple[str, ...]:
        """The ledger keys under which an asset was granted."""
        return tuple(dict.fromkeys(one.grant_key for one in self.awards if one.asset == asset and one.grant_key))

    def judged(self, fact: Fact) -> Evaluation:
        """`fact` as if it had happened instead, whatever limits had counted."""
        counts = {carry_key(asset): Count(amount) for asset, amount in self.carry.items()}
        return evaluate(fact, self.ruleset, self.member, Used(counts))

    def kept(self, rest: Fact | None) -> dict[int, int]:
        """What is kept of each award when only `rest` of the fact remains (None: nothing)."""
        if rest is None:
            return {one.id: 0 for one in self.awards}
        found = self.judged(rest)
        would = {(award.rule_code, award.asset): award.amount for award in found.awards}
        known = {(one.rule, one.asset) for one in self.awards}
        kept = {one.id: min(one.left, would.get((one.rule, one.asset), 0)) for one in self.awards}
        # What the rest would have earned by rules that gave way before softens what is taken.
        extra = {asset: 0 for _, asset in would}
        for (code, asset), amount in would.items():
            extra[asset] += 0 if (code, asset) in known else amount
        for one in self.awards:
            more = min(extra.get(one.asset, 0), one.left - kept[one.id])
            kept[one.id] += more
            extra[one.asset] = extra.get(one.asset, 0) - more
        return kept

    def shared(self, asset: str, units: int) -> dict[int, int]:
        """What is kept of each award of an asset when `units` of it are taken back in proportion."""
        own = [one for one in self.awards if one.asset == asset]
        left = [one.left for one in own]
        rest = split(max(0, sum(left) - units), left)
        return {one.id: part for one, part in zip(own, rest, strict=True)}


async def recorded(key: str, *, now: datetime) -> Recorded | None:
    """What was judged under a key, whoever it was judged for (a merge leaves facts where they happened)."""
    row = await db.fetch_one(_RECORDED, key)
    if row is None:
        return None
    inputs = orjson.loads(row["inputs"])
    at: datetime = row["occurred_at"]
    fact = facts.read(inputs, trigger=row["trigger"], key=row["key"], member_id=row["member_id"], occurred_at=at)
    ruleset = unlimited(
        await queries.ruleset_of(row["trigger"], at, inputs["rules"], inputs["terms"], now=now),
        without=frozenset(inputs["closed"]),
    )
    member = facts.restored(inputs["member"])
    missing = ruleset.keys() - member.keys()
    if missing:
        (case,) = await reading.known([(fact, ruleset)], now=now)
        member = {**case.member, **member}
    awards = [_given(one) for one in await db.fetch(_AWARDS, row["id"])]
    return Recorded(fact, ruleset, member, inputs["carry"], tuple(awards))


def _given(row: db.Row) -> Given:
    counted = tuple((code, period) for code, period in orjson.loads(row["counted"]))
    return Given(**{**dict(row), "counted": counted})


async def give_back(judged: Recorded, kept: Mapping[int, int], *, member_id: int, rest: Fact | None) -> None:
    """Note what was taken back of each award, and let counters and budgets have it again."""
    changes = [(one, one.left - kept.get(one.id, one.left)) for one in judged.awards]
    changes = [(one, units) for one, units in changes if units]
    counters = [(member_id, *key, units, int(units == one.amount)) for one, units in changes for key in one.counted]
    counters += _carried(judged, rest, member_id)
    budgets: dict[str, int] = {}
    for one, units in changes:
        if one.budget is not None:
            budgets[one.budget] = budgets.get(one.budget, 0) + units
    merged = _together(counters)
    await db.execute(
        _RETURN,
        [one.id for one, _ in changes],
        [units for _, units in changes],
        *[[row[place] for row in merged] for place in range(5)],
        list(budgets),
        list(budgets.values()),
    )


def _carried(judged: Recorded, rest: Fact | None, member_id: int) -> list[tuple[int, str, str, int, int]]:
    if not judged.carry:
        return []
    before = judged.judged(judged.fact).carry
    nothing = {asset: (amount, amount) for asset, amount in judged.carry.items()}
    after = judged.judged(rest).carry if rest is not None else nothing
    return [(member_id, *carry_key(asset), fraction - after[asset][1], 0) for asset, (_, fraction) in before.items()]


def _together(rows: Sequence[tuple[int, str, str, int, int]]) -> list[tuple[Any, ...]]:
    """One row per counter: an UPDATE takes the first of several."""
    found: dict[tuple[int, str, str], list[int]] = {}
    for member_id, code, period, units, times in rows:
        total = found.setdefault((member_id, code, period), [0, 0])
        total[0] += units
        total[1] += times
    return [(*key, *total) for key, total in found.items()]
