"""Reminders of points and coupons that end soon: once per member, day of ending and distance to it.

A round goes over the members of a business day in batches and remembers how far it came, so a worker that
dies costs nothing and two workers share no batch. Which members are told is decided here; whether and by
which way, and what is left to end, when the message is sent.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from loyalty import clock, db, failpoints
from loyalty.coupons import queries as coupons
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from loyalty.program import queries as program
from loyalty.program.terms import Terms
from loyalty.rounds import service as rounds
from scheduler.duty import Hands

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Window:
    """What ends in (after, until], which is `days` business days ahead of `today`."""

    today: date
    days: int
    after: datetime
    until: datetime

    def named(self, notice: str) -> str:
        """The round's name; the distance is part of it."""
        return f"{notice}:{self.days}"


@dataclass(frozen=True, slots=True)
class Found:
    """A member to remind, with what the notice needs."""

    member_id: int
    params: dict[str, Any]


Look = Callable[[Window, int], Awaitable[Sequence[Found]]]


async def points(_hands: Hands) -> bool:
    """One batch of members whose points end soon."""
    now = await db.now()
    terms = (await program.in_force(now)).terms
    return await _remind("points_expiring", _ending_points, terms.reminders.points_days, terms, now)


async def coupon(_hands: Hands) -> bool:
    """One batch of members whose coupons end soon."""
    now = await db.now()
    terms = (await program.in_force(now)).terms
    return await _remind("coupon_expiring", _ending_coupons, terms.reminders.coupon_days, terms, now)


async def _remind(notice: str, look: Look, distances: Sequence[int], terms: Terms, now: datetime) -> bool:
    more = False
    for days in distances:
        more |= await _visit(notice, look, window_of(days, terms, now), now)
    return more


def window_of(days: int, terms: Terms, now: datetime) -> Window:
    """What ends at the close of the business day that is `days` ahead."""
    zone = terms.calendar
    today = clock.business_day(now, zone)
    last_day = today + timedelta(days=days)
    # A lot that ends with a day carries the first instant of the next one.
    return Window(today, days, clock.start_of(last_day, zone), clock.start_of(last_day + timedelta(days=1), zone))


async def _visit(notice: str, look: Look, window: Window, now: datetime) -> bool:
    name = window.named(notice)
    async with db.unit_of_work():
        after = await rounds.take(name, window.today)
        if after is None:
            return False
        found = await look(window, after)
        await outbox.queue(*(_notice(notice, one, window, now) for one in found), now=now)
        if len(found) < BATCH:
            await rounds.finish(name, window.today, now=now)
        else:
            await rounds.came_to(name, window.today, found[-1].member_id)
        await failpoints.reach("sweep.batch")
    return len(found) == BATCH


def _notice(notice: str, found: Found, window: Window, now: datetime) -> Notice:
    return Notice(
        key=f"{notice}:{found.member_id}:{window.today.isoformat()}:{window.days}",
        notice=notice,
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=found.member_id,
        params={**found.params, "days": window.days, "until": window.until.isoformat()},
        due_at=now,
        give_up_at=min(window.until, now + timedelta(days=1)),
        bulk=True,
    )


async def _ending_points(window: Window, after: int) -> list[Found]:
    ending = await ledger.ending(Asset.POINTS, after=window.after, until=window.until, after_member=after, limit=BATCH)
    return [Found(one.member_id, {}) for one in ending]


async def _ending_coupons(window: Window, after: int) -> list[Found]:
    ending = await coupons.ending(after=window.after, until=window.until, after_member=after, limit=BATCH)
    return [Found(one.member_id, {"coupon_ids": list(one.coupon_ids)}) for one in ending]
