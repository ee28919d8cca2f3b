"""Wait for an hour of the business day on which the run began; an hour that is over does not wait."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from loyalty import clock
from loyalty.journeys.moves import Moment, Move, Run
from loyalty.program.terms import Terms


@dataclass(frozen=True, slots=True)
class WaitUntilHour:
    """`hour` reads the local hour from the terms, so that changing it needs no new journey."""

    hour: Callable[[Terms], int]

    def decide(self, run: Run, moment: Moment) -> Move:
        """Stay until the hour has come."""
        zone = moment.terms.calendar
        day = clock.business_day(run.started_at, zone)
        until = clock.start_of(day, zone).astimezone(zone).replace(hour=self.hour(moment.terms))
        return Move(wait_until=_existing(until)) if moment.now < until else Move()


def _existing(local: datetime) -> datetime:
    """The instant; in a gap of the clock change it is the first one after it."""
    return local if local.astimezone(local.tzinfo) == local else local + timedelta(hours=1)
