"""Earning arithmetic against numbers worked out by hand."""

from datetime import timedelta

import pytest

from loyalty.earning.counting import Count, Used
from tests.loyalty.earning.written import (
    DOUBLE,
    NOW,
    PER_YUAN,
    document,
    earned,
    line,
    paid,
    purchase,
    rule,
    ruleset,
    why,
    withheld,
)

BASE = rule("base", PER_YUAN, order=0)
GOLD = rule("tier", {"kind": "tier_multiplier", "percents": {"gold": 150}}, order=1)
DAY = "day:2026-11-25"


@pytest.mark.parametrize(
    ("mode", "awards", "total"),
    [
        ("additive", {"base": 100, "tier": 50, "campaign": 100}, 250),
        ("compounding", {"base": 100, "tier": 50, "campaign": 150}, 300),
    ],
)
def test_case_33_multipliers_add_up_or_compound_as_the_terms_say(mode: str, awards: dict[str, int], total: int) -> None:
    rules = ruleset(BASE, GOLD, rule("campaign", DOUBLE, order=2), multipliers=mode)
    found = earned(purchase(), rules, member__tier="gold")
    assert paid(found) == awards
    assert found.total("points") == total
    explained = {award.rule_code: award.explanation for award in found.awards}
    assert explained["campaign"] == {
        "kind": "multiplier",
        "percent": 200,
        "of": 100 if mode == "additive" else 150,
        "mode": mode,
    }


def test_multiplying_is_additive_unless_the_terms_say_otherwise() -> None:
    found = earned(purchase(), ruleset(BASE, GOLD, rule("campaign", DOUBLE, order=2)), member__tier="gold")
    assert found.total("points") == 250


@pytest.mark.parametrize(
    ("rounding", "total"),
    [
        ({"per": "order"}, 11),
        ({"per": "line"}, 9),
        ({"per": "order", "mode": "half_up"}, 12),
        ({"per": "line", "mode": "half_up"}, 12),
        ({"per": "order", "mode": "up"}, 12),
    ],
)
def test_case_34_fractions_end_with_the_order_or_with_each_line(rounding: dict[str, str], total: int) -> None:
    three = purchase(1197, lines=[line(399), line(399), line(399)])
    assert earned(three, ruleset(BASE, rounding=rounding)).total("points") == total


def test_all_rules_together_are_rounded_once() -> None:
    found = earned(purchase(3990), ruleset(BASE, GOLD, rule("campaign", DOUBLE, order=2)), member__tier="gold")
    assert paid(found) == {"base": 39, "tier": 20, "campaign": 40}  # 39.9 + 19.95 + 39.9 = 99.75
    assert found.total("points") == 99


def test_case_20_the_fraction_of_an_order_counts_for_the_next_one() -> None:
    star = rule("star", {"kind": "per_yuan", "points": 1, "per_fen": 5000})
    rules = ruleset(star, rounding={"carry": True})
    first = earned(purchase(3000), rules)
    second = earned(purchase(3000), rules, first.used)
    assert (first.total("points"), first.carry["points"]) == (0, (0, 600_000_000))
    assert (second.total("points"), second.carry["points"]) == (1, (600_000_000, 200_000_000))


def test_case_20_a_gift_card_earns_by_its_own_rate() -> None:
    rules = ruleset(
        rule("star", {"kind": "per_yuan", "points": 1, "per_fen": 5000, "without_tenders": ["points", "gift_card"]}),
        rule("card", {"kind": "per_yuan", "points": 1, "per_fen": 4000, "tenders": ["gift_card"]}),
        rounding={"carry": True},
    )
    bought = purchase(3000, tenders={"gift_card": 3000})
    first = earned(bought, rules)
    second = earned(bought, rules, first.used)
    assert first.total("points") + second.total("points") == 1
    assert second.carry["points"][1] == 500_000_000  # 60 / 40 = 1.5
    mixed = earned(purchase(3000), rules, first.used)
    assert (mixed.total("points"), mixed.carry["points"][1]) == (1, 350_000_000)  # 0.75 + 0.6


def test_case_35_a_daily_cap_pays_the_rest_and_notes_what_it_withheld() -> None:
    capped = rule("event", 50, trigger="event:shared", caps=[{"per": "day", "amount": 100}])
    used = Used({("rule:event", DAY): Count(80, 2, NOW)})
    found = earned(purchase(trigger="event:shared"), ruleset(capped), used)
    assert (paid(found), withheld(found)) == ({"event": 20}, {"event": [(30, "cap:daily")]})
    assert found.used.count(("rule:event", DAY)).amount == 100
    again = earned(purchase(trigger="event:shared"), ruleset(capped), found.used)
    assert (paid(again), withheld(again)) == ({"event": 0}, {"event": [(50, "cap:daily")]})


