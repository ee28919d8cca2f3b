"""What a node sees and what it decides. A node decides, the engine acts: nodes are pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from loyalty.ladders.rules import Benefits
from loyalty.ledger.operations import Grant
from loyalty.outbox.rules import Notice
from loyalty.program.terms import Terms

NOTHING_SPECIAL: Final = Benefits()


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
    """The instant of a step, the terms in force then, and what each member's tiers give."""

    now: datetime
    terms: Terms
    benefits: Mapping[int, Benefits] = field(default_factory=dict)

    def benefits_of(self, member_id: int) -> Benefits:
        """What the tiers of a member give; nothing special unless it was read."""
        return self.benefits.get(member_id, NOTHING_SPECIAL)


@dataclass(frozen=True, slots=True)
class CouponGift:
    """One coupon of the template that marketers call `template`, once per key."""

    member_id: int
    template: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one step does: stay until `wait_until`, or give, tell and go on to the next node."""

    wait_until: datetime | None = None
    grants: tuple[Grant, ...] = ()
    notices: tuple[Notice, ...] = ()
    coupons: tuple[CouponGift, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


class Node(Protocol):
    """One kind of step with its settings."""

    def decide(self, run: Run, moment: Moment) -> Move:
        """What happens when `run` stands here at `moment`."""
        ...
