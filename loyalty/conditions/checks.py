"""What cannot be meant: fields that do not exist or have no value here, values that do not fit. Pure.

The document's form is checked by `loyalty.conditions.nodes` when it is read; these are the mistakes that a form
cannot hold back. Each refusal names the path of the node that is wrong.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any, Final

from pydantic import ValidationError

from loyalty.conditions.nodes import (
    ADAPTER,
    Anniversary,
    Between,
    Compare,
    Dates,
    Has,
    Hours,
    In,
    Known,
    LineCount,
    Lines,
    LineSum,
    Node,
    StartsWith,
    children,
    joined,
    walk,
)
from loyalty.conditions.vocabulary import LINE, MEMBER, PURCHASE, Entry, Kind, find
from loyalty.errors import Invalid

DEPTH_MAX: Final = 8
NODES_MAX: Final = 100
_ORDERED: Final = frozenset({Kind.NUMBER, Kind.MONEY, Kind.DAY, Kind.TIER, Kind.ANY})
_SINGLE: Final = frozenset({Kind.NUMBER, Kind.MONEY, Kind.TEXT, Kind.FLAG, Kind.DAY, Kind.TIER, Kind.ANY})
_FITTING: Final[Mapping[type[Node], frozenset[Kind]]] = {
    Compare: _SINGLE,
    Between: frozenset({Kind.NUMBER, Kind.MONEY, Kind.DAY, Kind.ANY}),
    In: _SINGLE - {Kind.FLAG},
    Has: frozenset({Kind.TEXTS}),
    Known: frozenset(Kind),
    StartsWith: frozenset({Kind.TEXT, Kind.ANY}),
}


class ConditionInvalid(Invalid):
    """The condition cannot be meant; `path` leads to the node, `problem` is what the form says of it."""

    code = "conditions.invalid"


class ConditionTooComplex(ConditionInvalid):
    """More than `nodes_max` nodes, or deeper than `depth_max`."""

    code = "conditions.too_complex"


class FieldUnknown(ConditionInvalid):
    """The vocabulary has no such `field`."""

    code = "conditions.field_unknown"


class FieldNotHere(ConditionInvalid):
    """The `field` has no value in this place: an event has no lines, and a line is looked at inside a line node."""

    code = "conditions.field_not_here"


class OperatorUnfit(ConditionInvalid):
    """The `field` is of a `kind` that `op` says nothing about."""

    code = "conditions.operator_unfit"


class ValueUnfit(ConditionInvalid):
    """A value is not of the `kind` that the `field` has."""

    code = "conditions.value_unfit"


class RangeEmpty(ConditionInvalid):
    """The range ends before it begins."""

    code = "conditions.range_empty"


def parse(document: Mapping[str, Any], *, scopes: Collection[str]) -> Node:
    """The condition of a document.

    Raises:
        ConditionInvalid: in one of its kinds.
    """
    try:
        condition = ADAPTER.validate_python(document)
    except ValidationError as broken:
        first = broken.errors(include_url=False, include_input=False)[0]
        raise ConditionInvalid(path=".".join(map(str, first["loc"])), problem=first["type"]) from None
    check(condition, scopes=scopes)
    return condition


def check(condition: Node, *, scopes: Collection[str], path: str = "") -> None:
    """Refuse a condition that cannot be meant where only `scopes` have values.

    Raises:
        ConditionInvalid: in one of its kinds, with the path of the first wrong node (`path` in front).
    """
    for count, (where, depth, _) in enumerate(walk(condition, path), start=1):
        if count > NODES_MAX or depth > DEPTH_MAX:
            raise ConditionTooComplex(path=where, nodes_max=NODES_MAX, depth_max=DEPTH_MAX)
    _check(condition, path, frozenset(scopes))


def _check(node: Node, path: str, scopes: frozenset[str]) -> None:
    match node:
        case Lines() | LineSum() | LineCount():
            if PURCHASE not in scopes or LINE in scopes:
                raise FieldNotHere(path=path, field=LINE)
            scopes |= {LINE}
        case Compare() | Between() | In() | Has() | Known() | StartsWith():
            _check_field(node, path, scopes)
        case Hours() if node.since == node.until:
            raise RangeEmpty(path=path)
        case Dates():
            _check_dates(node, path)
        case Anniversary() if MEMBER not in scopes:
            raise FieldNotHere(path=path, field="member.birthday")
    for step, child in children(node):
        _check(child, joined(path, step), scopes)


def _check_field(node: Compare | Between | In | Has | Known | StartsWith, path: str, scopes: Collection[str]) -> None:
    entry = find(node.field)
    if entry is None:
        raise FieldUnknown(path=path, field=node.field)
    if entry.scope not in scopes:
        raise FieldNotHere(path=path, field=node.field)
    if entry.kind not in _FITTING[type(node)] or not _window_fits(node, entry):
        raise OperatorUnfit(path=path, field=node.field, kind=entry.kind.value, op=node.op)
    if isinstance(node, Compare) and node.op not in {"eq", "ne"} and entry.kind not in _ORDERED:
        raise OperatorUnfit(path=path, field=node.field, kind=entry.kind.value, op=node.op)
    for step, value in _values(node):
        if not _value_fits(value, entry):
            raise ValueUnfit(path=joined(path, step), field=node.field, kind=entry.kind.value)
    if isinstance(node, Between) and (type(node.min) is not type(node.max) or node.min > node.max):  # type: ignore[operator]  # of one type
        raise RangeEmpty(path=path)


def _window_fits(node: Node, entry: Entry) -> bool:
    return entry.windowed or not isinstance(node, Compare | Between) or node.within_days is None


def _values(node: Node) -> Iterator[tuple[str, Any]]:
    match node:
        case Compare():
            yield "value", node.value
        case Between():
            yield from (("min", node.min), ("max", node.max))
        case In() | Has():
            yield from ((f"values.{place}", value) for place, value in enumerate(node.values))


def _value_fits(value: object, entry: Entry) -> bool:
    if entry.values and value not in entry.values:
        return False
    match entry.kind:
        case Kind.NUMBER | Kind.MONEY:
            return type(value) is int
        case Kind.FLAG:
            return type(value) is bool
        case Kind.DAY:
            return isinstance(value, str) and is_day(value)
        case Kind.TEXT | Kind.TEXTS | Kind.TIER:
            return isinstance(value, str)
        case Kind.ANY | Kind.YEARDAY:
            return True


def is_day(text: str) -> bool:
    """True for a day that the calendar has, written ``2026-11-21``."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _check_dates(node: Dates, path: str) -> None:
    for step, day in (("since", node.since), ("until", node.until)):
        if day is not None and not is_day(day):
            raise ValueUnfit(path=joined(path, step), field="time.date", kind=Kind.DAY.value)
    if (node.since is None and node.until is None) or (node.since and node.until and node.since >= node.until):
        raise RangeEmpty(path=path)
