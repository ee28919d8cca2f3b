"""Rules, facts and what is used, for tests."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from loyalty.conditions.rules import Setting
from loyalty.earning.counting import Used
from loyalty.earning.documents import Rule
from loyalty.earning.facts import Fact, FactLine
from loyalty.earning.rules import Evaluation, RuleSet, Versioned, evaluate
from loyalty.program.earning import EarningTerms
from loyalty.program.terms import Terms

SHANGHAI = ZoneInfo("Asia/Shanghai")
SETTING = Setting(SHANGHAI, {"main": ("basic", "silver", "gold", "diamond")})
NOW = datetime(2026, 11, 25, 4, tzinfo=UTC)  # a Wednesday, noon in Shanghai
PER_YUAN = {"kind": "per_yuan"}
DOUBLE = {"kind": "multiplier", "percent": 200}


def document(code: str = "rule", amount: Any = None, **more: Any) -> dict[str, Any]:
    """A rule on purchases as it is written: one point per yuan, unless said otherwise."""
    return {
        "code": code,
        "name": {"zh-CN": code, "en": code},
        "trigger": "purchase",
        "amount": {"kind": "fixed", "points": amount} if isinstance(amount, int) else amount or PER_YUAN,
        **more,
    }


def rule(code: str = "rule", amount: Any = None, *, version: int = 1, **more: Any) -> Versioned:
    """The same, read."""
    return Versioned(version, Rule.model_validate(document(code, amount, **more)))


def ruleset(*rules: Versioned, **terms: Any) -> RuleSet:
    """These rules under these terms."""
    return RuleSet(rules, Terms(earning=EarningTerms.model_validate(terms)), SETTING)


def purchase(amount_fen: int = 10_000, **more: Any) -> Fact:
    """A purchase of ¥100, unless said otherwise."""
    given: dict[str, Any] = {"trigger": "purchase", "key": "purchase:1", "member_id": 1, "occurred_at": NOW}
    return Fact(**given | {"amount_fen": amount_fen} | more)


def line(amount_fen: int, **more: Any) -> FactLine:
    """A line of a receipt."""
    return FactLine(amount_fen=amount_fen, **more)


def earned(fact: Fact, rules: RuleSet, used: Used | None = None, **member: Any) -> Evaluation:
    """What the fact earns of a member who is so."""
    values = {key.replace("__", "."): value for key, value in member.items()}
    return evaluate(fact, rules, values, used or Used())


def paid(evaluation: Evaluation) -> dict[str, int]:
    """What each rule gave."""
    return {award.rule_code: award.amount for award in evaluation.awards}


def withheld(evaluation: Evaluation) -> dict[str, list[tuple[int, str]]]:
    """What each rule did not give, and by which limit."""
    return {
        award.rule_code: [(one.amount, one.reason) for one in award.withheld]
        for award in evaluation.awards
        if award.withheld
    }


def why(evaluation: Evaluation) -> dict[str, tuple[str, str | None]]:
    """Why each other rule did not fire."""
    return {one.rule_code: (one.why.value, one.path or one.by or one.reason) for one in evaluation.unfired}
