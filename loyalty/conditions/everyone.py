"""The member-level part of a condition as SQL, over everybody at one instant. Pure: text and arguments.

A fragment speaks of the member `m` and of the instant `asked.at`. Every leaf is true or false, never null, so that
`NOT` means what it means in memory.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from loyalty.conditions.checks import FieldNotHere
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
)
from loyalty.conditions.rules import Setting, literal, tiers_reached
from loyalty.conditions.vocabulary import LINE, MEMBER, Kind, find
from loyalty.errors import unreachable

_OPERATORS: Final[dict[Comparison, str]] = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
_PLACE: Final = re.compile(r"\{(?P<what>zone|today|ladders?|lowest|since:(?P<moment>[\w.]+))\}")
_MAIN: Final = "main"
_LIKE_SPECIAL: Final = re.compile(r"([\\%_])")


@dataclass(slots=True)
class Arguments:
    """The parameters of a statement while it is put together; a value is written as its ``$n``."""

    values: list[Any] = field(default_factory=list)

    def add(self, value: object, cast: str = "") -> str:
        """The placeholder of one more value."""
        self.values.append(value)
        return f"${len(self.values)}{cast}"


@dataclass(slots=True)
class Everyone:
    """Writes conditions and fields into one statement, whose arguments it collects."""

    setting: Setting
    arguments: Arguments
    _zone: str | None = None

    def where(self, condition: Node) -> str:
        """The condition as a boolean expression.

        Raises:
            FieldNotHere: it speaks of something that a member alone does not have.
        """
        match condition:
            case All():
                return self._joined(" AND ", condition.of, "true")
            case AnyOf():
                return self._joined(" OR ", condition.of, "false")
            case Not():
                return f"(NOT {self.where(condition.of)})"
            case Lines() | LineSum() | LineCount():
                raise FieldNotHere(path="", field=LINE)
            case Weekdays() | MonthDays() | Hours() | Dates() | Anniversary():
                return self._of_time(condition)
            case _:
                return f"coalesce({self._of_field(condition)}, false)"

    def value(self, name: str, within_days: int | None = None) -> str:
        """The expression that reads a member's field; null where it is not known.

        Raises:
            FieldNotHere: no field of members.
        """
        entry = find(name)
        if entry is None or entry.scope != MEMBER:
            raise FieldNotHere(path="", field=name)

        def filled(place: re.Match[str]) -> str:
            if place["moment"]:
                return "" if within_days is None else f" AND {place['moment']} > {self._ago(within_days)}"
            match place["what"]:
                case "zone":
                    return self.zone
                case "today":
                    return self.today
                case "ladders":
                    return self._ladders()
                case what:
                    return self._ladder(name, what)

        return _PLACE.sub(filled, entry.sql)

    @property
    def zone(self) -> str:
        """The programme's zone."""
        if self._zone is None:
            self._zone = self.arguments.add(self.setting.zone.key, "::text")
        return self._zone

    @property
    def local(self) -> str:
        """The instant as clocks in the programme's zone show it."""
        return f"(asked.at AT TIME ZONE {self.zone})"

    @property
    def today(self) -> str:
        """The calendar day of the instant."""
        return f"{self.local}::date"

    def _ladder(self, name: str, what: str) -> str:
        last = name.rpartition(".")[2]
        ladder = _MAIN if name == "member.tier" else last
        steps = self.setting.ladders.get(ladder, ())
        return self.arguments.add(ladder if what == "ladder" else next(iter(steps), None), "::text")

    def _ladders(self) -> str:
        known = {code: steps[0] for code, steps in self.setting.ladders.items() if steps}
        codes = self.arguments.add(list(known), "::text[]")
        lowest = self.arguments.add(list(known.values()), "::text[]")
        return f"unnest({codes}, {lowest})"

    def _ago(self, days: int) -> str:
        return f"asked.at - {self.arguments.add(days * 24, '::int')} * interval '1 hour'"

    def _joined(self, between: str, conditions: Iterable[Node], empty: str) -> str:
        parts = [self.where(child) for child in conditions]
        return f"({between.join(parts)})" if parts else empty

    def _of_field(self, condition: Compare | Between | In | Has | Known | StartsWith) -> str:
        within_days = condition.within_days if isinstance(condition, Compare | Between) else None
        value = self.value(condition.field, within_days)
        match condition:
            case Known():
                return f"{value} IS NOT NULL"
            case StartsWith():
                return (
                    f"{value} LIKE {self.arguments.add(_LIKE_SPECIAL.sub(_ESCAPED, condition.value) + '%', '::text')}"
                )
            case Has():
                operator = "&&" if condition.op == "has_any" else "@>"
                return f"{value} {operator} {self.arguments.add(list(condition.values), '::text[]')}"
            case In():
                values = [literal(condition.field, one) for one in condition.values]
                return f"{value} = ANY({self._typed(condition.field, values)})"
            case Between():
                low = self._typed(condition.field, literal(condition.field, condition.min))
                high = self._typed(condition.field, literal(condition.field, condition.max))
                return f"{value} BETWEEN {low} AND {high}"
            case Compare():
                return self._compare(condition, value)

    def _compare(self, condition: Compare, value: str) -> str:
        entry = find(condition.field)
        if entry is not None and entry.kind is Kind.TIER and condition.op not in {"eq", "ne"}:
            tiers = sorted(tiers_reached(condition.op, str(condition.value), self.setting))
            return f"{value} = ANY({self.arguments.add(tiers, '::text[]')})"
        other = self._typed(condition.field, literal(condition.field, condition.value))
        return f"{value} {_OPERATORS[condition.op]} {other}"

    def _typed(self, name: str, value: object) -> str:
        entry = find(name)
        kind = entry.kind if entry is not None else Kind.ANY
        cast = _CASTS.get(kind) or unreachable("fields of members have a kind of their own")
        return self.arguments.add(value, cast + ("[]" if isinstance(value, list) else ""))

    def _of_time(self, condition: Weekdays | MonthDays | Hours | Dates | Anniversary) -> str:
        match condition:
            case Weekdays():
                return (
                    f"(extract(isodow FROM {self.local})::int = ANY({self.arguments.add(list(condition.days))}::int[]))"
                )
            case MonthDays():
                return f"(extract(day FROM {self.local})::int = ANY({self.arguments.add(list(condition.days))}::int[]))"
            case Hours():
                return self._hours(condition)
            case Dates():
                bounds = ((">=", condition.since), ("<", condition.until))
                parts = [
                    f"{self.today} {operator} {self.arguments.add(date.fromisoformat(day), '::date')}"
                    for operator, day in bounds
                    if day is not None
                ]
                return f"({' AND '.join(parts)})"
            case Anniversary():
                return self._anniversary(condition)

    def _hours(self, condition: Hours) -> str:
        both = "AND" if condition.since <= condition.until else "OR"
        since, until = (f"{self.arguments.add(text, '::text')}::time" for text in (condition.since, condition.until))
        return f"({self.local}::time >= {since} {both} {self.local}::time < {until})"

    def _anniversary(self, condition: Anniversary) -> str:
        first = f"(m.joined_at AT TIME ZONE {self.zone})::date"
        of_joining = condition.of == "joining"
        yearday = (
            f"(extract(month FROM {first})::int * 100 + extract(day FROM {first})::int)"
            if of_joining
            else "m.birthday_month_day::int"
        )
        later = f" AND {{year}} > extract(year FROM {first})::int" if of_joining else ""
        year = f"extract(year FROM {self.today})::int"
        if condition.within == "month":
            same = f"extract(month FROM {self.today})::int = {yearday} / 100"
            return f"coalesce({same}{later.format(year=year)}, false)"
        before, after = self.arguments.add(condition.before, "::int"), self.arguments.add(condition.after, "::int")
        kept = (
            "make_date(near.year, near.yearday / 100, CASE WHEN near.yearday = 229 AND NOT (near.year % 4 = 0 AND"
            " (near.year % 100 <> 0 OR near.year % 400 = 0)) THEN 28 ELSE near.yearday % 100 END)"
        )
        return (
            f"EXISTS (SELECT 1 FROM (SELECT {year} + step AS year, {yearday} AS yearday"
            f" FROM generate_series(-1, 1) AS step) AS near WHERE near.yearday IS NOT NULL"
            f" AND {self.today} - {kept} BETWEEN -{before} AND {after}{later.format(year='near.year')})"
        )


_ESCAPED: Final = r"\\\1"
_CASTS: Final = {
    Kind.NUMBER: "::bigint",
    Kind.MONEY: "::bigint",
    Kind.TEXT: "::text",
    Kind.TIER: "::text",
    Kind.FLAG: "::boolean",
    Kind.DAY: "::date",
}
