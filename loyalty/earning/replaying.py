"""Replay: what an earning rule would have given for the facts of a past period, next to what was given. No writes.

Members are taken in chunks, each member's facts in the order in which they were judged. The other rules are those that
each fact recorded, so the difference is the rule's alone. Limits begin with what had been counted when the period
began; a budget is spent in the order of members, which decides who gets the last of it but not how much it gives.
Amounts are those before refunds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal, SystemPrincipal
from loyalty.earning import facts, publishing, queries, reading
from loyalty.earning.counting import Count, CounterKey, Used, carry_key
from loyalty.earning.documents import Rule
from loyalty.earning.facts import Fact
from loyalty.earning.reading import Case
from loyalty.earning.rules import Evaluation, RuleSet, Versioned, evaluate
from loyalty.earning.trying import TRIED
from loyalty.errors import Invalid

CHUNK_MAX: Final = 200
WINNERS: Final = 10
_UNBOUNDED: Final = 10**15

_MEMBERS: Final = """
SELECT DISTINCT member_id FROM earning_fact
WHERE member_id > $4 AND trigger = $1 AND occurred_at >= $2 AND occurred_at < $3 ORDER BY member_id LIMIT $5
"""
_LEFT: Final = """
SELECT count(DISTINCT member_id) FROM earning_fact
WHERE member_id > $4 AND trigger = $1 AND occurred_at >= $2 AND occurred_at < $3
"""
_FACTS: Final = """
SELECT f.id, f.member_id, f.key, f.trigger, f.occurred_at, f.inputs, coalesce(a.given, 0)::bigint AS given,
       coalesce(a.counted, '[]') AS counted
FROM earning_fact f LEFT JOIN LATERAL (
    SELECT sum(amount) FILTER (WHERE asset = $4) AS given,
           json_agg(json_build_array(counted, amount))::text AS counted
    FROM earning_award WHERE fact_id = f.id
) a ON true
WHERE f.member_id = ANY($1) AND f.occurred_at >= $2 AND f.occurred_at < $3 ORDER BY f.member_id, f.id
"""
_COUNTED: Final = """
SELECT f.member_id, key.value ->> 0 AS code, key.value ->> 1 AS period, sum(a.amount - a.returned)::bigint AS amount,
       count(*) FILTER (WHERE a.amount > a.returned) AS times, max(f.occurred_at) AS last_at
FROM earning_fact f JOIN earning_award a ON a.fact_id = f.id, jsonb_array_elements(a.counted) AS key(value)
WHERE f.member_id = ANY($1) AND f.occurred_at < $2 GROUP BY f.member_id, code, period
"""
_BUDGETS: Final = """
SELECT b.code, b.total, b.used - coalesce(sum(a.amount - a.returned) FILTER (WHERE f.occurred_at >= $2), 0)::bigint
       AS used
FROM earning_budget b LEFT JOIN earning_award a ON a.budget = b.code LEFT JOIN earning_fact f ON f.id = a.fact_id
WHERE b.code = ANY($1) GROUP BY b.code, b.total, b.used
"""


class PeriodEmpty(Invalid):
    """A replay goes over a period that begins before it ends and has begun."""

    code = "earning.period_empty"


@dataclass(frozen=True, slots=True)
class Winner:
    """What the rule would have given to one member, and by how much all rules together would differ."""

    member_id: int
    units: int
    delta: int


@dataclass(frozen=True, slots=True)
class Tally:
    """A replay so far. `units` would come from the rule; all rules of the triggering facts would give `would` units of
    its asset and gave `given`. `silent` counts why it did not fire, `withheld` the units by limit, `budgets` what is
    left of each."""

    members: int = 0
    facts: int = 0
    fired: int = 0
    units: int = 0
    would: int = 0
    given: int = 0
    silent: Mapping[str, int] = field(default_factory=dict)
    withheld: Mapping[str, int] = field(default_factory=dict)
    winners: tuple[Winner, ...] = ()
    budgets: Mapping[str, int] = field(default_factory=dict)

    @property
    def delta(self) -> int:
        """By how much members would have got more."""
        return self.would - self.given


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a replay came to after one more chunk; go on `after` its last member (None: done). `left` members follow."""

    tally: Tally
    after: int | None
    left: int


