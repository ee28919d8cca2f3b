"""Daily check-in (签到)."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from pydantic import Field

from loyalty.access import Action
from loyalty.check_ins import queries as check_ins_read
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import AlreadyCheckedIn
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
    Query,
    Rate,
    Repeat,
    Summary,
)


@dataclass(frozen=True, slots=True)
class CheckedIn:
    """A check-in that counted; `points` includes `bonus`."""

    day: date
    streak: int
    points: int
    bonus: int
    balance: int
    next_bonus_days: int | None
    next_bonus_points: int | None


@dataclass(frozen=True, slots=True)
class CheckInDay:
    """A day on which the member checked in."""

    day: date
    streak: int
    points: int


@dataclass(frozen=True, slots=True)
class CheckInCalendar:
    """The last days, newest first; `streak` is the one that still runs."""

    today: date
    streak: int
    done_today: bool
    days: tuple[CheckInDay, ...]


class CalendarQuery(Query):
    """How far back."""

    days: Annotated[int, Field(ge=1, le=366)] = 31


async def read_check_ins(call: Call[NoBody, CalendarQuery]) -> CheckInCalendar:
    """The member's check-ins."""
    seen = await check_ins_read.calendar(call.member_id, at=call.now, days=call.query.days)
    return CheckInCalendar(
        today=seen.today,
        streak=seen.streak,
        done_today=seen.done_today,
        days=tuple(CheckInDay(day.day, day.streak, day.points) for day in seen.days),
    )


async def check_in(call: Call[NoBody, NoQuery]) -> CheckedIn:
    """Check in for the programme's business day."""
    done = await check_ins.check_in(call.member_id, now=call.now)
    return CheckedIn(
        day=done.day,
        streak=done.streak,
        points=done.points,
        bonus=done.bonus,
        balance=done.balance,
        next_bonus_days=done.next_bonus_days,
        next_bonus_points=done.next_bonus_points,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/check-ins",
        run=read_check_ins,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=CalendarQuery,
        result=CheckInCalendar,
        summary=Summary("签到日历与连续天数", "Check-in calendar and streak"),
    ),
    Endpoint(
        method="POST",
        path="/v1/me/check-ins",
        run=check_in,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        result=CheckedIn,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(AlreadyCheckedIn,),
        summary=Summary("签到，得积分", "Check in for today and earn points"),
    ),
)
