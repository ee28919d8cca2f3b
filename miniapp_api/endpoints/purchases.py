"""The member's own purchases."""

from dataclasses import dataclass
from datetime import datetime

from loyalty.access import Action
from loyalty.purchases import queries as purchases
from loyalty.purchases.queries import PurchaseView
from miniapp_api.audience import Audience
from miniapp_api.endpoint import AnyEndpoint, Call, Endpoint, NoBody, Summary
from miniapp_api.endpoints.paging import PageQuery, before, next_cursor
from miniapp_api.public_ids import Kind, public_id


@dataclass(frozen=True, slots=True)
class Purchase:
    """A purchase; `points` is what it earned before any refund. Money is in fen."""

    id: str
    amount_fen: int
    refunded_fen: int
    currency: str
    points: int
    growth: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Purchases:
    """A page of purchases, last recorded first."""

    items: tuple[Purchase, ...]
    next_cursor: str | None


async def list_purchases(call: Call[NoBody, PageQuery]) -> Purchases:
    """A page of the member's purchases."""
    found = await purchases.recent(
        call.member_id,
        before_id=before(call.query, Kind.PURCHASE),
        limit=call.query.limit,
    )
    is_full = len(found) == call.query.limit
    return Purchases(
        items=tuple(shown(purchase) for purchase in found),
        next_cursor=next_cursor(Kind.PURCHASE, found[-1].id if is_full else None),
    )


def shown(purchase: PurchaseView) -> Purchase:
    """A purchase as the member and the clerk see it."""
    return Purchase(
        id=public_id(Kind.PURCHASE, purchase.id),
        amount_fen=purchase.amount_fen,
        refunded_fen=purchase.refunded_fen,
        currency=purchase.currency,
        points=purchase.points,
        growth=purchase.growth,
        occurred_at=purchase.occurred_at,
    )


ENDPOINTS: tuple[AnyEndpoint, ...] = (
    Endpoint(
        method="GET",
        path="/v1/me/purchases",
        run=list_purchases,
        audience=Audience.MEMBER,
        action=Action.SELF_READ,
        query=PageQuery,
        result=Purchases,
        summary=Summary("我的消费", "My purchases"),
    ),
)
