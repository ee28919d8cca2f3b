"""One member on one ladder as a machine: what becomes of a tier when time passes and when the metric changes. Pure.

A position moves by itself at dates (a review, the end of a grace, the beginning of a period) and at once when the
metric changes. Each move says beforehand what has to be counted for it (`loyalty.tiers.windows`), so that
the service counts for many members in one statement, and gets the counts back as `Counts`.

A pin (a manual override) lies above the position: the position goes on underneath, and what the member holds is the
pinned tier until the pin ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from loyalty.clock import business_day, start_of
from loyalty.errors import unreachable
from loyalty.expiry import months_later
from loyalty.ladders import periods
from loyalty.ladders.rules import Fall, Ladder, Measure, NextPeriod, Rolling, Step, TierAnniversary
from loyalty.tiers.states import (
    Case,
    Change,
    Counts,
    Foretold,
    Kind,
    Pin,
    Position,
    State,
    Turn,
    follows,
    held,
    next_move,
)

_INSTANT: Final = datetime.resolution


def due_at(state: State, case: Case) -> datetime | None:
    """When the machine has to be looked at next; None: only when the metric changes."""
    moments = (next_move(state), _next_warning(state, case))
    return min((at for at in moments if at is not None), default=None)


def _next_warning(state: State, case: Case) -> datetime | None:
    ends_at = state.position.ends_at
    ahead = [days for days in case.ladder.notice_days if state.told is None or days < state.told]
    return _days_before(ends_at, max(ahead), case) if ends_at is not None and ahead else None


def _days_before(ends_at: datetime, days: int, case: Case) -> datetime:
    return start_of(ends_at.astimezone(case.zone).date() - days * periods.DAY, case.zone)


def is_warned(state: State, case: Case, now: datetime) -> bool:
    """True when a distance to the end of the tier is reached."""
    at = _next_warning(state, case)
    return at is not None and at <= now


def warning(state: State, case: Case, counted: int, now: datetime) -> tuple[State, Foretold | None]:
    """Announce a lowering once its distance is reached; nearer distances make farther ones superfluous."""
    ends_at = state.position.ends_at
    if ends_at is None:
        return state, None
    due = [days for days in case.ladder.notice_days if _days_before(ends_at, days, case) <= now]
    nearest = min(due, default=None)
    if nearest is None or (state.told is not None and state.told <= nearest):
        return state, None
    told = replace(state, told=nearest)
    missing = case.ladder.step(state.position.tier).kept_from - counted
    hidden = held(state, case.ladder, ends_at).code != state.position.tier
    if missing <= 0 or hidden:
        return told, None
    days = (ends_at.astimezone(case.zone).date() - now.astimezone(case.zone).date()).days
    return told, Foretold(days, ends_at, missing)


def _fresh_end(state: State, case: Case, at: datetime) -> State:
    """A new end of the tier: what lies closer than a notice's distance from the start is not announced."""
    ends_at = state.position.ends_at
    if ends_at is None:
        return replace(state, told=None)
    passed = [days for days in case.ladder.notice_days if _days_before(ends_at, days, case) <= at]
    return replace(state, told=min(passed, default=None))


def move(state: State, case: Case, counts: Counts) -> Turn:
    """The next move of the calendar, which is due."""
    at, position = next_move(state), state.position
    if at is None:
        unreachable("something is due")
    if state.pin is not None and state.pin.until == at:
        return _shown(state, replace(state, pin=None), case, at, reason="override_ended")
    if position.rises_at == at:
        return _period_begins(state, case, counts, at)
    if counts.keep >= case.ladder.step(position.tier).kept_from:
        return _confirm(state, case, counts, at)
    if position.falls_at is None and case.ladder.grace is not None:
        return Turn(_in_grace(state, case, at))
    return _fall(state, case, counts, at, reason="review")


