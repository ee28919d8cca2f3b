"""Interaction windows: after which act of a person how many free-form messages are allowed for how long.

Source: the platforms' pages on customer-service messages (公众号 since June 2023: a message opens 5 messages
for 48 hours; menu click, follow and QR scan open 3 for one minute; a mini-program session 2 for one
minute). Numbers change without notice; the platform's refusal (45015, 45047) corrects ours at run time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from loyalty.program.terms import QuietHours


class Act(StrEnum):
    """What a person did that lets us answer freely."""

    MESSAGE = "message"
    ACTION = "action"
    ENTER = "enter"


@dataclass(frozen=True, slots=True)
class Opening:
    """`count` messages within `lasts`."""

    count: int
    lasts: timedelta


OPENINGS: Final[Mapping[tuple[str, Act], Opening]] = {
    ("wechat_oa", Act.MESSAGE): Opening(5, timedelta(hours=48)),
    ("wechat_oa", Act.ACTION): Opening(3, timedelta(minutes=1)),
    ("wechat_mini", Act.MESSAGE): Opening(5, timedelta(hours=48)),
    ("wechat_mini", Act.ENTER): Opening(2, timedelta(minutes=1)),
}


def quiet_until(at: datetime, quiet: QuietHours, zone: ZoneInfo) -> datetime | None:
    """The end of the quiet hours that `at` falls into, in the programme's zone; None outside of them."""
    local = at.astimezone(zone)
    start, end = quiet.start_hour, quiet.end_hour
    if start == end:
        return None
    is_quiet = start <= local.hour < end if start < end else local.hour >= start or local.hour < end
    if not is_quiet:
        return None
    ends_on = local.date() + timedelta(days=1 if start > end and local.hour >= start else 0)
    return datetime(ends_on.year, ends_on.month, ends_on.day, end, tzinfo=zone)
