"""What an order will earn once it is settled, by the rules in force."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from loyalty.checkout.rules import Price
from loyalty.conditions.vocabulary import PURCHASE
from loyalty.earning import service as earning
from loyalty.earning.facts import Fact
from loyalty.ledger.operations import Asset
from loyalty.purchases.earning import line_of
from loyalty.purchases.receipt import POINTS, Line


@dataclass(frozen=True, slots=True)
class Place:
    """Who buys, and where."""

    member_id: int
    source: str
    store_id: int | None


async def with_earnings(price: Price, lines: Sequence[Line], place: Place, *, now: datetime) -> Price:
    """The price with what settling it now would earn."""
    due = {line.no: line.due_fen for line in price.lines}
    fact = Fact(
        trigger=PURCHASE,
        key="checkout",
        member_id=place.member_id,
        occurred_at=now,
        amount_fen=price.due_fen,
        tenders={POINTS: price.points_fen, "other": price.money_fen} if price.points_fen else {},
        lines=[line_of(line, amount_fen=due[line.no]) for line in lines if line.no in due],
        store_id=place.store_id,
        channel=place.source.partition(":")[0],
    )
    (found,) = await earning.preview([fact], now=now)
    return replace(price, earns_points=found.total(Asset.POINTS), earns_growth=found.total(Asset.GROWTH))