def live(state: State, case: Case, counts: Counts, now: datetime, *, reason: str = "growth") -> Turn:
    """What a change of the metric does at `now`, when nothing of the calendar is due."""
    ladder, position = case.ladder, state.position
    reached = ladder.reached(counts.reach)
    rises = ladder.place(reached.code) > ladder.place(position.tier)
    if rises and not isinstance(ladder.rises, NextPeriod):
        return rise(state, case, counts, reached, now, reason)
    state = replace(state, position=replace(position, rises_at=_begins_at(position, case, now) if rises else None))
    if counts.keep >= ladder.step(position.tier).kept_from:
        return _confirm(state, case, counts, now) if position.falls_at else Turn(_followed(state, case, counts, now))
    if position.falls_at is not None or not follows(state, ladder):
        return Turn(state)
    if ladder.grace is not None:
        return Turn(_in_grace(state, case, now))
    return _fall(state, case, counts, now, reason=reason)


def _begins_at(position: Position, case: Case, now: datetime) -> datetime | None:
    rises = case.ladder.rises
    if position.rises_at is not None or not isinstance(rises, NextPeriod):
        return position.rises_at
    return periods.next_period(rises, now, case.zone)


def _period_begins(state: State, case: Case, counts: Counts, at: datetime) -> Turn:
    waited = replace(state, position=replace(state.position, rises_at=None))
    reached = case.ladder.reached(counts.reach)
    if case.ladder.place(reached.code) <= case.ladder.place(state.position.tier):
        return Turn(waited)
    return rise(waited, case, counts, reached, at, "growth")


def rise(state: State, case: Case, counts: Counts, to: Step, at: datetime, reason: str) -> Turn:
    """Up to `to`, which is held from `at` on with its own validity."""
    was = state.position
    ends_at = periods.valid_until(case.ladder.validity_of(to), at, joined_at=case.joined_at, zone=case.zone)
    risen = Position(to.code, at, at + _INSTANT, was.cycle_from, ends_at)
    found = _followed(replace(state, position=risen, before=(was, *state.before), lost=None), case, counts, at)
    evidence = _evidence(case.ladder.measure, counts.reach, to.reach_from)
    return _shown(state, _fresh_end(found, case, at), case, at, reason=reason, evidence=evidence)


def _confirm(state: State, case: Case, counts: Counts, at: datetime) -> Turn:
    position, ladder = state.position, case.ladder
    step = ladder.step(position.tier)
    if follows(state, ladder):
        found = _followed(replace(state, position=replace(position, falls_at=None)), case, counts, at)
        noteworthy = position.falls_at is not None
    else:
        reviewed_at = position.review_at or at
        ends_at = periods.confirmed_until(
            ladder.validity_of(step), reviewed_at, since=position.since, joined_at=case.joined_at, zone=case.zone
        )
        restarts = isinstance(ladder.measure.window, TierAnniversary)
        kept = replace(
            position,
            tier=step.code,
            counted_from=reviewed_at,
            cycle_from=reviewed_at if restarts else position.cycle_from,
            review_at=ends_at,
            falls_at=None,
        )
        found, noteworthy = _fresh_end(replace(state, position=kept, before=(), lost=None), case, at), True
    if not noteworthy or held(state, ladder, at).code != step.code:
        return Turn(found)
    evidence = _evidence(ladder.kept_by, counts.keep, step.kept_from)
    return Turn(found, Change(at, Kind.RETAINED, step.code, step.code, "review", evidence))


def _in_grace(state: State, case: Case, short_at: datetime) -> State:
    grace, position = case.ladder.grace, state.position
    if grace is None:
        unreachable("the ladder has a grace")
    reached_at = position.since if follows(state, case.ladder) else None
    ends_at = periods.grace_end(grace, short_at, reached_at=reached_at, zone=case.zone)
    return replace(state, position=replace(position, falls_at=ends_at), told=None)