@dataclass(frozen=True, slots=True)
class Span:
    """Which period a rule is replayed over, [begins, ends)."""

    rule: Rule
    begins: datetime
    ends: datetime


@dataclass(slots=True)
class _Row:
    fact: Fact
    inputs: Mapping[str, Any]
    given: int
    counted: Sequence[tuple[Sequence[CounterKey], int]]


async def replay(
    span: Span, *, principal: Principal, now: datetime, so_far: Tally | None = None, after: int = 0, limit: int = 100
) -> Chunk:
    """Replay the next `limit` members after `after`, and add what comes out to `so_far`.

    Raises:
        Forbidden, PeriodEmpty
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work.
    """
    if not isinstance(principal, SystemPrincipal):
        access.authorize(principal, Action.CAMPAIGN_READ)
    if span.begins >= span.ends or span.begins >= now:
        raise PeriodEmpty
    await publishing.check(span.rule, now=now)
    asked = (span.rule.trigger, span.begins, span.ends)
    ids = [row["member_id"] for row in await db.fetch(_MEMBERS, *asked, after, max(1, min(limit, CHUNK_MAX)))]
    rows = await _rows(ids, span)
    cases = await _cases(rows, span, now)
    counts = await _counts(ids, span)
    tally = _Reckoning(span.rule, so_far or Tally(), await _budgets(cases, span, so_far))
    tally.run(rows, cases, counts)
    last = ids[-1] if ids else after
    left = await db.fetch_value(_LEFT, *asked, last) if ids else 0
    return Chunk(tally.done(len(ids)), last if left else None, left)


async def _rows(ids: Sequence[int], span: Span) -> list[_Row]:
    found = []
    for row in await db.fetch(_FACTS, ids, span.begins, span.ends, span.rule.asset):
        inputs = orjson.loads(row["inputs"])
        named = {name: row[name] for name in ("trigger", "key", "member_id", "occurred_at")}
        counted = [([(code, period) for code, period in keys], amount) for keys, amount in _listed(row["counted"])]
        found.append(_Row(facts.read(inputs, **named), inputs, row["given"], counted))
    return found


def _listed(text: str) -> Iterable[tuple[Sequence[Sequence[str]], int]]:
    return ((keys, amount) for keys, amount in orjson.loads(text) if amount)


async def _cases(rows: Sequence[_Row], span: Span, now: datetime) -> dict[tuple[int, str], Case]:
    """Each fact of the trigger with its recorded rules, and ours in the place of its version then."""
    known: dict[tuple[Any, ...], RuleSet] = {}
    pairs: list[tuple[Fact, RuleSet]] = []
    recorded: list[Mapping[str, Any]] = []
    for row in rows:
        if row.fact.trigger == span.rule.trigger:
            at = (*sorted(row.inputs["rules"].items()), row.inputs["terms"], row.fact.occurred_at.date())
            if at not in known:
                known[at] = await _ruleset(row, span.rule, now)
            pairs.append((row.fact, known[at]))
            recorded.append(facts.restored(row.inputs["member"]))
    cases = await reading.known(pairs, now=now)
    # What was known then stands; what our rule asks beside is looked up as of then.
    return {
        (case.fact.member_id, case.fact.key): Case(case.fact, case.ruleset, {**case.member, **values})
        for case, values in zip(cases, recorded, strict=True)
    }


async def _ruleset(row: _Row, rule: Rule, now: datetime) -> RuleSet:
    others = {code: version for code, version in row.inputs["rules"].items() if code != rule.code}
    was = await queries.ruleset_of(rule.trigger, row.fact.occurred_at, others, row.inputs["terms"], now=now)
    return RuleSet((*was.rules, Versioned(TRIED, rule)), was.programme, was.setting, was.version)


