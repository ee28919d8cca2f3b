"""Recording what other systems tell of members, each once, and giving what it earns in the same unit of work."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal, Resource
from loyalty.conditions.rules import Value
from loyalty.earning import service as earning
from loyalty.earning.documents import EVENT_PREFIX
from loyalty.earning.facts import Fact
from loyalty.earning.rules import Evaluation
from loyalty.earning.service import Earned
from loyalty.errors import Conflict, Invalid
from loyalty.events import MemberEventReported
from loyalty.spine import service as spine

# Other systems have clocks of their own; further ahead is a wrong date and not a wrong clock.
CLOCK_SKEW_MAX: Final = timedelta(minutes=5)

_INSERT: Final = """
INSERT INTO member_event (member_id, source, external_id, name, data, occurred_at, recorded_at)
VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7) ON CONFLICT (source, external_id) DO NOTHING RETURNING id
"""
_KNOWN: Final = """
SELECT id, member_id, name, data, occurred_at FROM member_event WHERE source = $1 AND external_id = $2
"""


class EventTooEarly(Invalid):
    """An event happens before it is told of."""

    code = "member_events.too_early"


class EventKeyReused(Conflict):
    """The source reported this number before, for another event."""

    code = "member_events.key_reused"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """Something that a member did; `data` is flat, and conditions know it as ``event.data.<name>``."""

    source: str
    external_id: str
    member_id: int
    name: str
    occurred_at: datetime
    data: Mapping[str, bool | int | str]


def fact_of(new: NewEvent) -> Fact:
    """The event as earning rules see it."""
    values: dict[str, Value] = {f"event.data.{key}": value for key, value in new.data.items()}
    return Fact(
        trigger=f"{EVENT_PREFIX}{new.name}",
        key=f"event:{new.source}:{new.external_id}",
        member_id=new.member_id,
        occurred_at=new.occurred_at,
        values={**values, "event.name": new.name},
        kind="event",
        reason={"event": new.name},
    )


async def preview(new: NewEvent, *, principal: Principal, now: datetime) -> Evaluation:
    """What the event would earn; nothing is written.

    Raises:
        EventTooEarly, Forbidden
    """
    _check(new, principal, now)
    return (await earning.preview([fact_of(new)], now=now))[0]


async def report(new: NewEvent, *, principal: Principal, now: datetime) -> Earned:
    """Record an event, once, and give what it earns by the rules in force when it happened.

    Raises:
        EventTooEarly, EventKeyReused, Forbidden
    """
    _check(new, principal, now)
    data = orjson.dumps(dict(new.data)).decode()
    made = await db.fetch_value(
        _INSERT, new.member_id, new.source, new.external_id, new.name, data, new.occurred_at, now
    )
    if made is None:
        await _refuse_another(new)
    else:
        event = MemberEventReported(member_id=new.member_id, at=new.occurred_at, event=new.name, event_id=made)
        await spine.record(event, now=now)
    return (await earning.award_and_tell([fact_of(new)], now=now))[0]


def _check(new: NewEvent, principal: Principal, now: datetime) -> None:
    access.authorize(principal, Action.EVENT_REPORT, Resource(member_id=new.member_id))
    if new.occurred_at > now + CLOCK_SKEW_MAX:
        raise EventTooEarly


async def _refuse_another(new: NewEvent) -> None:
    row = await db.fetch_one(_KNOWN, new.source, new.external_id)
    told = (new.member_id, new.name, dict(new.data), new.occurred_at)
    if row is None or (row["member_id"], row["name"], orjson.loads(row["data"]), row["occurred_at"]) != told:
        raise EventKeyReused(external_id=new.external_id)