def _fall(state: State, case: Case, counts: Counts, at: datetime, *, reason: str) -> Turn:
    ladder, position = case.ladder, state.position
    place = ladder.place(position.tier)
    to = ladder.steps[place - 1] if ladder.fall is Fall.ONE_STEP else kept_below(ladder, place, counts.keep)
    found = lowered_to(to, state, case, counts, at)
    if reason == "review" and position.review_at is not None:
        found = replace(found, lost=position)
    evidence = _evidence(ladder.kept_by, counts.keep, ladder.steps[place].kept_from)
    return _shown(state, found, case, at, reason=reason, evidence=evidence)


def restored(state: State, case: Case, count: int, at: datetime) -> Turn:
    """Give back what a review took, when what it counted is enough now that late facts are told."""
    lost = state.lost
    if lost is None or count < case.ladder.step(lost.tier).kept_from:
        return Turn(state)
    kept = _confirm(State(lost, state.pin), case, Counts(count, count), lost.review_at or at).state
    evidence = _evidence(case.ladder.kept_by, count, case.ladder.step(lost.tier).kept_from)
    return _shown(state, kept, case, at, reason="late", evidence=evidence)


def joined(mine: State, theirs: State, case: Case, at: datetime) -> Turn:
    """What becomes of `mine` when its member is joined with that of `theirs`: the higher tier stays, of the same tier
    the one that lasts longer, and of two pins the higher one."""
    better = max((theirs, mine), key=lambda state: _rank(state, case.ladder))
    pins = [state.pin for state in (mine, theirs) if state.pin is not None]
    pin = max(pins, key=lambda pin: (case.ladder.place(pin.tier), pin.until), default=None)
    return _shown(mine, _fresh_end(replace(better, pin=pin), case, at), case, at, reason="merge")


def _rank(state: State, ladder: Ladder) -> tuple[int, bool, datetime]:
    ends_at = state.position.ends_at
    return ladder.place(state.position.tier), ends_at is None, ends_at or state.position.since


def returned(state: State, to: State, case: Case, at: datetime) -> Turn:
    """Back to `to`, where the member stood before a merge that is undone."""
    return _shown(state, _fresh_end(to, case, at), case, at, reason="unmerge")


def pinned(state: State, pin: Pin, case: Case, at: datetime) -> Turn:
    """Somebody sets the tier by hand, in place of whatever was set before."""
    return _by_hand(state, replace(state, pin=pin), case, at, reason="override", override_id=pin.override_id)


def unpinned(state: State, case: Case, override_id: int, at: datetime) -> Turn:
    """Somebody takes the override back before its end; one that is not there (any more) changes nothing."""
    if state.pin is None or state.pin.override_id != override_id:
        return Turn(state)
    return _by_hand(state, replace(state, pin=None), case, at, reason="override_ended", override_id=override_id)


def _by_hand(old: State, new: State, case: Case, at: datetime, *, reason: str, override_id: int) -> Turn:
    """What people do stands in the history also where the tier stays what it was."""
    was, now = held(old, case.ladder, at), held(new, case.ladder, at)
    places = case.ladder.place(was.code), case.ladder.place(now.code)
    kind = Kind.KEPT if places[0] == places[1] else Kind.RAISED if places[1] > places[0] else Kind.LOWERED
    return Turn(new, Change(at, kind, was.code, now.code, reason, {"override_id": override_id}))


