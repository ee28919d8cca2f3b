"""What a condition means, over one context in memory. Pure.

`loyalty.conditions.everyone` says the same in SQL, over everybody; a property test holds the two together. A value
that is not known satisfies no comparison, whichever way it is turned; `not` of that comparison then holds.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo

from loyalty.conditions.nodes import (
    All,
    Anniversary,
    AnyOf,
    Between,
    Compare,
    Comparison,
    Dates,
    Has,
    Hours,
    In,
    Known,
    LineCount,
    Lines,
    LineSum,
    MonthDays,
    Node,
    Not,
    StartsWith,
    Weekdays,
    joined,
)
from loyalty.conditions.vocabulary import Kind, find, key_of

Value = bool | int | str | date | frozenset[str] | None
Values = Mapping[str, Value]
_COMPARISONS: Final[Mapping[Comparison, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
_MONTH: Final = 100
_LEAP_DAY: Final = 229
_LAST_OF_FEBRUARY: Final = 228


@dataclass(frozen=True, slots=True)
class Setting:
    """What the programme decides: its zone, and of each ladder the tier codes from the lowest up."""

    zone: ZoneInfo
    ladders: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def step(self, tier: str) -> tuple[str, int] | None:
        """The ladder that knows the tier, and its place there."""
        return next(
            ((ladder, list(steps).index(tier)) for ladder, steps in self.ladders.items() if tier in steps), None
        )


@dataclass(frozen=True, slots=True)
class Context:
    """One moment and everything that is known in it, by `vocabulary.key_of`; each line by its own fields."""

    at: datetime
    values: Values
    lines: Sequence[Values] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a condition holds; `path` leads to the node that decided it when it does not."""

    holds: bool
    path: str = ""


HOLDS: Final = Judged(holds=True)


def matches(condition: Node, context: Context, setting: Setting) -> bool:
    """Whether the condition holds."""
    return judge(condition, context, setting).holds


def judge(condition: Node, context: Context, setting: Setting, path: str = "") -> Judged:
    """Whether the condition holds, and which node of it does not."""
    match condition:
        case All():
            failed = (
                judged
                for place, child in enumerate(condition.of)
                if not (judged := judge(child, context, setting, joined(path, f"of.{place}"))).holds
            )
            return next(failed, HOLDS)
        case AnyOf():
            holds = any(matches(child, context, setting) for child in condition.of)
        case Not():
            holds = not matches(condition.of, context, setting)
        case Lines() | LineSum() | LineCount():
            holds = _of_lines(condition, context, setting)
        case Weekdays() | MonthDays() | Hours() | Dates() | Anniversary():
            holds = _of_time(condition, context, setting)
        case _:
            holds = _of_field(condition, context.values, setting)
    return HOLDS if holds else Judged(holds=False, path=path)


def compared(comparison: Comparison, left: Any, right: Any) -> bool:
    """`left` compared with `right`."""
    return _COMPARISONS[comparison](left, right)


def _of_field(condition: Compare | Between | In | Has | Known | StartsWith, values: Values, setting: Setting) -> bool:
    within_days = condition.within_days if isinstance(condition, Compare | Between) else None
    value = values.get(key_of(condition.field, within_days))
    if value is None:
        return False
    match condition:
        case Known():
            return True
        case StartsWith():
            return isinstance(value, str) and value.startswith(condition.value)
        case Has():
            own = value if isinstance(value, frozenset) else frozenset()
            wanted = frozenset(condition.values)
            return bool(own & wanted) if condition.op == "has_any" else wanted <= own
        case In():
            return any(_is(value, other, condition.field) for other in condition.values)
        case Compare():
            return _compare(condition, value, setting)
        case Between():
            low, high = literal(condition.field, condition.min), literal(condition.field, condition.max)
            return _comparable(value, low) and _comparable(value, high) and low <= value <= high


def _compare(condition: Compare, value: Any, setting: Setting) -> bool:
    entry = find(condition.field)
    if entry is not None and entry.kind is Kind.TIER and condition.op not in {"eq", "ne"}:
        return value in tiers_reached(condition.op, str(condition.value), setting)
    other = literal(condition.field, condition.value)
    return _comparable(value, other) and compared(condition.op, value, other)


def tiers_reached(comparison: Comparison, tier: str, setting: Setting) -> frozenset[str]:
    """The tiers of the same ladder that compare with `tier` in this way: at least gold is gold and what is above."""
    found = setting.step(tier)
    if found is None:
        return frozenset()
    ladder, place = found
    return frozenset(code for other, code in enumerate(setting.ladders[ladder]) if compared(comparison, other, place))


def literal(name: str, value: Any) -> Any:
    """The value of a document as the field's kind has it: days are written as texts."""
    entry = find(name)
    return date.fromisoformat(value) if entry is not None and entry.kind is Kind.DAY else value