def test_case_35_a_cap_per_transaction_refuses_in_full() -> None:
    most = rule("event", 50, trigger="event:shared", per_transaction=40)
    found = earned(purchase(trigger="event:shared"), ruleset(most))
    assert (paid(found), withheld(found)) == ({"event": 0}, {"event": [(50, "cap:transaction")]})
    assert (
        earned(
            purchase(trigger="event:shared"), ruleset(rule("event", 40, trigger="event:shared", per_transaction=40))
        ).total("points")
        == 40
    )


def test_case_35_the_programmes_own_caps_hold_over_all_rules() -> None:
    rules = ruleset(BASE, rule("gift", 50, order=5), caps=[{"per": "day", "amount": 120}])
    found = earned(purchase(), rules)
    assert (paid(found), withheld(found)) == ({"base": 100, "gift": 20}, {"gift": [(30, "cap:daily")]})
    refused = earned(purchase(), ruleset(BASE, rule("gift", 50, order=5), per_transaction=149))
    assert paid(refused) == {"base": 0, "gift": 0}
    assert withheld(refused) == {"base": [(100, "cap:transaction")], "gift": [(50, "cap:transaction")]}
    assert refused.used == Used()


def test_case_38_what_points_paid_for_earns_nothing() -> None:
    bought = purchase(10_000, tenders={"points": 2000, "cash": 8000})
    assert earned(bought, ruleset(BASE)).total("points") == 80
    everything = rule("base", {"kind": "per_yuan", "without_tenders": []})
    assert earned(bought, ruleset(everything)).total("points") == 100


def test_case_39_a_voided_line_earns_nothing() -> None:
    lines = [line(10_000, category="tea"), line(5000, category="cake", voided=True)]
    bought = purchase(10_000, lines=lines)
    cakes = {"op": "eq", "field": "line.category", "value": "cake"}
    rules = ruleset(BASE, rule("cake", {"kind": "per_line", "points": 7, "where": cakes}))
    assert earned(bought, rules).total("points") == 100


def test_a_condition_that_does_not_hold_names_its_node() -> None:
    wednesday_tea = {
        "op": "all",
        "of": [
            {"op": "weekdays", "days": [3]},
            {"op": "any_line", "where": {"op": "eq", "field": "line.category", "value": "tea"}},
        ],
    }
    rules = ruleset(BASE, rule("double", DOUBLE, condition=wednesday_tea))
    assert earned(purchase(lines=[line(10_000, category="tea")]), rules).total("points") == 200
    assert why(earned(purchase(lines=[line(10_000)]), rules)) == {"double": ("condition", "of.1")}
    assert why(earned(purchase(occurred_at=NOW + timedelta(days=1)), rules)) == {"double": ("condition", "of.0")}


@pytest.mark.parametrize(
    ("mode", "awards", "reasons"),
    [
        ("first", {"small": 10}, {"large": ("group", "small")}),
        ("best", {"large": 30}, {"small": ("group", "large")}),
        ("stack", {"small": 10, "large": 30}, {}),
    ],
)
def test_rules_of_a_group_compete(mode: str, awards: dict[str, int], reasons: dict[str, tuple[str, str]]) -> None:
    group = {"code": "gifts", "mode": mode}
    rules = ruleset(rule("small", 10, order=1, group=group), rule("large", 30, order=2, group=group))
    found = earned(purchase(), rules)
    assert (paid(found), why(found)) == (awards, reasons)


def test_the_best_is_what_limits_leave_of_it() -> None:
    group = {"code": "gifts"}
    large = rule("large", 30, order=1, group=group, caps=[{"per": "day", "amount": 35}])
    rules = ruleset(large, rule("small", 10, order=2, group=group))
    first = earned(purchase(), rules)
    assert paid(first) == {"large": 30}
    assert paid(earned(purchase(), rules, first.used)) == {"small": 10}


def test_the_first_of_a_group_that_gives_nothing_leaves_room_for_the_next() -> None:
    group = {"code": "gifts", "mode": "first"}
    never = {"op": "weekdays", "days": [7]}
    found = earned(purchase(), ruleset(rule("a", 50, group=group, condition=never), rule("b", 10, group=group)))
    assert (paid(found), why(found)) == ({"b": 10}, {"a": ("condition", None)})


def test_an_exclusive_rule_fires_alone_or_not_at_all() -> None:
    one, alone, other = rule("one", 10, order=1), rule("alone", 20, order=2, exclusive=True), rule("other", 5, order=3)
    assert why(earned(purchase(), ruleset(BASE, one, alone, other))) == {"alone": ("excluded", "one")}
    found = earned(purchase(), ruleset(BASE, GOLD, alone, other), member__tier="gold")
    assert paid(found) == {"base": 100, "tier": 50, "alone": 20}
    assert why(found) == {"other": ("excluded", "alone")}


