"""What conditions may speak about: every field with its kind, and for members how everybody's value is read.

The one literal table behind the checks, the form of the console, the wording and both evaluators. A new field is
one row here and one name in `templates/conditions/`. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MEMBER: Final = "member"
PURCHASE: Final = "purchase"
LINE: Final = "line"
CHECK_IN: Final = "check_in"
EVENT: Final = "event"
_ANY_NAME: Final = "*"


class Kind(StrEnum):
    """What a value is: a whole number, money in fen, a text, true or false, a calendar day (``2026-11-21``), a tier
    of a ladder, several texts, a day of the year, or whatever a partner's event carried."""

    NUMBER = "number"
    MONEY = "money"
    TEXT = "text"
    FLAG = "flag"
    DAY = "day"
    TIER = "tier"
    TEXTS = "texts"
    YEARDAY = "yearday"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class Entry:
    """One field. `sql` reads it for member `m` at the instant `asked.at`: `{zone}` is the programme's, `{today}` the
    day there, `{since:…}` the condition of a window on a column (of fields that are `windowed`), `{ladder}` the ladder
    that the name ends with, `{lowest}` its lowest tier. A `name` that ends with ``*`` stands for any; `values` closes
    the choice."""

    name: str
    kind: Kind
    sql: str = ""
    windowed: bool = False
    values: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """Where the field has a value: with every member, with a purchase, inside a line …"""
        return self.name.partition(".")[0]


_HELD: Final = (
    "FROM tier_interval held WHERE held.member_id = m.id AND held.starts_at <= asked.at"
    " AND (held.ends_at IS NULL OR held.ends_at > asked.at) AND held.ladder ="
)
_TIER: Final = f"coalesce((SELECT held.tier {_HELD} {{ladder}} LIMIT 1), {{lowest}})"
_PURCHASES: Final = "FROM purchase p WHERE p.member_id = m.id AND p.occurred_at < asked.at"
_SINCE_PURCHASE: Final = "{since:p.occurred_at}"

ENTRIES: Final = (
    Entry("member.tier", Kind.TIER, _TIER),
    Entry("member.tier.*", Kind.TIER, _TIER),
    Entry(
        "member.tiers",
        Kind.TEXTS,
        f"(SELECT array_agg(coalesce((SELECT held.tier::text {_HELD} ladder.code LIMIT 1), ladder.lowest))"
        " FROM {ladders} AS ladder(code, lowest))",
    ),
    Entry("member.registered", Kind.FLAG, "coalesce(m.registered_at <= asked.at, false)"),
    Entry("member.minor", Kind.FLAG, "m.is_minor"),
    Entry("member.referred", Kind.FLAG, "m.referrer_id IS NOT NULL"),
    Entry("member.channel", Kind.TEXT, "m.channel"),
    Entry("member.locale", Kind.TEXT, "m.locale", values=("zh-CN", "en")),
    Entry("member.store", Kind.TEXT, "(SELECT s.code FROM store s WHERE s.id = m.store_id)"),
    Entry("member.birthday", Kind.YEARDAY, "m.birthday_month_day::int"),
    Entry("member.joined_on", Kind.DAY, "(m.joined_at AT TIME ZONE {zone})::date"),
    Entry("member.joined_days", Kind.NUMBER, "({today} - (m.joined_at AT TIME ZONE {zone})::date)"),
    Entry("member.visits", Kind.NUMBER, f"(SELECT count(*) {_PURCHASES}{_SINCE_PURCHASE})", windowed=True),
    Entry(
        "member.spend",
        Kind.MONEY,
        f"(SELECT coalesce(sum(p.amount_fen - p.refunded_fen), 0)::bigint {_PURCHASES}{_SINCE_PURCHASE})",
        windowed=True,
    ),
    Entry(
        "member.stores",
        Kind.TEXTS,
        "(SELECT coalesce(array_agg(DISTINCT s.code::text), ARRAY[]::text[])"
        " FROM purchase p JOIN store s ON s.id = p.store_id WHERE p.member_id = m.id AND p.occurred_at < asked.at)",
    ),
    Entry(
        "member.last_purchase_days",
        Kind.NUMBER,
        "({today} - (SELECT (max(p.occurred_at) AT TIME ZONE {zone})::date " + _PURCHASES + "))",
    ),
    Entry(
        "member.check_ins",
        Kind.NUMBER,
        "(SELECT count(*) FROM check_in c WHERE c.member_id = m.id AND c.day < {today}{since:c.at})",
        windowed=True,
    ),
    Entry(
        "member.last_check_in_days",
        Kind.NUMBER,
        "({today} - (SELECT max(c.day) FROM check_in c WHERE c.member_id = m.id AND c.day < {today}))",
    ),
    Entry(
        "member.referrals",
        Kind.NUMBER,
        "(SELECT count(*) FROM member r WHERE r.referrer_id = m.id AND r.registered_at <= asked.at"
        "{since:r.registered_at})",
        windowed=True,
    ),
    Entry(
        "member.growth",
        Kind.NUMBER,
        "coalesce((SELECT b.available FROM ledger_balance b WHERE b.member_id = m.id AND b.asset = 'growth'), 0)",
    ),
    Entry("purchase.amount", Kind.MONEY),
    Entry("purchase.paid", Kind.MONEY),
    Entry("purchase.store", Kind.TEXT),
    Entry("purchase.city", Kind.TEXT),
    Entry("purchase.channel", Kind.TEXT),
    Entry("purchase.tenders", Kind.TEXTS),
    Entry("purchase.quantity", Kind.NUMBER),
    Entry("line.sku", Kind.TEXT),
    Entry("line.category", Kind.TEXT),
    Entry("line.quantity", Kind.NUMBER),
    Entry("line.amount", Kind.MONEY),
    Entry("line.tags", Kind.TEXTS),
    Entry("check_in.streak", Kind.NUMBER),
    Entry("event.name", Kind.TEXT),
    Entry("event.data.*", Kind.ANY),
)
BY_NAME: Final = {entry.name: entry for entry in ENTRIES}


def find(name: str) -> Entry | None:
    """The entry of a field, by its own name or that of its family."""
    exact = BY_NAME.get(name)
    return exact or BY_NAME.get(f"{name.rpartition('.')[0]}.{_ANY_NAME}")


def key_of(name: str, within_days: int | None = None) -> str:
    """The name under which a context holds the value of a field, over a window where there is one."""
    return name if within_days is None else f"{name}/{within_days}"


def named(key: str) -> tuple[str, int | None]:
    """What `key_of` put together."""
    name, _, days = key.partition("/")
    return name, int(days) if days else None
