"""Points: the statement, and why each movement happened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loyalty.access import Action
from loyalty.ledger import queries as ledger
from loyalty.ledger.operations import Asset
from loyalty.ledger.queries import Movement
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoBody, NoQuery, Summary
from miniapp_api.endpoints.paging import PageQuery, before, next_cursor
from miniapp_api.public_ids import Kind, public_id, row_id

# What a statement may say about a movement; other facts of the reason are for the ledger's own books.
SHOWN_REASONS = ("day", "streak", "bonus", "amount_fen", "note", "store", "terms")


@dataclass(frozen=True, slots=True)
class MovementView:
    """One line of the statement: `delta` is signed, `balance` is what it was afterwards."""

    id: str
    kind: str
    delta: int
    balance: int
    reason: Mapping[str, Any]
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A page of the statement, newest first, with what can be used now."""

    balance: int
    items: tuple[MovementView, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a movement that touched points of one expiry."""

    amount: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One movement, and which points it touched."""

    movement: MovementView
    shares: tuple[Share, ...]


async def points_statement(call: Call[NoBody, PageQuery]) -> Statement:
    """A page of the member's points."""
    page = await ledger.statement(
        call.member_id,
        Asset.POINTS,
        before_id=before(call.query, Kind.MOVEMENT),
        limit=call.query.limit,
    )
    balances = await ledger.balances([call.member_id], at=call.now)
    return Statement(
        balance=balances[call.member_id].points,
        items=tuple(_shown(movement) for movement in page.movements),
        next_cursor=next_cursor(Kind.MOVEMENT, page.next_before),
    )


async def points_movement(call: Call[NoBody, NoQuery]) -> Explanation:
    """Why one movement happened."""
    explained = await ledger.explain(call.member_id, row_id(Kind.MOVEMENT, call.path["movement"]))
    return Explanation(
        movement=_shown(explained.movement),
        shares=tuple(Share(amount=share.amount, expires_at=share.expires_at) for share in explained.shares),
    )


def _shown(movement: Movement) -> MovementView:
    return MovementView(
        id=public_id(Kind.MOVEMENT, movement.id),
        kind=movement.kind,
        delta=movement.delta,
        balance=movement.balance,
        reason={name: movement.reason[name] for name in SHOWN_REASONS if name in movement.reason},
        occurred_at=movement.occurred_at,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/points",
        run=points_statement,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=PageQuery,
        result=Statement,
        summary=Summary("积分余额与流水", "Points balance and statement"),
    ),
    Endpoint(
        method="GET",
        path="/v1/me/points/{movement}",
        run=points_movement,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        result=Explanation,
        summary=Summary("一笔积分为什么变动", "Why one movement of points happened"),
    ),
)
