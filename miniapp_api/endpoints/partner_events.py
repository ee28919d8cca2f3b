"""Events of members that partner systems report, and what they earn."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field, StrictBool, StrictInt

from loyalty.access import Action
from loyalty.counter import service as counter
from loyalty.earning.rules import Evaluation
from loyalty.member_events import service as member_events
from loyalty.member_events.service import EventKeyReused, EventTooEarly, NewEvent
from loyalty.members.service import MemberGone
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.counter import ExternalId
from miniapp_api.endpoints.earning_rules import Judgement, judged

Value = StrictBool | Annotated[StrictInt, Field(ge=-(10**15), le=10**15)] | Annotated[str, Field(max_length=200)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class EventReport(Body):
    """Something that a member did elsewhere; `dry_run` only says what it would earn."""

    external_id: ExternalId
    member: UUID
    name: Name
    occurred_at: AwareDatetime
    data: Annotated[dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")], Value], Field(max_length=30)] = Field(
        default_factory=dict
    )
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """The event and what it earned; `replayed` when this number was reported before."""

    external_id: str
    points: int
    growth: int
    earned: Judgement
    replayed: bool
    dry_run: bool


async def partner_event(call: Call[EventReport, NoQuery]) -> RecordedEvent:
    """Record an event and give what it earns."""
    report, partner = call.body, call.partner
    card = await counter.recall(report.member, server=partner, action=Action.EVENT_REPORT, now=call.now)
    new = NewEvent(
        source=f"partner:{partner.partner_id}",
        external_id=report.external_id,
        member_id=card.id,
        name=report.name,
        occurred_at=report.occurred_at,
        data=report.data,
    )
    if report.dry_run:
        return _recorded(report, await member_events.preview(new, principal=partner, now=call.now), replayed=False)
    done = await member_events.report(new, principal=partner, now=call.now)
    return _recorded(report, done.evaluation, replayed=done.replayed)


def _recorded(report: EventReport, found: Evaluation, *, replayed: bool) -> RecordedEvent:
    return RecordedEvent(
        external_id=report.external_id,
        points=found.total("points"),
        growth=found.total("growth"),
        earned=judged(found),
        replayed=replayed,
        dry_run=report.dry_run,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/partner/events",
        run=partner_event,
        audience=Audience.PARTNER,
        action=Action.EVENT_REPORT,
        body=EventReport,
        result=RecordedEvent,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(MemberGone, EventTooEarly, EventKeyReused),
        summary=Summary("上报会员事件（评价、到课、签收……）", "Report an event of a member"),
    ),
)