def test_a_budget_gives_its_rest_or_nothing() -> None:
    shared = rule("gift", 30, budget={"total": 100, "campaign": "double11"})
    whole = rule("gift", 30, budget={"total": 100, "campaign": "double11", "partial": False})
    used = Used(left={"campaign:double11": 20})
    found = earned(purchase(), ruleset(shared), used)
    assert (paid(found), withheld(found)) == ({"gift": 20}, {"gift": [(10, "budget")]})
    assert found.used.left == {"campaign:double11": 0}
    refused = earned(purchase(), ruleset(whole), used)
    assert (paid(refused), withheld(refused)) == ({"gift": 0}, {"gift": [(30, "budget")]})
    assert refused.used.left == used.left


def test_limits_and_cooldowns_close_a_rule() -> None:
    often = rule("gift", 10, limits=[{"per": "week", "times": 2}], cooldown_hours=24)
    used = Used()
    outcomes = []
    for hours in (0, 23, 24, 48):
        found = earned(purchase(occurred_at=NOW + timedelta(hours=hours)), ruleset(often), used)
        outcomes.append((paid(found), why(found)))
        used = found.used
    assert outcomes == [
        ({"gift": 10}, {}),
        ({}, {"gift": ("cooldown", "cooldown")}),
        ({"gift": 10}, {}),
        ({}, {"gift": ("limit", "limit:weekly")}),
    ]
    monday = earned(purchase(occurred_at=NOW + timedelta(days=5)), ruleset(often), used)
    assert paid(monday) == {"gift": 10}


def test_a_multiplier_multiplies_what_limits_of_the_rule_left() -> None:
    capped = rule("base", PER_YUAN, order=0, caps=[{"per": "day", "amount": 40}])
    assert paid(earned(purchase(), ruleset(capped, rule("double", DOUBLE)))) == {"base": 40, "double": 40}


def test_a_multiplier_looks_at_its_lines_and_its_rules_only() -> None:
    tea = {"op": "eq", "field": "line.category", "value": "tea"}
    lines = [line(6000, category="tea"), line(4000, category="cake")]
    rules = ruleset(BASE, rule("extra", 50, multipliable=True), rule("tea", {**DOUBLE, "where": tea, "of": ["base"]}))
    found = earned(purchase(lines=lines), rules)
    assert paid(found) == {"base": 100, "extra": 50, "tea": 60}
    assert {award.rule_code: award.per_line for award in found.awards} == {
        "base": (60, 40),
        "extra": (25, 25),
        "tea": (60, 0),
    }
    assert paid(
        earned(purchase(lines=lines), ruleset(BASE, rule("extra", 50, multipliable=True), rule("all", DOUBLE)))
    ) == {
        "base": 100,
        "extra": 50,
        "all": 150,
    }


@pytest.mark.parametrize(("amount_fen", "points"), [(9_999, 0), (10_000, 10), (25_050, 20)])
def test_steps_count_whole_ones(amount_fen: int, points: int) -> None:
    steps = rule("steps", {"kind": "per_yuan", "points": 10, "per_fen": 10_000, "steps": True})
    assert earned(purchase(amount_fen), ruleset(steps)).total("points") == points


def test_lines_and_pieces_are_counted() -> None:
    lines = [line(1000, quantity=3, sku="a"), line(500, quantity=2, sku="b")]
    of_a = {"op": "starts_with", "field": "line.sku", "value": "a"}
    rules = ruleset(
        rule("lines", {"kind": "per_line", "points": 2}),
        rule("pieces", {"kind": "per_line", "points": 5, "per": "quantity", "where": of_a}),
    )
    assert paid(earned(purchase(1500, lines=lines), rules)) == {"lines": 4, "pieces": 15}


def test_lines_that_the_programme_leaves_out_earn_nothing() -> None:
    cards = {"op": "has_any", "field": "line.tags", "values": ["gift_card"]}
    lines = [line(5000), line(5000, tags=frozenset({"gift_card"}))]
    found = earned(purchase(lines=lines), ruleset(BASE, rule("double", DOUBLE), no_points_on=cards))
    assert paid(found) == {"base": 50, "double": 50}


def test_assets_are_judged_each_by_itself() -> None:
    rules = ruleset(BASE, rule("growth", PER_YUAN, asset="growth"), rule("double", DOUBLE))
    found = earned(purchase(), rules)
    assert (found.total("points"), found.total("growth")) == (200, 100)


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": {"kind": "multiplier", "percent": 100}},
        {"amount": PER_YUAN, "trigger": "check_in"},
        {"amount": {"kind": "streak", "points": 5}},
        {"amount": DOUBLE, "multipliable": True},
        {"effective_from": "2026-11-02T00:00:00+08:00", "effective_until": "2026-11-02T00:00:00+08:00"},
        {"trigger": "event:Reviewed"},
        {"asset": "money"},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    from pydantic import ValidationError

    from loyalty.earning.documents import Rule

    with pytest.raises(ValidationError):
        Rule.model_validate({**document(), **wrong})
