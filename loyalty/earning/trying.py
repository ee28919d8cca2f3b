"""Trying a rule out: what a fact would earn if it happened, with a rule that is not published yet."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from loyalty.conditions.vocabulary import find
from loyalty.earning import publishing, queries, reading
from loyalty.earning.documents import Rule
from loyalty.earning.facts import Fact, FactLine, restored
from loyalty.earning.rules import Evaluation, Versioned, evaluate

TRIED: Final = 10**6
"""The version that a rule has which is only tried out."""


def fact_of(
    trigger: str,
    member_id: int,
    *,
    occurred_at: datetime,
    values: Mapping[str, Any],
    lines: Sequence[FactLine] = (),
    **purchase: Any,
) -> Fact:
    """A fact that did not happen. Of `values` counts what the vocabulary knows."""
    known = {key: value for key, value in values.items() if find(key) is not None}
    return Fact(
        trigger=trigger,
        key="tried",
        member_id=member_id,
        occurred_at=occurred_at,
        lines=lines,
        values=restored(known),
        **purchase,
    )


async def tried(fact: Fact, rule: Rule | None, *, now: datetime) -> Evaluation:
    """What the fact would earn now by the rules in force, and by `rule` in place of its published version.

    Raises:
        ConditionInvalid, KindUnknown, GroupMixed, BudgetDiffers: the rule cannot work.
    """
    ruleset = await queries.in_force(fact.trigger, fact.occurred_at, now=now)
    if rule is not None:
        await publishing.check(rule, now=now)
        others = [one for one in ruleset.rules if one.version and one.code != rule.code]
        ruleset = await queries.ruleset(fact.trigger, fact.occurred_at, [*others, Versioned(TRIED, rule)], now=now)
    (case,) = await reading.known([(fact, ruleset)], now=now)
    used = (await reading.used([case], hold=False))[fact.member_id]
    if rule is not None and rule.budget is not None and rule.budget_code is not None:
        # A budget that does not exist yet is whole.
        used = type(used)(used.counts, {rule.budget_code: rule.budget.total, **used.left})
    return evaluate(case.fact, case.ruleset, case.member, used)
