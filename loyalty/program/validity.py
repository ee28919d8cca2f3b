"""How long points of this programme last: the terms' rule applied to an instant. Pure."""

from dataclasses import dataclass
from datetime import datetime

from loyalty.expiry import Expiry, Inactivity, Rolling, ends_at
from loyalty.ledger.operations import Idle
from loyalty.program.terms import Terms


@dataclass(frozen=True, slots=True)
class Validity:
    """When a lot ends, and by which inactivity rule its end moves; `rule` is what both come from."""

    rule: Expiry
    expires_at: datetime | None
    idle: Idle | None


def rule_of(terms: Terms, *, tier: str | None = None) -> Expiry:
    """The rule for points: the tier's own, the programme's, or so many months rounded up to the month's end."""
    if tier is not None and tier in terms.points.expiry_by_tier:
        return terms.points.expiry_by_tier[tier]
    return terms.points.expiry or Rolling(months=terms.points.expiry_months)


def of_points(terms: Terms, at: datetime, *, tier: str | None = None, rule: Expiry | None = None) -> Validity:
    """How long points last that become usable at `at`; `rule` overrides the programme's."""
    chosen = rule or rule_of(terms, tier=tier)
    return Validity(chosen, ends_at(chosen, at, terms.calendar), idle_of(chosen, terms))


def idle_of(rule: Expiry, terms: Terms) -> Idle | None:
    """The inactivity rule as lots carry it."""
    if not isinstance(rule, Inactivity):
        return None
    return Idle(months=rule.months, activities=frozenset(rule.activities), zone=terms.zone)
