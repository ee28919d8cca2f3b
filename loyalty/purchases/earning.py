"""What purchases earn, by the rules in force when they happened, and what those rules leave when part comes back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.conditions.vocabulary import PURCHASE
from loyalty.earning import service as earning
from loyalty.earning.facts import Fact, FactLine
from loyalty.ledger.operations import Asset, Operation, Pending
from loyalty.ledger.service import Outcome
from loyalty.money import split
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import Line

_EARNED: Final = """
UPDATE purchase SET points = given.points, growth = given.growth, multiplier_percent = given.multiplier_percent
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[]) AS given(id, points, growth, multiplier_percent)
WHERE purchase.id = given.id
"""


async def earn(
    views: Sequence[PurchaseView], facts: Sequence[Fact], *, now: datetime
) -> tuple[list[PurchaseView], list[tuple[Operation, Outcome]]]:
    """Award purchases that were just recorded; what each earned stands with it from then on."""
    awarded = await earning.award(facts, now=now)
    earned = [
        replace(
            view,
            points=done.total(Asset.POINTS),
            growth=done.total(Asset.GROWTH),
            multiplier_percent=done.evaluation.tier_percent,
        )
        for view, done in zip(views, awarded, strict=True)
    ]
    await db.execute(
        _EARNED,
        [view.id for view in earned],
        [view.points for view in earned],
        [view.growth for view in earned],
        [view.multiplier_percent for view in earned],
    )
    return earned, [pair for done in awarded for pair in done.posted]


def fact_of(view: PurchaseView, *, pending: Pending | None = None) -> Fact:
    """A purchase as earning rules see it."""
    return Fact(
        trigger=PURCHASE,
        key=fact_key(view.id),
        member_id=view.member_id,
        occurred_at=view.occurred_at,
        amount_fen=view.amount_fen,
        tenders=view.receipt.tenders or {},
        lines=[line_of(line) for line in view.receipt.lines],
        store_id=view.store_id,
        channel=view.source.partition(":")[0],
        kind=PURCHASE,
        reason={"purchase_id": view.id, "amount_fen": view.amount_fen, "store_id": view.store_id},
        pending=pending,
    )


def line_of(line: Line, *, amount_fen: int | None = None) -> FactLine:
    """A line of a receipt as earning rules see it, at another price where one is given."""
    return FactLine(
        amount_fen=line.amount_fen if amount_fen is None else amount_fen,
        sku=line.sku,
        category=line.category,
        quantity=line.quantity,
        tags=frozenset(line.tags),
        voided=line.voided,
    )


def fact_key(purchase_id: int) -> str:
    """What names a purchase among everything that earned."""
    return f"purchase:{purchase_id}"


def earn_key(purchase_id: int, asset: Asset) -> str:
    """The ledger key under which a purchase earned `asset`."""
    return f"{fact_key(purchase_id)}:{asset}"


def rest_of(view: PurchaseView, gone: Mapping[int, int], returned_fen: int) -> Fact | None:
    """What is left of a purchase when `gone` pieces of its lines and goods of `returned_fen` went back; None for
    nothing. Money and points go back in proportion to the price."""
    kept_fen = view.amount_fen - returned_fen
    if kept_fen <= 0:
        return None
    tenders = {
        kind: fen - _part(fen, returned_fen, view.amount_fen) for kind, fen in (view.receipt.tenders or {}).items()
    }
    left = [(line, line.quantity - gone.get(line.no, 0)) for line in view.receipt.live]
    left = [(line, pieces) for line, pieces in left if pieces > 0]
    prices = [_part(line.amount_fen, pieces, line.quantity) for line, pieces in left]
    weights = prices if any(prices) else [1] * len(prices)
    lines = [
        replace(line_of(line), quantity=pieces, amount_fen=fen)
        for (line, pieces), fen in zip(left, split(kept_fen, weights), strict=True)
    ]
    return replace(fact_of(view), amount_fen=kept_fen, tenders=tenders, lines=lines)


def _part(units: int, part: int, whole: int) -> int:
    return split(units, [part, whole - part])[0] if whole else 0
