"""Conditions and members for property tests: every kind of node over every field of members."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from loyalty.conditions.checks import parse
from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Setting
from loyalty.conditions.vocabulary import ENTRIES, MEMBER, Kind

SHANGHAI = ZoneInfo("Asia/Shanghai")
LADDER = ("basic", "silver", "gold", "diamond")
SETTING = Setting(SHANGHAI, {"main": LADDER, "coffee": ("bean", "cup")})
NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
STORES = ("jingan", "xuhui")
CHANNELS = ("wechat_oa", "telegram")

MOMENTS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
    st.sampled_from(
        [
            NOW,
            datetime(2026, 2, 27, 16, tzinfo=UTC),  # 28 February begins in Shanghai
            datetime(2026, 11, 25, 15, 59, 59, tzinfo=UTC),  # the last second of a Wednesday there
            datetime(2024, 2, 29, 4, tzinfo=UTC),
        ]
    ),
)
_ORDERINGS = ("eq", "ne", "lt", "le", "gt", "ge")
_TEXTS = {
    "member.channel": CHANNELS,
    "member.store": STORES,
    "member.locale": ("zh-CN", "en"),
    "member.tier": (*LADDER, "platinum"),
    "member.tier.coffee": ("bean", "cup"),
}
_OF_MEMBERS = [replace(entry, name=entry.name.replace("*", "coffee")) for entry in ENTRIES if entry.scope == MEMBER]


def _numbers(kind: Kind) -> st.SearchStrategy[int]:
    return st.integers(-1, 4) if kind is Kind.NUMBER else st.sampled_from([0, 1, 9_999, 10_000, 20_000, 30_000])


def _days() -> st.SearchStrategy[str]:
    return st.dates(date(2026, 11, 1), date(2026, 11, 30)).map(date.isoformat)


def _of_field() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(_OF_MEMBERS).flatmap(_about)


def _about(entry: Any) -> st.SearchStrategy[dict[str, Any]]:
    field = {"field": st.just(entry.name)}
    window = {"within_days": st.sampled_from([1, 7, 30])} if entry.windowed else {}
    known = st.fixed_dictionaries({"op": st.just("known"), **field})
    match entry.kind:
        case Kind.NUMBER | Kind.MONEY:
            value: st.SearchStrategy[Any] = _numbers(entry.kind)
        case Kind.DAY:
            value = _days()
        case Kind.FLAG:
            return known | st.fixed_dictionaries({"op": st.sampled_from(["eq", "ne"]), **field, "value": st.booleans()})
        case Kind.TEXTS:
            choice = LADDER if entry.name == "member.tiers" else STORES
            values = st.lists(st.sampled_from(choice), min_size=1, max_size=2)
            return known | st.fixed_dictionaries(
                {"op": st.sampled_from(["has_any", "has_all"]), **field, "values": values}
            )
        case Kind.TEXT | Kind.TIER:
            return known | _text(entry, field)
        case _:
            return known
    compare = st.fixed_dictionaries({"op": st.sampled_from(_ORDERINGS), **field, "value": value}, optional=window)
    between = (
        st.tuples(value, value)
        .map(sorted)
        .flatmap(
            lambda pair: st.fixed_dictionaries(
                {"op": st.just("between"), **field, "min": st.just(pair[0]), "max": st.just(pair[1])}, optional=window
            )
        )
    )
    several = st.fixed_dictionaries({"op": st.just("in"), **field, "values": st.lists(value, min_size=1, max_size=3)})
    return st.one_of(known, compare, between, several)


def _text(entry: Any, field: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    value = st.sampled_from(_TEXTS[entry.name])
    operators = _ORDERINGS if entry.kind is Kind.TIER else ("eq", "ne")
    found = st.fixed_dictionaries({"op": st.sampled_from(operators), **field, "value": value})
    several = st.fixed_dictionaries({"op": st.just("in"), **field, "values": st.lists(value, min_size=1, max_size=3)})
    if entry.kind is Kind.TIER:
        return found | several
    begins = st.sampled_from(["wechat", "j", "_", "%", "zh"])
    return st.one_of(found, several, st.fixed_dictionaries({"op": st.just("starts_with"), **field, "value": begins}))


def _of_time() -> st.SearchStrategy[dict[str, Any]]:
    hours = st.sampled_from(["00:00", "08:30", "12:00", "14:00", "23:59"])
    return st.one_of(
        st.fixed_dictionaries({"op": st.just("weekdays"), "days": st.lists(st.integers(1, 7), min_size=1, max_size=3)}),
        st.fixed_dictionaries(
            {"op": st.just("month_days"), "days": st.lists(st.integers(1, 31), min_size=1, max_size=9)}
        ),
        st.tuples(hours, hours)
        .filter(lambda pair: pair[0] != pair[1])
        .map(lambda pair: {"op": "hours", "since": pair[0], "until": pair[1]}),
        st.tuples(_days(), _days())
        .filter(lambda pair: pair[0] != pair[1])
        .map(lambda pair: {"op": "dates", "since": min(pair), "until": max(pair)}),
        st.fixed_dictionaries(
            {
                "op": st.just("anniversary"),
                "of": st.sampled_from(["birthday", "joining"]),
                "within": st.sampled_from(["month", "days"]),
                "before": st.integers(0, 3),
                "after": st.integers(0, 3),
            }
        ),
    )


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Documents of conditions that members alone can meet."""
    return st.recursive(
        _of_field() | _of_time(),
        lambda children: st.one_of(
            st.fixed_dictionaries({"op": st.just("all"), "of": st.lists(children, max_size=3)}),
            st.fixed_dictionaries({"op": st.just("any"), "of": st.lists(children, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"op": st.just("not"), "of": children}),
        ),
        max_leaves=6,
    )


def conditions() -> st.SearchStrategy[Node]:
    """The same, read."""
    return documents().map(lambda document: parse(document, scopes={MEMBER}))
