"""What orders will earn once they are settled, by the rules in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loyalty.checkout.rules import Order, Price
from loyalty.conditions.vocabulary import PURCHASE
from loyalty.earning import service as earning
from loyalty.earning.amounts import MULTIPLIER
from loyalty.earning.facts import Fact
from loyalty.ledger.operations import Asset
from loyalty.purchases.earning import line_of
from loyalty.purchases.receipt import POINTS


@dataclass(frozen=True, slots=True)
class Place:
    """Where the order is, and by how much the tier of who buys multiplies points."""

    store_id: int | None
    multiplier_percent: int


async def with_earnings(orders: Sequence[tuple[Price, Order, Place]], *, now: datetime) -> list[Price]:
    """Each price with what settling it now would earn, if it were the only one."""
    found = await earning.preview_each([_fact(*one, now) for one in orders], now=now)
    return [
        replace(price, earns_points=earned.total(Asset.POINTS), earns_growth=earned.total(Asset.GROWTH))
        for (price, _, _), earned in zip(orders, found, strict=True)
    ]


def _fact(price: Price, order: Order, place: Place, now: datetime) -> Fact:
    due = {line.no: line.due_fen for line in price.lines}
    return Fact(
        trigger=PURCHASE,
        key="checkout",
        member_id=order.member_id,
        occurred_at=now,
        amount_fen=price.due_fen,
        tenders={POINTS: price.points_fen, "other": price.money_fen} if price.points_fen else {},
        lines=[line_of(line, amount_fen=due[line.no]) for line in order.lines if line.no in due],
        store_id=place.store_id,
        channel=order.source.partition(":")[0],
        values={MULTIPLIER: place.multiplier_percent},
    )
