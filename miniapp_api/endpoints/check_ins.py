"""Daily check-in (签到)."""

from dataclasses import dataclass
from datetime import date

from loyalty.access import Action
from loyalty.check_ins import service as check_ins
from loyalty.check_ins.service import AlreadyCheckedIn
from miniapp_api.audience import Audience
from miniapp_api.endpoint import (
    AnyEndpoint,
    Call,
    Endpoint,
    NoBody,
    NoQuery,
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
