"""What is known of one member on one ladder: where they stand, what is counted, what changed. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from loyalty.ladders.rules import Ladder, Measure, PublishedLadder, Step, WhileQualified


class Kind(StrEnum):
    """What a change is to the member; kept: a refund left the tier where it was."""

    RAISED = "raised"
    LOWERED = "lowered"
    RETAINED = "retained"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a member stands by right. Keeping counts from `counted_from`, further rises from `cycle_from` (None:
    since joining). `review_at` None: no review by the calendar. `falls_at`: fell short, in grace until then.
    `rises_at`: a higher step is reached and begins then."""

    tier: str
    since: datetime
    counted_from: datetime
    cycle_from: datetime | None = None
    review_at: datetime | None = None
    falls_at: datetime | None = None
    rises_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the tier is lost unless enough is counted; None: by the calendar never."""
        return self.falls_at or self.review_at


@dataclass(frozen=True, slots=True)
class Pin:
    """A tier that somebody set by hand until `until`: at least this one, or exactly this one."""

    override_id: int
    tier: str
    until: datetime
    exactly: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything the machine knows of one member on one ladder. `told` is the nearest distance in days at which a
    lowering was announced, `before` where the member stood before the last rises, newest first, `lost` what a review
    took: facts that are told late may give it back."""

    position: Position
    pin: Pin | None = None
    told: int | None = None
    before: tuple[Position, ...] = ()
    lost: Position | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """Whom and by which rules to judge."""

    published: PublishedLadder
    joined_at: datetime
    zone: ZoneInfo

    @property
    def ladder(self) -> Ladder:
        """The ladder in force."""
        return self.published.ladder


@dataclass(frozen=True, slots=True)
class Asked:
    """What has to be counted: a measure from `begins` (None: ever) to before `ends` (None: no end)."""

    measure: Measure
    begins: datetime | None
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted for reaching and for keeping. `timeline`, newest first, is what the count for keeping consists
    of, where a tier follows a rolling metric."""

    reach: int
    keep: int
    timeline: tuple[tuple[datetime, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """The tier held went from `old` to `new` at `at`, or was confirmed (both the same), and why."""

    at: datetime
    kind: Kind
    old: str
    new: str
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Turn:
    """The state after a move, and the change that the member sees of it, if any."""

    state: State
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class Foretold:
    """The tier is lost at `ends_at`, `days` ahead, unless `missing` more is counted."""

    days: int
    ends_at: datetime
    missing: int


def newcomer(joined_at: datetime, ladder: Ladder) -> State:
    """Who was never judged stands at the bottom since joining."""
    return State(Position(ladder.lowest.code, joined_at, joined_at))


def held(state: State, ladder: Ladder, at: datetime) -> Step:
    """What the member holds: their position, or the pinned tier while it counts for more, or exactly."""
    own = ladder.step(state.position.tier)
    pin = state.pin
    if pin is None or pin.until <= at:
        return own
    pinned = ladder.step(pin.tier)
    return pinned if pin.exactly or ladder.place(pin.tier) > ladder.place(own.code) else own


def step_above(step: Step, ladder: Ladder) -> Step | None:
    """The next step up from `step`; None at the top."""
    return next((above for above in ladder.steps if above.reach_from > step.reach_from), None)


def follows(state: State, ladder: Ladder) -> bool:
    """True for a tier that lasts as long as its metric."""
    return isinstance(ladder.validity_of(ladder.step(state.position.tier)), WhileQualified)


def is_due(state: State, now: datetime) -> bool:
    """True while a date lies behind at which something happens by itself."""
    at = next_move(state)
    return at is not None and at <= now


def next_move(state: State) -> datetime | None:
    """The next date at which something happens by itself."""
    position = state.position
    moments = (position.rises_at, position.ends_at, state.pin.until if state.pin else None)
    return min((at for at in moments if at is not None), default=None)