async def _counts(ids: Sequence[int], span: Span) -> dict[int, dict[CounterKey, Count]]:
    found: dict[int, dict[CounterKey, Count]] = {member_id: {} for member_id in ids}
    for row in await db.fetch(_COUNTED, ids, span.begins):
        count = Count(row["amount"], row["times"], row["last_at"])
        found[row["member_id"]][row["code"], row["period"]] = count
    return found


async def _budgets(cases: Mapping[tuple[int, str], Case], span: Span, so_far: Tally | None) -> dict[str, int]:
    """What was left of each budget when the period began, less what the replay spent so far."""
    left = dict(so_far.budgets) if so_far is not None else {}
    names = frozenset().union(*(case.ruleset.budgets() for case in cases.values())) - left.keys()
    rows = {row["code"]: row for row in await db.fetch(_BUDGETS, sorted(names), span.begins)} if names else {}
    own = span.rule.budget_code
    for name in names:
        total = span.rule.budget.total if name == own and span.rule.budget is not None else None
        used = rows[name]["used"] if name in rows else 0
        whole = rows[name]["total"] if name in rows else _UNBOUNDED
        left[name] = max(0, (whole if total is None else total) - used)
    return left


class _Reckoning:
    """A chunk's sums, on top of those of the chunks before."""

    def __init__(self, rule: Rule, so_far: Tally, budgets: Mapping[str, int]) -> None:
        self._rule = rule
        self._so_far = so_far
        self._left: Mapping[str, int] = budgets
        self._facts = self._fired = self._units = self._would = self._given = 0
        self._silent = dict(so_far.silent)
        self._withheld = dict(so_far.withheld)
        self._by_member: dict[int, tuple[int, int]] = {}

    def run(
        self,
        rows: Sequence[_Row],
        cases: Mapping[tuple[int, str], Case],
        counts: dict[int, dict[CounterKey, Count]],
    ) -> None:
        """Judge the facts in order; those of other triggers count as they were recorded."""
        for row in rows:
            member_id = row.fact.member_id
            case = cases.get((member_id, row.fact.key))
            if case is None:
                _count_recorded(row, counts[member_id])
                continue
            for asset, fraction in row.inputs["carry"].items():
                counts[member_id].setdefault(carry_key(asset), Count(fraction))
            found = evaluate(case.fact, case.ruleset, case.member, Used(counts[member_id], self._left))
            counts[member_id], self._left = dict(found.used.counts), found.used.left
            self._add(row, found)

    def _add(self, row: _Row, found: Evaluation) -> None:
        mine = [award for award in found.awards if award.rule_code == self._rule.code]
        units, would = sum(award.amount for award in mine), found.total(self._rule.asset)
        self._facts += 1
        self._fired += bool(units)
        self._units += units
        self._would += would
        self._given += row.given
        before = self._by_member.get(row.fact.member_id, (0, 0))
        self._by_member[row.fact.member_id] = (before[0] + units, before[1] + would - row.given)
        for unfired in found.unfired:
            if unfired.rule_code == self._rule.code:
                self._silent[unfired.why.value] = self._silent.get(unfired.why.value, 0) + 1
        for part in (part for award in mine for part in award.withheld):
            self._withheld[part.reason] = self._withheld.get(part.reason, 0) + part.amount

    def done(self, members: int) -> Tally:
        """Everything so far."""
        was = self._so_far
        met = (Winner(member_id, *sums) for member_id, sums in self._by_member.items() if sums[0])
        ranked = sorted((*was.winners, *met), key=lambda one: (-one.units, one.member_id))
        return Tally(
            members=was.members + members,
            facts=was.facts + self._facts,
            fired=was.fired + self._fired,
            units=was.units + self._units,
            would=was.would + self._would,
            given=was.given + self._given,
            silent=self._silent,
            withheld=self._withheld,
            winners=tuple(ranked[:WINNERS]),
            budgets=dict(self._left),
        )


def _count_recorded(row: _Row, counts: dict[CounterKey, Count]) -> None:
    for keys, amount in row.counted:
        for key in keys:
            before = counts.get(key, Count())
            counts[key] = Count(before.amount + amount, before.times + 1, row.fact.occurred_at)
