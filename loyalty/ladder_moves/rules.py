"""What a new version of a ladder does to one member, and the sum over many. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Literal

from loyalty.ladders import periods
from loyalty.ladders.rules import Benefits, Fall, Ladder, NextPeriod, Step
from loyalty.tiers import rules as machine
from loyalty.tiers.states import Case, Change, Counts, Kind, Position, State, Turn, held

Downgrades = Literal["at_review", "at_once"]
SAMPLES_MAX: Final = 5


def edited(state: State, old: Ladder, case: Case, counts: Counts, downgrades: Downgrades, at: datetime) -> Turn:
    """Where a member stands after the ladder changed from `old` to that of `case`.

    Who reaches more rises as the new version says. Who would have less keeps the tier until the next review, or falls
    at once to what they keep. A tier that is gone becomes the highest one that asks no more than it did.
    """
    was = held(state, old, at)
    moved = replace(state, position=_translated(state.position, old, case, at))
    ladder, position = case.ladder, moved.position
    reached = ladder.reached(counts.reach)
    if ladder.place(reached.code) > ladder.place(position.tier):
        moved = _up(moved, case, counts, reached, at)
    elif _falls(ladder, position, counts, downgrades):
        to = machine.kept_below(ladder, ladder.place(position.tier), counts.keep)
        moved = machine.lowered_to(to, moved, case, counts, at)
    return Turn(moved, _change(was, held(moved, ladder, at), old, ladder, counts, at))


def _translated(position: Position, old: Ladder, case: Case, at: datetime) -> Position:
    step, before = counterpart(old.step(position.tier), case.ladder), old.step(position.tier)
    validity = case.ladder.validity_of(step)
    if validity == old.validity_of(before) and step.code == position.tier:
        return position
    ends_at = periods.confirmed_until(validity, at, since=position.since, joined_at=case.joined_at, zone=case.zone)
    return replace(position, tier=step.code, review_at=ends_at, falls_at=None)


def counterpart(step: Step, ladder: Ladder) -> Step:
    """The step of `ladder` that stands for a step of another version: its own, or the highest that asks no more."""
    same = next((one for one in ladder.steps if one.code == step.code), None)
    return same or ladder.reached(step.reach_from)


def _up(state: State, case: Case, counts: Counts, reached: Step, at: datetime) -> State:
    if isinstance(case.ladder.rises, NextPeriod):
        begins_at = state.position.rises_at or periods.next_period(case.ladder.rises, at, case.zone)
        return replace(state, position=replace(state.position, rises_at=begins_at))
    return machine.rise(state, case, counts, reached, at, "ladder_edit").state


def _falls(ladder: Ladder, position: Position, counts: Counts, downgrades: Downgrades) -> bool:
    short = counts.keep < ladder.step(position.tier).kept_from
    return downgrades == "at_once" and short and ladder.fall is not Fall.NONE


def _change(was: Step, now: Step, old: Ladder, new: Ladder, counts: Counts, at: datetime) -> Change | None:
    if was.code == now.code:
        return None
    before, after = new.place(counterpart(was, new).code), new.place(now.code)
    kind = Kind.RAISED if after > before else Kind.LOWERED if after < before else Kind.KEPT
    evidence = {"metric": new.measure.metric.value, "count": counts.reach, "asked": now.reach_from}
    return Change(at, kind, was.code, now.code, "ladder_edit", evidence)


@dataclass(frozen=True, slots=True)
class Moved:
    """One member before and after: tiers by code, and the points from purchases of the last year."""

    member_id: int
    old: Step
    new: Step
    points: int


@dataclass(slots=True)
class Found:
    """The sum so far: how many moved from which tier to which, some of them by id, how many will hold each tier, and
    what the benefits cost more (or less) in points a year."""

    moves: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[int]] = field(default_factory=dict)
    holders: dict[str, int] = field(default_factory=dict)
    points_per_year: int = 0

    def add(self, every: Iterable[Moved]) -> None:
        """Count more members."""
        for one in every:
            self.holders[one.new.code] = self.holders.get(one.new.code, 0) + 1
            self.points_per_year += _cost(one)
            if one.old.code == one.new.code:
                continue
            key = f"{one.old.code}>{one.new.code}"
            self.moves[key] = self.moves.get(key, 0) + 1
            some = self.samples.setdefault(key, [])
            if len(some) < SAMPLES_MAX:
                some.append(one.member_id)


def _cost(one: Moved) -> int:
    old, new = one.old.benefits, one.new.benefits
    more = one.points * (new.multiplier_percent - old.multiplier_percent) // old.multiplier_percent
    return more + _birthday(new) - _birthday(old)


def _birthday(benefits: Benefits) -> int:
    return benefits.birthday_points or 0
