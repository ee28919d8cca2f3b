"""When units of an inactivity programme end that come back after their lot had been used up. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from loyalty.expiry import idle_end
from loyalty.ledger.lots import Lot


@dataclass(frozen=True, slots=True)
class Done:
    """Something the member did, by the names under which a rule may count it."""

    names: tuple[str, ...]
    occurred_at: datetime
    booked_at: datetime


def renewed_end(lot: Lot, done: Iterable[Done]) -> datetime | None:
    """The end of `lot` had its units been there all the time: each activity that counts moves it, until one comes
    too late."""
    ends = lot.expires_at
    if lot.idle is None or ends is None:
        return ends
    for activity in done:
        if ends > activity.booked_at and lot.idle.activities.intersection(activity.names):
            ends = max(ends, idle_end(activity.occurred_at, months=lot.idle.months, zone=ZoneInfo(lot.idle.zone)))
    return ends
