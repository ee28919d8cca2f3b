"""Writing judgements down: facts, awards and what limits count, in one statement that refuses to overdraw."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from loyalty import db
from loyalty.earning import facts
from loyalty.earning.counting import CounterKey, Mosts, Withheld, carry_key, mosts_of
from loyalty.earning.reading import Case
from loyalty.earning.rules import Award, Evaluation

BIRTHDAY: Final = "member.birthday"

# A fact that somebody else judged meanwhile, a counter above its cap or a budget above its total leaves a row out:
# the count shows it, and all of it is undone.
_WRITE: Final = """
WITH fact AS (
    INSERT INTO earning_fact (member_id, key, trigger, occurred_at, judged_at, inputs, inputs_hash)
    SELECT member_id, key, trigger, occurred_at, $1, inputs::jsonb, inputs_hash
    FROM unnest($2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[]) WITH ORDINALITY
         AS given(member_id, key, trigger, occurred_at, inputs, inputs_hash, place)
    ORDER BY place
    ON CONFLICT (member_id, key) DO NOTHING
    RETURNING id, member_id, key
), award AS (
    INSERT INTO earning_award (fact_id, member_id, rule, version, asset, amount, wanted, withheld, details, counted,
                               budget, grant_key)
    SELECT fact.id, given.member_id, rule, version, asset, amount, wanted, withheld::jsonb, details::jsonb,
           counted::jsonb, budget, grant_key
    FROM unnest($8::bigint[], $9::text[], $10::text[], $11::int[], $12::text[], $13::bigint[], $14::bigint[],
                $15::text[], $16::text[], $17::text[], $18::text[], $19::text[]) WITH ORDINALITY
         AS given(member_id, key, rule, version, asset, amount, wanted, withheld, details, counted, budget, grant_key,
                  place)
    JOIN fact ON fact.member_id = given.member_id AND fact.key = given.key
    ORDER BY place
), counter AS (
    UPDATE earning_counter c SET amount = c.amount + given.amount, times = c.times + given.times,
        last_at = coalesce(given.last_at, c.last_at)
    FROM unnest($20::bigint[], $21::text[], $22::text[], $23::bigint[], $24::bigint[], $25::timestamptz[],
                $26::bigint[], $27::bigint[])
         AS given(member_id, code, period, amount, times, last_at, most_amount, most_times)
    WHERE c.member_id = given.member_id AND c.code = given.code AND c.period = given.period
      AND (given.most_amount IS NULL OR c.amount + given.amount <= given.most_amount)
      AND (given.most_times IS NULL OR c.times + given.times <= given.most_times)
    RETURNING 1
), budget AS (
    UPDATE earning_budget b SET used = b.used + given.spent
    FROM unnest($28::text[], $29::bigint[]) AS given(code, spent)
    WHERE b.code = given.code AND b.used + given.spent <= b.total
    RETURNING 1
)
SELECT (SELECT count(*) FROM fact) AS facts, (SELECT count(*) FROM counter) AS counters,
       (SELECT count(*) FROM budget) AS budgets
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A fact's evaluation, and under which ledger key each award is granted (None: it gives nothing)."""

    case: Case
    evaluation: Evaluation
    grant_keys: Sequence[str | None]


@dataclass(slots=True)
class _Counted:
    """What a batch adds to one counter, and how far it may go."""

    amount: int = 0
    times: int = 0
    last_at: datetime | None = None
    mosts: Mosts = field(default_factory=Mosts)


