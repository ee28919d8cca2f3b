"""Reading check-ins."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from loyalty import db
from loyalty.clock import business_day
from loyalty.program import queries as program


@dataclass(frozen=True, slots=True)
class Day:
    """A day on which the member checked in; `points` includes the bonus."""

    day: date
    streak: int
    points: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """Check-ins, newest first. `streak` is the one that still runs: it ends with a day that is missed."""

    today: date
    streak: int
    done_today: bool
    days: tuple[Day, ...]


async def calendar(member_id: int, *, at: datetime, days: int = 31) -> Calendar:
    """The member's check-ins of the last `days` business days, today included."""
    today = business_day(at, (await program.in_force(at)).terms.calendar)
    rows = await db.fetch(
        "SELECT day, streak, points FROM check_in WHERE member_id = $1 AND day > $2 AND day <= $3 ORDER BY day DESC",
        member_id,
        today - timedelta(days=days),
        today,
    )
    shown = tuple(Day(row["day"], row["streak"], row["points"]) for row in rows)
    runs = bool(shown) and shown[0].day >= today - timedelta(days=1)
    return Calendar(
        today=today,
        streak=shown[0].streak if runs else 0,
        done_today=bool(shown) and shown[0].day == today,
        days=shown,
    )