def after_refund(state: State, case: Case, risen: Sequence[int], counts: Counts, *, used: bool, at: datetime) -> Turn:
    """What a refund does to a tier that would not have been reached without it.

    `risen` are the counts of `asked_of_rises` as they are now, `used` whether a benefit of the tier was used. What
    was confirmed by a review, or is reached by what came since, stays as it is.
    """
    ladder, tier = case.ladder, case.ladder.step(state.position.tier)
    if not state.before or follows(state, ladder) or max(risen[0], counts.reach) >= tier.reach_from:
        return Turn(state)
    evidence = _evidence(ladder.measure, counts.reach, tier.reach_from)
    if ladder.refund.then == "keep" or (ladder.refund.then == "keep_if_used" and used):
        kept = _kept(state, case, at)
        shown = held(state, ladder, at).code == tier.code
        return Turn(kept, Change(at, Kind.KEPT, tier.code, tier.code, "refund", evidence) if shown else None)
    back = _without_rises(state, ladder, risen)
    reached = ladder.reached(counts.reach)
    if ladder.place(reached.code) > ladder.place(back.position.tier):
        back = rise(back, case, counts, reached, at, "refund").state
    return _shown(state, _fresh_end(back, case, at), case, at, reason="refund", evidence=evidence)


def _kept(state: State, case: Case, at: datetime) -> State:
    position = state.position
    if position.review_at is not None:
        return replace(state, before=())
    months = case.ladder.refund.kept_months
    review_at = start_of(months_later(business_day(at, case.zone), months), case.zone)
    return _fresh_end(replace(state, position=replace(position, review_at=review_at), before=()), case, at)


def _without_rises(state: State, ladder: Ladder, risen: Sequence[int]) -> State:
    """Where the member would stand: every rise that is not reached any more is taken back, newest first."""
    positions = (state.position, *state.before)
    stays = next(
        place
        for place, position in enumerate(positions)
        if place and (risen[place] >= ladder.step(position.tier).reach_from or place == len(positions) - 1)
    )
    return replace(state, position=positions[stays], before=positions[stays + 1 :])


def kept_below(ladder: Ladder, place: int, count: int) -> Step:
    """The highest step below `place` that `count` keeps: who held more is not judged harder than who held less."""
    return next((step for step in reversed(ladder.steps[:place]) if step.kept_from <= count), ladder.lowest)


def lowered_to(to: Step, state: State, case: Case, counts: Counts, at: datetime) -> State:
    """The state after `to` was given in place of a higher tier at `at`."""
    ends_at = periods.confirmed_until(
        case.ladder.validity_of(to), at, since=at, joined_at=case.joined_at, zone=case.zone
    )
    fallen = replace(state, position=Position(to.code, at, at, at, ends_at), before=(), lost=None)
    return _fresh_end(_followed(fallen, case, counts, at), case, at)


def _followed(state: State, case: Case, counts: Counts, at: datetime) -> State:
    """The end of a tier that follows a rolling metric: when what it was reached by leaves the window."""
    if not follows(state, case.ladder):
        return state
    position = state.position
    ends_at = _lasts_until(counts.timeline, case, case.ladder.step(position.tier).kept_from)
    if ends_at == position.review_at:
        return state
    return _fresh_end(replace(state, position=replace(position, review_at=ends_at)), case, at)


def _lasts_until(timeline: Sequence[tuple[datetime, int]], case: Case, kept_from: int) -> datetime | None:
    window = case.ladder.kept_by.window
    if not isinstance(window, Rolling):
        return None
    counted = 0
    for at, amount in timeline:
        counted += amount
        if counted >= kept_from:
            return periods.leaves_at(window, at, case.zone)
    return None


def _shown(
    old: State, new: State, case: Case, at: datetime, *, reason: str, evidence: Mapping[str, Any] | None = None
) -> Turn:
    """The change as the member sees it: a pin above may hide it. A pin that ends at `at` still held before."""
    was, now = held(old, case.ladder, at - _INSTANT), held(new, case.ladder, at)
    if was.code == now.code:
        return Turn(new)
    kind = Kind.RAISED if case.ladder.place(now.code) > case.ladder.place(was.code) else Kind.LOWERED
    return Turn(new, Change(at, kind, was.code, now.code, reason, evidence or {}))


def _evidence(measure: Measure, count: int, asked: int) -> dict[str, Any]:
    return {"metric": measure.metric.value, "count": count, "asked": asked}
