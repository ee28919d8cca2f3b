"""Who is told of which fact. A subscriber gets a set of events and writes rows; it never calls a network."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from loyalty.approvals import queries as approvals
from loyalty.journeys import service as journeys
from loyalty.outbox import service as outbox
from loyalty.outbox.service import Notice
from loyalty.spine.relaying import Recorded
from loyalty.staff import queries as staff
from loyalty.tiers import ending
from loyalty.tiers import service as tiers
from loyalty.tiers.ending import Lowered
from scheduler import earning

Subscriber = Callable[[Sequence[Recorded], datetime], Awaitable[None]]

TELL_WITHIN: Final = timedelta(days=3)
ANSWER_WITHIN: Final = timedelta(days=1)


async def review_tiers(events: Sequence[Recorded], now: datetime) -> None:
    """Growth value came together or changed: whoever reaches a higher step rises, and is told."""
    await tiers.review([event.member_id for event in events if event.member_id is not None], now=now)


async def tell_of_merge(events: Sequence[Recorded], now: datetime) -> None:
    """Accounts that a platform showed to be one person's were joined; a link code has its own notice."""
    notices = [
        Notice(
            key=f"member_merged:{event.id}",
            notice="member_merged",
            send_class="service_notice",
            purpose=outbox.TRANSACTION,
            member_id=event.member_id,
            due_at=now,
            give_up_at=event.at + TELL_WITHIN,
        )
        for event in events
        if event.data["reason"] != "link_code"
    ]
    await outbox.queue(*notices, now=now)


async def ask_deciders(events: Sequence[Recorded], now: datetime) -> None:
    """A request of value waits: whoever may decide gets a card."""
    notices: list[Notice] = []
    for event in events:
        asked = await approvals.find(event.data["approval_id"])
        if asked is None or asked.status != "pending":
            continue
        notices += [
            Notice(
                key=f"approval_requested:{asked.public_id}:{decider.id}",
                notice="approval_requested",
                send_class="staff",
                purpose=outbox.TRANSACTION,
                staff_id=decider.id,
                params={"approval_id": asked.public_id},
                due_at=now,
                give_up_at=asked.expires_at,
            )
            for decider in await staff.deciders(asked.store_id, but=asked.requested_by)
        ]
    await outbox.queue(*notices, now=now)


async def tell_asker(events: Sequence[Recorded], now: datetime) -> None:
    """A request was decided: who asked learns the answer."""
    notices = [
        Notice(
            key=f"approval_decided:{event.data['approval_id']}",
            notice="approval_decided",
            send_class="staff",
            purpose=outbox.TRANSACTION,
            staff_id=event.data["requested_by"],
            params={"approval_id": event.data["approval_id"]},
            due_at=now,
            give_up_at=event.at + ANSWER_WITHIN,
        )
        for event in events
    ]
    await outbox.queue(*notices, now=now)


async def enrol_birthdays(events: Sequence[Recorded], now: datetime) -> None:
    """Somebody who registers on their birthday is not forgotten until next year."""
    await journeys.enrol_birthdays(now=now, member_ids=[event.member_id for event in events if event.member_id])


async def end_points_of_tiers(events: Sequence[Recorded], now: datetime) -> None:
    """A review lowered members: kinds of points that end with a tier are over."""
    lowered = [
        Lowered(event.id, event.member_id, event.data["ladder"], event.data["old"], event.at)
        for event in events
        if event.member_id is not None and event.data["reason"] == "review"
    ]
    await ending.end_points(lowered, now=now)


SUBSCRIBERS: Final[Mapping[str, tuple[Subscriber, ...]]] = {
    "member.profile_completed": (earning.of_profile,),
    "member.registered": (
        earning.of_registration,
        enrol_birthdays,
    ),
    "member.merged": (review_tiers, tell_of_merge),
    "approval.requested": (ask_deciders,),
    "approval.decided": (tell_asker,),
    "tier.lowered": (end_points_of_tiers,),
}
"""The literal table; `loyalty.events.SUBSCRIBED` holds the same names."""
