"""A programme with one ladder and a clock for tests: facts at their instants, sweeps when time passes."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from loyalty import db
from loyalty.ladders.rules import MAIN, Ladder, Measure, Metric, Step
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation, Spend
from loyalty.members import service as members
from loyalty.tiers import queries
from loyalty.tiers import service as tiers
from loyalty.tiers.queries import Standing
from tests.loyalty.people import guest

SHANGHAI = ZoneInfo("Asia/Shanghai")
SWEEP = timedelta(hours=2)
_serial = count(1)


def on(day: str, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of the programme's calendar."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), SHANGHAI).replace(hour=hour, minute=minute)


def steps(*given: tuple[str, int] | tuple[str, int, int], **more: Any) -> tuple[Step, ...]:
    """Steps above a lowest one, each (code, reach_from[, keep_from])."""
    risen = [Step(code=one[0], names={}, reach_from=one[1], keep_from=(*one, None)[2], **more) for one in given]
    return (Step(code="basic", names={}, reach_from=0), *risen)


def ladder(*given: tuple[str, int] | tuple[str, int, int], **more: Any) -> Ladder:
    """A main ladder of these steps."""
    return Ladder(steps=steps(*given), **more)


def rolling(metric: Metric = Metric.GROWTH, **window: Any) -> Measure:
    """A measure over a window given as a document."""
    return Measure.model_validate({"metric": metric, "window": window})


async def member(joined: datetime) -> int:
    """Somebody who registered at `joined`."""
    member_id = await guest(now=joined)
    async with db.unit_of_work():
        await members.register(member_id, phone=None, channel="wechat_oa", now=joined)
    return member_id


async def book(*operations: Operation, now: datetime) -> None:
    """Book and judge, as a fact does."""
    async with db.unit_of_work():
        outcomes = await ledger.post(operations, now=now)
        await tiers.review_posted(zip(operations, outcomes, strict=True), now=now)


async def grow(member_id: int, amount: int, at: datetime, *, booked_at: datetime | None = None) -> None:
    """Growth value for something that happened at `at`."""
    await book(_grant(member_id, Asset.GROWTH, amount, at), now=booked_at or at)


async def earn(member_id: int, amount: int, at: datetime) -> None:
    """Points for something that happened at `at`."""
    await book(_grant(member_id, Asset.POINTS, amount, at), now=at)


async def spend(member_id: int, amount: int, at: datetime) -> None:
    """Points used at `at`."""
    key = f"scene:{next(_serial)}"
    spent = Spend(member_id=member_id, asset=Asset.POINTS, amount=amount, key=key, kind="test", occurred_at=at)
    await book(spent, now=at)


def _grant(member_id: int, asset: Asset, amount: int, at: datetime) -> Grant:
    key = f"scene:{next(_serial)}"
    return Grant(member_id=member_id, asset=asset, amount=amount, key=key, kind="test", occurred_at=at, effective_at=at)


async def sweep(now: datetime) -> int:
    """What the worker does at `now`."""
    async with db.unit_of_work():
        return await tiers.settle_due(now=now, batch_max=500)


async def stands(member_id: int, at: datetime, code: str = MAIN) -> Standing:
    """Where the member stands at `at`."""
    return await queries.standing(member_id, at=at, ladder=code)


async def tier(member_id: int, at: datetime, code: str = MAIN) -> str:
    """The tier that the member holds at `at`."""
    return (await stands(member_id, at, code)).tier.code


async def course(member_id: int, code: str = MAIN) -> list[tuple[str, str, datetime]]:
    """Tier, reason and beginning of every interval, oldest first; each one ends where the next begins."""
    held = list(reversed(await queries.history(member_id, ladder=code)))
    assert [one.ends_at for one in held[:-1]] == [one.starts_at for one in held[1:]]
    assert not held or held[-1].ends_at is None
    return [(one.tier, one.reason, one.starts_at) for one in held]


async def notices(member_id: int) -> Sequence[str]:
    """What the member is told, in order."""
    rows = await db.fetch("SELECT notice FROM outbox WHERE member_id = $1 ORDER BY id", member_id)
    return [row["notice"] for row in rows]


async def events(member_id: int) -> Sequence[str]:
    """The facts about the member's tiers, in order."""
    rows = await db.fetch("SELECT name FROM event WHERE member_id = $1 AND name LIKE 'tier.%' ORDER BY id", member_id)
    return [row["name"] for row in rows]
