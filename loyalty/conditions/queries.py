"""Asking the database: what a condition needs to know of members, and whom a condition means."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from loyalty import db
from loyalty.conditions.checks import check
from loyalty.conditions.everyone import Arguments, Everyone
from loyalty.conditions.nodes import Node
from loyalty.conditions.rules import Setting, Value, Values
from loyalty.conditions.vocabulary import MEMBER, named

PAGE_MAX: Final = 1000

Moment = tuple[int, datetime]


async def values_of(moments: Sequence[Moment], keys: Collection[str], setting: Setting) -> Mapping[Moment, Values]:
    """What each member was like at each instant, as far as `keys` ask for it; one statement, none without keys.

    Raises:
        FieldNotHere: a key is no field of members.
    """
    if not keys or not moments:
        return {moment: {} for moment in moments}
    writer = Everyone(setting, Arguments())
    wanted = sorted(keys)
    members = writer.arguments.add([member_id for member_id, _ in moments], "::bigint[]")
    instants = writer.arguments.add([at for _, at in moments], "::timestamptz[]")
    columns = ", ".join(f"{writer.value(*named(key))} AS c{place}" for place, key in enumerate(wanted))
    rows = await db.fetch(
        f"SELECT asked.member_id, asked.at, {columns} FROM unnest({members}, {instants}) AS asked(member_id, at)"
        " JOIN member m ON m.id = asked.member_id",
        *writer.arguments.values,
    )
    return {
        (row["member_id"], row["at"]): {key: _value(row[f"c{place}"]) for place, key in enumerate(wanted)}
        for row in rows
    }


def _value(value: Any) -> Value:
    return frozenset(value) if isinstance(value, list) else value


async def matching(
    condition: Node, setting: Setting, *, at: datetime, after_id: int = 0, limit: int = PAGE_MAX
) -> list[int]:
    """The members whom the condition means at `at`, by id; page on with the last one.

    Raises:
        FieldNotHere: the condition speaks of something that a member alone does not have.
    """
    check(condition, scopes={MEMBER})
    writer = Everyone(setting, Arguments())
    moment, after = writer.arguments.add(at, "::timestamptz"), writer.arguments.add(after_id, "::bigint")
    size = writer.arguments.add(limit, "::bigint")
    rows = await db.fetch(
        f"SELECT m.id FROM member m CROSS JOIN (SELECT {moment} AS at) AS asked"
        f" WHERE m.id > {after} AND m.status NOT IN ('closed', 'merged') AND {writer.where(condition)}"
        f" ORDER BY m.id LIMIT {size}",
        *writer.arguments.values,
    )
    return [row["id"] for row in rows]


async def count(condition: Node, setting: Setting, *, at: datetime) -> int:
    """How many members the condition means at `at`.

    Raises:
        FieldNotHere: as `matching`.
    """
    check(condition, scopes={MEMBER})
    writer = Everyone(setting, Arguments())
    moment = writer.arguments.add(at, "::timestamptz")
    number: int = await db.fetch_value(
        f"SELECT count(*) FROM member m CROSS JOIN (SELECT {moment} AS at) AS asked"
        f" WHERE m.status NOT IN ('closed', 'merged') AND {writer.where(condition)}",
        *writer.arguments.values,
    )
    return number
