"""What conditions mean, and what cannot be meant, against tables worked out by hand."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from loyalty.conditions import checks
from loyalty.conditions.checks import ConditionInvalid, parse
from loyalty.conditions.nodes import ADAPTER, document_of, schema
from loyalty.conditions.rules import Context, Value, judge, matches
from loyalty.conditions.vocabulary import CHECK_IN, EVENT, LINE, MEMBER, PURCHASE
from tests.loyalty.conditions.trees import SETTING

EVERYWHERE = (MEMBER, PURCHASE, CHECK_IN, EVENT)
NOON = datetime(2026, 11, 25, 4, tzinfo=UTC)  # a Wednesday in Shanghai
LINES: list[dict[str, Value]] = [
    {"line.category": "tea", "line.amount": 1800, "line.quantity": 2, "line.tags": frozenset({"new"})},
    {"line.category": "cake", "line.amount": 3000, "line.quantity": 1, "line.tags": frozenset()},
]


def holds(document: dict[str, Any], lines: Any = (), at: datetime = NOON, **values: Value) -> bool:
    known = {name.replace("__", "."): value for name, value in values.items()}
    return matches(parse(document, scopes=EVERYWHERE), Context(at, known, lines), SETTING)


def about(op: str, field: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"op": op, "field": field, **({} if value is None else {"value": value}), **more}


TEA = about("eq", "line.category", "tea")
GOLD = about("ge", "member.tier", "gold")


@pytest.mark.parametrize(
    ("tier", "op", "expected"),
    [
        ("diamond", "ge", True),
        ("gold", "ge", True),
        ("silver", "ge", False),
        ("silver", "lt", True),
        (None, "lt", False),
    ],
)
def test_tiers_compare_by_their_place_on_the_ladder(tier: str | None, op: str, expected: bool) -> None:  # noqa: FBT001
    assert holds(about(op, "member.tier", "gold"), member__tier=tier) is expected


def test_what_is_not_known_satisfies_no_comparison_and_not_of_it_holds() -> None:
    equal, other = about("eq", "member.channel", "telegram"), about("ne", "member.channel", "telegram")
    assert not holds(equal)
    assert not holds(other)
    assert holds({"op": "not", "of": equal})
    assert not holds(about("known", "member.channel"))


def test_values_of_events_compare_with_their_own_type_only() -> None:
    stars = about("ge", "event.data.stars", 4)
    assert holds(stars, event__data__stars=5)
    assert not holds(stars, event__data__stars="5")
    assert not holds(about("eq", "event.data.first", 1), event__data__first=True)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"op": "any_line", "where": TEA}, True),
        ({"op": "every_line", "where": TEA}, False),
        ({"op": "none_line", "where": about("eq", "line.category", "book")}, True),
        ({"op": "cheapest_line", "where": TEA}, True),
        ({"op": "dearest_line", "where": TEA}, False),
        ({"op": "line_sum", "compare": "ge", "value": 4800}, True),
        ({"op": "line_sum", "where": TEA, "compare": "eq", "value": 1800}, True),
        ({"op": "line_sum", "sum": "line.quantity", "compare": "eq", "value": 3}, True),
        (
            {
                "op": "line_count",
                "where": {"op": "has_any", "field": "line.tags", "values": ["new"]},
                "compare": "eq",
                "value": 1,
            },
            True,
        ),
        ({"op": "any_line", "where": {"op": "all", "of": [TEA, GOLD]}}, True),
    ],
)
def test_lines_are_looked_at(document: dict[str, Any], expected: bool) -> None:  # noqa: FBT001
    assert holds(document, LINES, member__tier="gold") is expected


def test_a_purchase_without_lines_proves_nothing_of_them() -> None:
    assert not holds({"op": "every_line", "where": TEA})
    assert not holds({"op": "cheapest_line", "where": TEA})
    assert holds({"op": "none_line", "where": TEA})


@pytest.mark.parametrize(
    ("since", "until", "clock", "expected"),
    [
        ("14:00", "17:00", "13:59:59", False),
        ("14:00", "17:00", "14:00:00", True),
        ("14:00", "17:00", "17:00:00", False),
        ("22:00", "02:00", "23:30:00", True),
        ("22:00", "02:00", "01:59:59", True),
        ("22:00", "02:00", "02:00:00", False),
    ],
)
def test_hours_are_half_open_and_may_pass_midnight(since: str, until: str, clock: str, expected: bool) -> None:  # noqa: FBT001
    at = datetime.fromisoformat(f"2026-11-25T{clock}+08:00")
    assert holds({"op": "hours", "since": since, "until": until}, at=at) is expected


@pytest.mark.parametrize(
    ("condition", "at", "birthday", "expected"),
    [
        ({}, "2026-02-01T00:00:00+08:00", 215, True),
        ({}, "2026-01-31T23:59:59+08:00", 215, False),
        ({"within": "days"}, "2026-02-28T12:00:00+08:00", 229, True),
        ({"within": "days"}, "2028-02-28T12:00:00+08:00", 229, False),
        ({"within": "days"}, "2028-02-29T12:00:00+08:00", 229, True),
        ({"within": "days", "before": 3}, "2026-12-30T12:00:00+08:00", 101, True),
        ({"within": "days", "after": 3}, "2026-01-03T12:00:00+08:00", 1231, True),
        ({"within": "days", "after": 2}, "2026-01-03T12:00:00+08:00", 1231, False),
    ],
)
def test_birthdays_are_kept_on_the_programmes_calendar(
    condition: dict[str, Any],
    at: str,
    birthday: int,
    expected: bool,  # noqa: FBT001
) -> None:
    document = {"op": "anniversary", **condition}
    assert holds(document, at=datetime.fromisoformat(at), member__birthday=birthday) is expected


def test_the_day_of_joining_is_no_anniversary() -> None:
    document = {"op": "anniversary", "of": "joining", "within": "days"}
    assert not holds(document, member__joined_on=date(2026, 11, 25))
    assert holds(document, member__joined_on=date(2025, 11, 25))


def test_dates_and_days_are_half_open_days_of_the_programme() -> None:
    november = {"op": "dates", "since": "2026-11-25", "until": "2026-11-26"}
    assert holds(november, at=datetime.fromisoformat("2026-11-24T16:00:00+00:00"))
    assert not holds(november, at=datetime.fromisoformat("2026-11-25T16:00:00+00:00"))
    assert holds({"op": "weekdays", "days": [3]})
    assert holds({"op": "month_days", "days": [8, 25]})


def test_the_node_that_decides_is_named() -> None:
    document = {"op": "all", "of": [GOLD, {"op": "any", "of": [TEA | {"field": "member.channel"}, GOLD]}]}
    condition = parse(document, scopes=EVERYWHERE)
    silver = Context(NOON, {"member.tier": "silver"})
    assert judge(condition, silver, SETTING).path == "of.0"
    nested = parse({"op": "all", "of": [document["of"][1]]}, scopes=EVERYWHERE)
    assert judge(nested, silver, SETTING).path == "of.0"


@pytest.mark.parametrize(
    ("document", "code", "path"),
    [
        ({"op": "all", "of": [GOLD, {"op": "nope"}]}, "conditions.invalid", "of.1"),
        ({"op": "not", "of": {"op": "in", "field": "member.tier", "values": []}}, "conditions.invalid", "of.values"),
        ({"op": "eq", "field": "member.tier", "value": 1.5}, "conditions.invalid", "value"),
        ({"op": "all", "of": [about("eq", "member.shoe_size", 42)]}, "conditions.field_unknown", "of.0"),
        (TEA, "conditions.field_not_here", ""),
        ({"op": "any_line", "where": {"op": "any_line", "where": TEA}}, "conditions.field_not_here", "where"),
        (about("ge", "member.channel", "telegram"), "conditions.operator_unfit", ""),
        (about("eq", "member.tier", "gold", within_days=3), "conditions.operator_unfit", ""),
        ({"op": "has_any", "field": "member.channel", "values": ["telegram"]}, "conditions.operator_unfit", ""),
        (about("eq", "member.visits", "three"), "conditions.value_unfit", "value"),
        (about("ge", "member.joined_on", "2026-02-30"), "conditions.value_unfit", "value"),
        (about("eq", "member.locale", "fr"), "conditions.value_unfit", "value"),
        ({"op": "between", "field": "member.visits", "min": 3, "max": 2}, "conditions.range_empty", ""),
        ({"op": "dates"}, "conditions.range_empty", ""),
        ({"op": "dates", "since": "2026-11-26", "until": "2026-11-26"}, "conditions.range_empty", ""),
        ({"op": "hours", "since": "10:00", "until": "10:00"}, "conditions.range_empty", ""),
        ({"op": "dates", "since": "2026-13-01"}, "conditions.value_unfit", "since"),
        ({"op": "all", "of": [GOLD] * 50 + [GOLD]}, "conditions.invalid", "of"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(document: dict[str, Any], code: str, path: str) -> None:
    with pytest.raises(ConditionInvalid) as refused:
        parse(document, scopes=EVERYWHERE)
    assert (refused.value.code, refused.value.params["path"]) == (code, path)


def test_fields_have_values_in_their_place_only() -> None:
    for scopes, field in (
        ((MEMBER,), "purchase.amount"),
        ((PURCHASE,), "member.visits"),
        ((MEMBER, EVENT), "check_in.streak"),
    ):
        with pytest.raises(checks.FieldNotHere):
            parse(about("ge", field, 1), scopes=scopes)
    with pytest.raises(checks.FieldNotHere):
        parse({"op": "anniversary"}, scopes=(PURCHASE,))
    assert parse(TEA, scopes=(LINE,))


def test_depth_and_size_end_somewhere() -> None:
    deep: dict[str, Any] = GOLD
    for _ in range(checks.DEPTH_MAX):
        deep = {"op": "not", "of": deep}
    wide = {"op": "all", "of": [{"op": "any", "of": [GOLD] * 40}] * 3}
    for document in (deep, wide):
        with pytest.raises(checks.ConditionTooComplex):
            parse(document, scopes=EVERYWHERE)
    assert parse(deep["of"], scopes=EVERYWHERE)


def test_a_condition_is_the_same_after_it_was_written_and_read() -> None:
    document = {
        "op": "all",
        "of": [GOLD, {"op": "any_line", "where": TEA}, {"op": "hours", "since": "14:00", "until": "17:00"}],
    }
    condition = parse(document, scopes=EVERYWHERE)
    assert document_of(condition) == document
    assert ADAPTER.validate_python(document_of(condition)) == condition


def test_the_form_knows_every_operator() -> None:
    operators = {
        name
        for definition in schema()["$defs"].values()
        for name in (definition["properties"]["op"].get("enum") or [definition["properties"]["op"].get("const")])
    }
    assert operators >= {"all", "any", "not", "eq", "ge", "between", "in", "has_any", "known", "any_line", "hours"}
