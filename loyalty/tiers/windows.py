"""What has to be counted before a member can be judged: a measure and a window for each question. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from loyalty.errors import unreachable
from loyalty.ladders import periods
from loyalty.ladders.rules import Ladder, Measure, NextPeriod, Rolling, WhileQualified
from loyalty.tiers.states import Asked, Case, Position, State, follows, next_move

_INSTANT: Final = datetime.resolution
# What raised a member may carry the date of a till whose clock runs ahead.
CLOCK_SKEW: Final = timedelta(minutes=5)
# Tills without a network upload what they sold within this time.
LATE: Final = timedelta(days=31)


def needs_timeline(ladder: Ladder) -> bool:
    """True when the end of a tier depends on when each part of its metric leaves the window."""
    follows = any(isinstance(ladder.validity_of(step), WhileQualified) for step in ladder.steps)
    return follows and isinstance(ladder.kept_by.window, Rolling)


def asked_when_due(state: State, case: Case) -> tuple[Asked, Asked]:
    """What to count for the next move of the calendar, for reaching and for keeping: windows that end there."""
    position, at = state.position, next_move(state)
    if at is None:
        unreachable("something is due")
    review_at = _failed_review(state, case)
    keep = _closed(case.ladder.kept_by, review_at or at, position.counted_from, case)
    return _of_cycle(_closed(case.ladder.measure, at, _cycle(position, case), case), position, case), replace(
        keep, ends=at
    )


def asked_now(state: State, case: Case, now: datetime) -> tuple[Asked, Asked]:
    """What to count when the metric changed: windows that are open."""
    position = state.position
    review_at = _failed_review(state, case)
    keep = (
        _open(case.ladder.kept_by, now, position.counted_from, case)
        if review_at is None
        else replace(_closed(case.ladder.kept_by, review_at, position.counted_from, case), ends=None)
    )
    return _of_cycle(_open(case.ladder.measure, now, _cycle(position, case), case), position, case), keep


def asked_at_end(state: State, case: Case) -> Asked | None:
    """What counts, of everything there is so far, for keeping the tier when it ends; None: it has no end."""
    position = state.position
    ends_at = _failed_review(state, case) or position.ends_at
    if ends_at is None:
        return None
    return replace(_closed(case.ladder.kept_by, ends_at, position.counted_from, case), ends=None)


def asked_late(state: State, case: Case, now: datetime) -> Asked | None:
    """What the review counted that took a tier, to be counted again while facts may still be told late; None: nothing
    was taken, or too long ago."""
    lost = state.lost
    if lost is None or lost.review_at is None or now - state.position.since > LATE:
        return None
    return replace(
        _closed(case.ladder.kept_by, lost.review_at, lost.counted_from, case), ends=lost.falls_at or lost.review_at
    )


def asked_of_rises(state: State, case: Case) -> list[Asked]:
    """What counted when the tier was reached, and the tiers before it, newest first: to be counted again."""
    return [_asked_of_rise(one, case) for one in (state.position, *state.before)]


def _asked_of_rise(position: Position, case: Case) -> Asked:
    measure, since, anchor = case.ladder.measure, position.since, _cycle(position, case)
    if isinstance(case.ladder.rises, NextPeriod):
        return _of_cycle(_closed(measure, since, anchor, case), position, case)
    counted = replace(_open(measure, since, anchor, case), ends=since + CLOCK_SKEW)
    return _of_cycle(counted, position, case)


def _failed_review(state: State, case: Case) -> datetime | None:
    """The review at which a member in grace fell short; None outside a grace that began with one."""
    position = state.position
    return position.review_at if position.falls_at is not None and not follows(state, case.ladder) else None


def _cycle(position: Position, case: Case) -> datetime:
    return position.cycle_from or case.joined_at


def _of_cycle(asked: Asked, position: Position, case: Case) -> Asked:
    """Where keeping has a measure of its own, what came before a fall does not raise again at once."""
    if case.ladder.keeping is None or position.cycle_from is None:
        return asked
    return replace(asked, begins=max(asked.begins or position.cycle_from, position.cycle_from))


def _closed(measure: Measure, ends_at: datetime, anchor: datetime, case: Case) -> Asked:
    """The window that ends at `ends_at`."""
    inside = ends_at if isinstance(measure.window, Rolling) else ends_at - _INSTANT
    return Asked(measure, _begins(measure, inside, anchor, case), ends_at)


def _open(measure: Measure, at: datetime, anchor: datetime, case: Case) -> Asked:
    """The window in which `at` lies."""
    return Asked(measure, _begins(measure, at, anchor, case), None)


def _begins(measure: Measure, at: datetime, anchor: datetime, case: Case) -> datetime | None:
    return periods.window_start(measure.window, at, joined_at=case.joined_at, anchor=anchor, zone=case.zone)
