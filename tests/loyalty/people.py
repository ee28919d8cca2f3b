"""People for tests: met on a channel the way the product meets them."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

from loyalty import db
from loyalty.identity import service as identity
from loyalty.identity.service import Contact, Person
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant
from loyalty.members import service as members
from loyalty.members.service import VerifiedPhone

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)
_serial = count(1)

T = TypeVar("T")


def contact(
    external_id: str = "", *, channel: str = "wechat_oa", app_id: str = "wxoa", union_id: str | None = None
) -> Contact:
    """Somebody nobody has met, unless named."""
    name = external_id or f"o{next(_serial)}"
    return Contact(channel=channel, account="main", app_id=app_id, external_id=name, union_id=union_id)


async def meet(who: Contact | None = None, *, now: datetime = NOW) -> Person:
    """The person after their first message."""
    async with db.unit_of_work():
        return await identity.resolve(who or contact(), now=now)


async def guest(*, now: datetime = NOW) -> int:
    """The id of a new guest."""
    return (await meet(now=now)).member_id


async def registered(phone: str | None = None, *, name: str | None = None, now: datetime = NOW) -> int:
    """The id of a new registered member."""
    member_id = await guest(now=now)
    proven = VerifiedPhone(phone, "sms") if phone else None
    async with db.unit_of_work():
        await members.register(member_id, phone=proven, name=name, channel="wechat_oa", now=now)
    return member_id


async def give_points(member_id: int, amount: int, *, expires_at: datetime | None = None, now: datetime = NOW) -> None:
    """A lot of points."""
    lot = Grant(
        member_id=member_id,
        asset=Asset.POINTS,
        amount=amount,
        key=f"test:{next(_serial)}",
        kind="test",
        occurred_at=now,
        expires_at=expires_at,
    )
    async with db.unit_of_work():
        await ledger.post_one(lot, now=now)


async def at_once(*tries: Coroutine[Any, Any, T]) -> list[T | BaseException]:
    """What became of each of several requests made at the same moment, refusals among the results.

    Each opens its own unit of work, so each has its own connection.
    """
    return list(await asyncio.gather(*tries, return_exceptions=True))
