"""What an earning rule would have given over a past period, chunk by chunk; nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from loyalty.access import Action
from loyalty.earning import replaying
from loyalty.earning.documents import Rule
from loyalty.earning.replaying import PeriodEmpty, Span, Tally
from loyalty.program import queries as program
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Body, Call, Endpoint, NoQuery, Rate, Repeat, Summary
from miniapp_api.endpoints.earning_rules import UNWORKABLE
from miniapp_api.public_ids import Kind, PublicId, public_id, row_id

_FEN_PER_YUAN: Final = 100
Left = Annotated[int, Field(ge=0, le=10**15)]


class Replayed(Body):
    """A rule over [begins, ends). Go on with `after` and `budgets` of the answer before."""

    rule: Rule
    begins: AwareDatetime
    ends: AwareDatetime
    limit: Annotated[int, Field(ge=1, le=replaying.CHUNK_MAX)] = 100
    after: PublicId | None = None
    budgets: Annotated[dict[str, Left], Field(max_length=200)] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayWinner:
    """A member to whom the rule would have given much; `delta` is how much more they would have got in all."""

    member: str
    units: int
    delta: int


@dataclass(frozen=True, slots=True)
class ReplayPage:
    """The sums of one chunk of members; `cost_fen` is what `delta` is worth as a means of payment, None for units that
    pay nothing. `left` members follow `next_after`."""

    asset: str
    members: int
    facts: int
    fired: int
    units: int
    would: int
    given: int
    delta: int
    cost_fen: int | None
    silent: Mapping[str, int]
    withheld: Mapping[str, int]
    winners: tuple[ReplayWinner, ...]
    budgets: Mapping[str, int]
    left: int
    next_after: str | None


async def replay_earning(call: Call[Replayed, NoQuery]) -> ReplayPage:
    """Replay a rule over one more chunk of members."""
    asked = call.body
    chunk = await replaying.replay(
        Span(asked.rule, asked.begins, asked.ends),
        principal=call.staff,
        now=call.now,
        so_far=Tally(budgets=asked.budgets),
        after=row_id(Kind.REPLAYED, asked.after) if asked.after is not None else 0,
        limit=asked.limit,
    )
    per_yuan = (await program.in_force(call.now)).terms.redemption.points_per_yuan
    tally = chunk.tally
    return ReplayPage(
        asset=asked.rule.asset,
        members=tally.members,
        facts=tally.facts,
        fired=tally.fired,
        units=tally.units,
        would=tally.would,
        given=tally.given,
        delta=tally.delta,
        cost_fen=tally.delta * _FEN_PER_YUAN // per_yuan if asked.rule.asset == "points" else None,
        silent=tally.silent,
        withheld=tally.withheld,
        winners=tuple(
            ReplayWinner(public_id(Kind.REPLAYED, one.member_id), one.units, one.delta) for one in tally.winners
        ),
        budgets=tally.budgets,
        left=chunk.left,
        next_after=None if chunk.after is None else public_id(Kind.REPLAYED, chunk.after),
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/console/earning-rules/replay",
        run=replay_earning,
        audience=Audience.CONSOLE,
        action=Action.CAMPAIGN_READ,
        body=Replayed,
        result=ReplayPage,
        rate=Rate.WRITE,
        repeat=Repeat.KEYED,
        refusals=(PeriodEmpty, *UNWORKABLE),
        summary=Summary("回放：这条规则在过去会多发多少", "Replay a rule over past facts"),
    ),
)
