"""What the member answered when the mini-program asked to send subscribe messages (订阅消息)."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from loyalty.access import Action
from loyalty.reach import service as reach
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary

TemplateId = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[A-Za-z0-9_-]+$")]
Choice = Literal["accept", "reject", "ban", "filter"]


class Choices(Body):
    """The answers of `wx.requestSubscribeMessage`, by template id."""

    choices: Annotated[
        dict[TemplateId, Literal["accept", "reject", "ban", "filter"]], Field(min_length=1, max_length=5)
    ]


@dataclass(frozen=True, slots=True)
class Noted:
    """How many answers were noted."""

    count: int


async def note_choices(call: Call[Choices, NoQuery]) -> Noted:
    """Note what the client says the member answered. It is no proof: the platform has the last word when we send."""
    identity_id = call.caller.identity_id if call.caller is not None else None
    if identity_id is None:
        return Noted(count=0)
    await reach.record_choices(identity_id, dict(call.body.choices), now=call.now)
    return Noted(count=len(call.body.choices))


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/me/subscriptions",
        run=note_choices,
        audience=Audience.MEMBER,
        action=Action.SELF_WRITE,
        body=Choices,
        result=Noted,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        summary=Summary("上报订阅消息的选择", "Report the answers to a subscribe popup"),
    ),
)
