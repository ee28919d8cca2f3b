"""What a node sees and what it decides. A node decides, the engine acts: nodes are pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from loyalty.ledger.operations import Grant
from loyalty.outbox.rules import Notice
from loyalty.program.terms import Terms


@dataclass(frozen=True, slots=True)
class Run:
    """One member on one journey, standing at `node`; `key` made the enrolment happen once."""

    id: int
    journey: str
    key: str
    member_id: int
    node: str
    data: Mapping[str, Any]
    attempts: int
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """The instant of a step and the terms in force then."""

    now: datetime
    terms: Terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one step does: stay until `wait_until`, or give, tell and go on to the next node."""

    wait_until: datetime | None = None
    grants: tuple[Grant, ...] = ()
    notices: tuple[Notice, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


class Node(Protocol):
    """One kind of step with its settings."""

    def decide(self, run: Run, moment: Moment) -> Move:
        """What happens when `run` stands here at `moment`."""
        ...
