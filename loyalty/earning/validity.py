"""From awards to lots: one per asset and fact, and one of its own for each rule that lasts or waits differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from loyalty.clock import business_day, start_of
from loyalty.earning.documents import AfterDays, OnDays, OnEvent, Rule, Waiting
from loyalty.earning.facts import Fact
from loyalty.earning.reading import Case
from loyalty.earning.rules import Award, Evaluation
from loyalty.earning.writing import withheld_document
from loyalty.expiry import Calendar, Expiry, ends_at
from loyalty.ledger.operations import Asset, Grant, Pending
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.terms import Terms
from loyalty.tiers import queries as tiers


@dataclass(frozen=True, slots=True)
class Granted:
    """The grants of a fact, and under which of their keys each award counts (None: it gives nothing)."""

    grants: tuple[Grant, ...]
    keys: tuple[str | None, ...]


def pending_of(waiting: Waiting, fact: Fact, zone: ZoneInfo) -> Pending:
    """How long units wait that a rule gives for `fact`."""
    today = business_day(fact.occurred_at, zone)
    match waiting:
        case AfterDays():
            return Pending(activates_at=start_of(today + timedelta(days=waiting.days), zone), zone=zone.key)
        case OnDays():
            through = ends_at(Calendar(days=waiting.days), fact.occurred_at, zone)
            begins = business_day(through, zone) - timedelta(days=1) if through is not None else today
            return Pending(activates_at=start_of(begins, zone), zone=zone.key)
        case OnEvent():
            days = waiting.cancel_after_days
            cancels_at = None if days is None else start_of(today + timedelta(days=days), zone)
            return Pending(event=waiting.event, cancels_at=cancels_at, zone=zone.key)
