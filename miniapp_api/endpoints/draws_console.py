"""Draws as their makers see them: drafted, published, withdrawn before they start."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field

from loyalty.access import Action
from loyalty.draws import asking, publishing, queries
from loyalty.draws.publishing import DrawChanged, DrawFrozen, DrawTooLate, DrawUnknown, PrizeOverCap, PrizeUnknown
from loyalty.draws.queries import DrawView
from loyalty.draws.rules import NewDraw
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoBody, NoQuery, Rate, Repeat, Summary


@dataclass(frozen=True, slots=True)
class WrittenDraw:
    """A draw as its makers see it; publishing names the rules that were read. `approval` is the request that publishing
    waits for."""

    code: str
    status: str
    rules_sha256: str
    created_by: str
    created_at: datetime
    published_at: datetime | None
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenDraws:
    """All draws, newest first."""

    items: tuple[WrittenDraw, ...]


class DrawDocument(NewDraw, Body):
    """The draw: prizes with weights, worth and stock, chances, organiser and claim rules."""


class Publishing(Body):
    """Which draft is meant."""

    rules_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


async def list_written_draws(call: Call[NoBody, NoQuery]) -> WrittenDraws:
    """Every draw, whatever its state."""
    return WrittenDraws(items=tuple(_written(draw) for draw in await queries.every()))


async def draft_draw(call: Call[DrawDocument, NoQuery]) -> WrittenDraw:
    """Write a draft; the answer's `rules_sha256` is what `publish` names."""
    return _written(await publishing.draft(call.body, principal=call.staff, now=call.now))


async def publish_draw(call: Call[Publishing, NoQuery]) -> WrittenDraw:
    """Freeze a draft and open it to members, or ask another person where it gives much: then it stays a draft."""
    code, fingerprint = call.path["draw"], call.body.rules_sha256
    done, approval = await asking.publish(code, fingerprint, principal=call.staff, now=call.now)
    return _written(done, approval)


async def withdraw_draw(call: Call[NoBody, NoQuery]) -> WrittenDraw:
    """Take back a draw that has not begun."""
    return _written(await publishing.withdraw(call.path["draw"], principal=call.staff, now=call.now))


def _written(found: DrawView, approval: str | None = None) -> WrittenDraw:
    return WrittenDraw(
        found.code, found.status, found.fingerprint, found.created_by, found.created_at, found.published_at, approval
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/console/draws",
        run=list_written_draws,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        result=WrittenDraws,
        summary=Summary("全部抽奖", "All draws"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/draws",
        run=draft_draw,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=DrawDocument,
        result=WrittenDraw,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(DrawFrozen, PrizeOverCap, PrizeUnknown),
        summary=Summary("写抽奖草稿", "Write a draft of a draw"),
    ),
    Endpoint(
        method="POST",
        path="/v1/console/draws/{draw}/publication",
        run=publish_draw,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        body=Publishing,
        result=WrittenDraw,
        status=201,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(DrawUnknown, DrawFrozen, DrawChanged, DrawTooLate),
        summary=Summary("发布抽奖，规则从此冻结", "Publish a draw; its rules are frozen from then on"),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/console/draws/{draw}",
        run=withdraw_draw,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_EDIT,
        result=WrittenDraw,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(DrawUnknown, DrawFrozen),
        summary=Summary("开始前撤回抽奖", "Withdraw a draw before it starts"),
    ),
)
