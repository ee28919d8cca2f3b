"""What is told of a change: one event each for the spine, one notice each for the member."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from loyalty.events import Event, TierLowered, TierLoweringAnnounced, TierRaised, TierRetained
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from loyalty.spine import service as spine
from loyalty.tiers.advancing import Course
from loyalty.tiers.states import Change, Foretold, Kind

NOTICE_KEEPS: Final = timedelta(days=2)
_NOTICES: Final[Mapping[Kind, str]] = {
    Kind.RAISED: "tier_raised",
    Kind.LOWERED: "tier_lowered",
    Kind.RETAINED: "tier_retained",
}


@dataclass(frozen=True, slots=True)
class Written:
    """A change with the interval that it began."""

    course: Course
    change: Change
    interval_id: int


async def tell(written: Sequence[Written], courses: Iterable[Course], *, now: datetime) -> None:
    """Record and announce `written` and the warnings of `courses`."""
    warned = [(course, course.warning) for course in courses if course.warning is not None]
    events: list[Event] = [event for one in written for event in _events(one)]
    events += [_foreseen(course, warning, now) for course, warning in warned]
    await spine.record(*events, now=now)
    notices = [_of_change(one, now) for one in written if one.course.stood.case.ladder.shown and _is_told(one.change)]
    notices += [_of_warning(course, warning, now) for course, warning in warned if course.stood.case.ladder.shown]
    await outbox.queue(*notices, now=now)


def _is_told(change: Change) -> bool:
    """What a merge undone gives back is nothing to congratulate on."""
    return change.kind in _NOTICES and change.reason != "unmerge"


def _events(one: Written) -> Iterable[Event]:
    change, member_id, ladder = one.change, one.course.stood.member_id, one.course.stood.case.published.code
    match change.kind:
        case Kind.RAISED:
            yield TierRaised(
                member_id=member_id, at=change.at, ladder=ladder, old=change.old, new=change.new, reason=change.reason
            )
        case Kind.LOWERED:
            yield TierLowered(
                member_id=member_id, at=change.at, ladder=ladder, old=change.old, new=change.new, reason=change.reason
            )
        case Kind.RETAINED:
            yield TierRetained(member_id=member_id, at=change.at, ladder=ladder, tier=change.new)
        case Kind.KEPT:
            return


def _foreseen(course: Course, warning: Foretold, now: datetime) -> Event:
    return TierLoweringAnnounced(
        member_id=course.stood.member_id,
        at=now,
        ladder=course.stood.case.published.code,
        tier=course.state.position.tier,
        ends_at=warning.ends_at,
        days=warning.days,
        missing=warning.missing,
    )


def _of_change(one: Written, now: datetime) -> Notice:
    ends_at = _until(one.course, one.change)
    return _notice(
        one.course,
        _NOTICES[one.change.kind],
        str(one.interval_id),
        {
            "old": one.change.old,
            "new": one.change.new,
            "growth": one.change.evidence.get("count"),
            "reason": one.change.reason,
            "until": None if ends_at is None else ends_at.isoformat(),
        },
        now,
        bulk=one.change.kind is not Kind.RAISED,
    )


def _until(course: Course, change: Change) -> datetime | None:
    """When what the change gave ends."""
    pin = course.state.pin
    return pin.until if pin is not None and change.reason == "override" else course.state.position.ends_at


def _of_warning(course: Course, warning: Foretold, now: datetime) -> Notice:
    return _notice(
        course,
        "tier_will_lower",
        f"{warning.ends_at.isoformat()}:{course.state.told}",
        {
            "tier": course.state.position.tier,
            "days": warning.days,
            "missing": warning.missing,
            "until": warning.ends_at.isoformat(),
        },
        now,
        bulk=True,
    )


def _notice(course: Course, notice: str, what: str, params: Mapping[str, Any], now: datetime, *, bulk: bool) -> Notice:
    ladder = course.stood.case.published.code
    return Notice(
        key=f"{notice}:{course.stood.member_id}:{ladder}:{what}",
        notice=notice,
        send_class="service_notice",
        purpose=outbox.TRANSACTION,
        member_id=course.stood.member_id,
        params={"ladder": ladder, **params},
        due_at=now,
        give_up_at=now + NOTICE_KEEPS,
        bulk=bulk,
    )