def _is(value: Any, other: Any, name: str) -> bool:
    wanted = literal(name, other)
    return _comparable(value, wanted) and bool(value == wanted)


def _comparable(value: Any, other: Any) -> bool:
    # True is 1 for Python and nobody else; what an event carried may be of any type.
    return type(value) is type(other)


def _of_lines(condition: Lines | LineSum | LineCount, context: Context, setting: Setting) -> bool:
    match condition:
        case LineSum():
            chosen = _chosen(condition.where, context, setting)
            total = sum(number for line in chosen if isinstance(number := line.get(condition.sum), int))
            return compared(condition.compare, total, condition.value)
        case LineCount():
            return compared(condition.compare, len(_chosen(condition.where, context, setting)), condition.value)
        case Lines(op="any_line"):
            return bool(_chosen(condition.where, context, setting))
        case Lines(op="none_line"):
            return not _chosen(condition.where, context, setting)
        case Lines(op="every_line"):
            return 0 < len(context.lines) == len(_chosen(condition.where, context, setting))
        case Lines():
            return _outermost(condition, context, setting)


def _outermost(condition: Lines, context: Context, setting: Setting) -> bool:
    priced = [line for line in context.lines if isinstance(line.get("line.amount"), int)]
    if not priced:
        return False
    sign = 1 if condition.op == "cheapest_line" else -1
    line = min(priced, key=lambda line: sign * _amount(line))
    return of_line(condition.where, line, context, setting)


def _amount(line: Values) -> int:
    amount = line["line.amount"]
    return amount if isinstance(amount, int) else 0


def _chosen(where: Node | None, context: Context, setting: Setting) -> list[Values]:
    return [line for line in context.lines if where is None or of_line(where, line, context, setting)]


def of_line(where: Node, line: Values, context: Context, setting: Setting) -> bool:
    """Whether one line is meant; everything else that is known is known inside the line, too."""
    return matches(where, Context(context.at, {**context.values, **line}, ()), setting)


def _of_time(condition: Weekdays | MonthDays | Hours | Dates | Anniversary, context: Context, setting: Setting) -> bool:
    local = context.at.astimezone(setting.zone)
    match condition:
        case Weekdays():
            return local.isoweekday() in condition.days
        case MonthDays():
            return local.day in condition.days
        case Hours():
            return _within_hours(local.time(), time.fromisoformat(condition.since), time.fromisoformat(condition.until))
        case Dates():
            begun = condition.since is None or date.fromisoformat(condition.since) <= local.date()
            return begun and (condition.until is None or local.date() < date.fromisoformat(condition.until))
        case Anniversary():
            return _near(condition, local.date(), context.values)


def _within_hours(moment: time, since: time, until: time) -> bool:
    if since <= until:
        return since <= moment < until
    return moment >= since or moment < until


def _near(condition: Anniversary, today: date, values: Values) -> bool:
    if condition.of == "birthday":
        birthday, first = values.get("member.birthday"), None
    else:
        first = values.get("member.joined_on")
        birthday = first.month * _MONTH + first.day if isinstance(first, date) else None
    if not isinstance(birthday, int):
        return False
    if condition.within == "month":
        return today.month == birthday // _MONTH and _is_later(today.year, first)
    span = range(-condition.before, condition.after + 1)
    return any(
        (today - kept).days in span and _is_later(kept.year, first)
        for year in (today.year - 1, today.year, today.year + 1)
        for kept in (_kept_on(birthday, year),)
    )


def _is_later(year: int, first: Value) -> bool:
    # The day of joining itself is no anniversary.
    return not isinstance(first, date) or year > first.year


def _kept_on(yearday: int, year: int) -> date:
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    kept = _LAST_OF_FEBRUARY if yearday == _LEAP_DAY and not is_leap else yearday
    return date(year, kept // _MONTH, kept % _MONTH)


def needed(condition: Node) -> frozenset[str]:
    """The keys that a context must hold for the condition to be judged (fields of lines left out)."""
    return frozenset(_needed(condition))


def _needed(condition: Node) -> set[str]:
    match condition:
        case All() | AnyOf():
            return set().union(*(_needed(child) for child in condition.of))
        case Not():
            return _needed(condition.of)
        case Lines() | LineSum() | LineCount():
            return _needed(condition.where) if condition.where is not None else set()
        case Compare() | Between():
            return {key_of(condition.field, condition.within_days)} - _line_fields(condition.field)
        case In() | Has() | Known() | StartsWith():
            return {condition.field} - _line_fields(condition.field)
        case Anniversary():
            return {"member.birthday" if condition.of == "birthday" else "member.joined_on"}
        case _:
            return set()


def _line_fields(name: str) -> set[str]:
    return {name} if name.startswith("line.") else set()
