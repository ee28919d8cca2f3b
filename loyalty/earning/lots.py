"""From awards to lots: one per asset and fact, and one of its own for each rule that lasts or waits differently."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from loyalty.clock import business_day, start_of
from loyalty.earning.documents import AfterDays, OnDays, OnEvent, Rule, Waiting
from loyalty.earning.facts import Fact
from loyalty.earning.reading import Case
from loyalty.earning.rules import Award, Evaluation
from loyalty.earning.writing import withheld_document
from loyalty.expiry import Calendar, ends_at
from loyalty.ledger.operations import Asset, Grant, Pending
from loyalty.program import validity


@dataclass(frozen=True, slots=True)
class Granted:
    """The grants of a fact, and under which of their keys each award counts (None: it gives nothing)."""

    grants: tuple[Grant, ...]
    keys: tuple[str | None, ...]


def granted(case: Case, evaluation: Evaluation, *, now: datetime) -> Granted:
    """What the ledger is asked to give for an evaluation."""
    rules = {one.code: one.rule for one in case.ruleset.rules}
    keys = tuple(_key(case.fact, award, rules[award.rule_code]) for award in evaluation.awards)
    lots: dict[str, list[Award]] = {}
    for key, award in zip(keys, evaluation.awards, strict=True):
        if key is not None:
            lots.setdefault(key, []).append(award)
    grants = [_grant(case, key, awards, rules[awards[0].rule_code], now) for key, awards in lots.items()]
    return Granted(tuple(grants), keys)


def _key(fact: Fact, award: Award, rule: Rule) -> str | None:
    if not award.amount:
        return None
    own = rule.pending is not None or rule.expiry is not None
    return f"{fact.key}:{award.asset}:{rule.code}" if own else f"{fact.key}:{award.asset}"


def _grant(case: Case, key: str, awards: list[Award], rule: Rule, now: datetime) -> Grant:
    fact, terms = case.fact, case.ruleset.programme
    waits = pending_of(rule.pending, fact, terms.calendar) if rule.pending is not None else None
    made = Grant(
        member_id=fact.member_id,
        asset=Asset(awards[0].asset),
        amount=sum(award.amount for award in awards),
        key=key,
        kind=fact.kind,
        reason={**fact.reason, "awards": [said(award, case) for award in awards], "terms": case.ruleset.version},
        occurred_at=fact.occurred_at,
        # Growth value counts in the period in which something happened, however late it is reported.
        effective_at=fact.occurred_at if awards[0].asset == Asset.GROWTH else now,
    )
    if made.asset == Asset.GROWTH:
        # Growth value counts at once, whatever points wait for.
        return replace(made, pending=waits)
    waits = waits or fact.pending
    tier = case.member.get("member.tier")
    begins = (waits.activates_at if waits is not None else None) or now
    lasts = validity.of_points(terms, begins, tier=tier if isinstance(tier, str) else None, rule=rule.expiry)
    if waits is not None and waits.event is not None:
        # What nobody knows the beginning of has no end yet, only the rule for it.
        waits = replace(waits, expiry=lasts.rule.model_dump(mode="json"))
        return replace(made, pending=waits, idle=lasts.idle)
    return replace(made, pending=waits, expires_at=lasts.expires_at, idle=lasts.idle)


def said(award: Award, case: Case) -> dict[str, Any]:
    """An award as the ledger's entry tells of it."""
    name = next((one.rule.name for one in case.ruleset.rules if one.code == award.rule_code and one.version), {})
    return {
        "rule": award.rule_code,
        "version": award.version,
        "name": name,
        "amount": award.amount,
        "wanted": award.wanted,
        "withheld": [withheld_document(one) for one in award.withheld],
        **award.explanation,
    }


def pending_of(waiting: Waiting, fact: Fact, zone: ZoneInfo) -> Pending:
    """How long units wait that a rule gives for `fact`."""
    today = business_day(fact.occurred_at, zone)
    match waiting:
        case AfterDays():
            return Pending(activates_at=start_of(today + timedelta(days=waiting.days), zone), zone=zone.key)
        case OnDays():
            over = ends_at(Calendar(days=waiting.days, at_least_days=1), fact.occurred_at, zone)
            return Pending(
                activates_at=over and start_of(business_day(over, zone) - timedelta(days=1), zone), zone=zone.key
            )
        case OnEvent():
            days = waiting.cancel_after_days
            cancels_at = None if days is None else start_of(today + timedelta(days=days), zone)
            return Pending(event=waiting.event, cancels_at=cancels_at, zone=zone.key)