async def write(judged: Sequence[Judgement], *, now: datetime) -> None:
    """Store what was judged and count what was given.

    Raises:
        Overtaken: another unit of work judged one of the facts, or used what was still left.
    """
    rows = [
        (one, award, key) for one in judged for award, key in zip(one.evaluation.awards, one.grant_keys, strict=True)
    ]
    counted = _counters(judged)
    spent = _spent(award for _, award, _ in rows)
    inputs = [inputs_of(one) for one in judged]
    texts = [facts_text(document) for document in inputs]
    row = await db.fetch_one(
        _WRITE,
        now,
        [one.case.fact.member_id for one in judged],
        [one.case.fact.key for one in judged],
        [one.case.fact.trigger for one in judged],
        [one.case.fact.occurred_at for one in judged],
        [text.decode() for text in texts],
        [hashlib.sha256(text).hexdigest() for text in texts],
        [one.case.fact.member_id for one, _, _ in rows],
        [one.case.fact.key for one, _, _ in rows],
        *_award_columns([award for _, award, _ in rows]),
        [key for _, _, key in rows],
        *_counter_columns(counted),
        list(spent),
        list(spent.values()),
    )
    if row is None or (row["facts"], row["counters"], row["budgets"]) != (len(judged), len(counted), len(spent)):
        raise db.Overtaken


def inputs_of(judged: Judgement) -> dict[str, Any]:
    """Everything that the judgement rests on: judged again by the same rules, it comes out the same."""
    case, evaluation = judged.case, judged.evaluation
    return {
        **facts.document_of(case.fact),
        # A birthday is read again from where it can be erased.
        "member": facts.stored({key: value for key, value in case.member.items() if key != BIRTHDAY}),
        "rules": {one.code: one.version for one in case.ruleset.rules},
        "terms": case.ruleset.version,
        "carry": {asset: before for asset, (before, _) in evaluation.carry.items()},
        "closed": [one.rule_code for one in evaluation.unfired if one.reason is not None],
    }


def facts_text(document: Mapping[str, Any]) -> bytes:
    """The canonical text that the hash is taken of."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def _award_columns(awards: Sequence[Award]) -> tuple[list[Any], ...]:
    return (
        [award.rule_code for award in awards],
        [award.version for award in awards],
        [award.asset for award in awards],
        [award.amount for award in awards],
        [award.wanted for award in awards],
        [orjson.dumps([withheld_document(one) for one in award.withheld]).decode() for award in awards],
        [orjson.dumps({**award.explanation, "per_line": award.per_line}).decode() for award in awards],
        [orjson.dumps(award.counted).decode() for award in awards],
        [award.budget for award in awards],
    )


def withheld_document(withheld: Withheld) -> dict[str, Any]:
    """What was withheld, as it is stored and shown."""
    return {"amount": withheld.amount, "reason": withheld.reason, "scope": withheld.scope.value}


def _counters(judged: Sequence[Judgement]) -> dict[tuple[int, str, str], _Counted]:
    found: dict[tuple[int, str, str], _Counted] = {}
    for one in judged:
        fact, mosts = one.case.fact, _mosts(one.case)
        for award in one.evaluation.awards:
            for key in award.counted:
                counted = found.setdefault((fact.member_id, *key), _Counted(mosts=mosts.get(key, Mosts())))
                counted.amount += award.amount
                counted.times += 1
                counted.last_at = max(counted.last_at or fact.occurred_at, fact.occurred_at)
        for asset, (before, after) in one.evaluation.carry.items():
            found.setdefault((fact.member_id, *carry_key(asset)), _Counted()).amount += after - before
    return found


def _mosts(case: Case) -> Mapping[CounterKey, Mosts]:
    return {
        key: mosts
        for one in case.ruleset.rules
        for key, mosts in mosts_of(one.rule, case.ruleset.terms, case.day).items()
    }


def _counter_columns(counted: Mapping[tuple[int, str, str], _Counted]) -> tuple[list[Any], ...]:
    keys, values = list(counted), list(counted.values())
    return (
        [key[0] for key in keys],
        [key[1] for key in keys],
        [key[2] for key in keys],
        [one.amount for one in values],
        [one.times for one in values],
        [one.last_at for one in values],
        [one.mosts.amount for one in values],
        [one.mosts.times for one in values],
    )


def _spent(awards: Iterable[Award]) -> dict[str, int]:
    spent: dict[str, int] = {}
    for award in awards:
        if award.budget is not None and award.amount:
            spent[award.budget] = spent.get(award.budget, 0) + award.amount
    return spent
