"""Points as a means of payment: taken with the purchase that they pay, or the purchase is not recorded."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.errors import Refusal, ensure
from loyalty.events import PointsSpent
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Capture, Operation, Posted, Spend
from loyalty.purchases.queries import PurchaseView
from loyalty.spine import service as spine

KIND: Final = "redeem"
Key = tuple[str, str]


def tender_key(purchase_id: int) -> str:
    """The ledger key under which points paid for a purchase."""
    return f"purchase:{purchase_id}:tender"


async def pay(
    fresh: Mapping[Key, PurchaseView], holds: Mapping[Key, str | None], *, now: datetime
) -> dict[Key, Refusal]:
    """Take the points of purchases that were just written; those that cannot be paid are gone again, and why."""
    paying = {key: view for key, view in fresh.items() if view.points_spent}
    if not paying:
        return {}
    batch = [_operation(view, holds.get(key)) for key, view in paying.items()]
    outcomes = await ledger.post(batch, now=now)
    unpaid: dict[Key, Refusal] = {key: no for key, no in zip(paying, outcomes, strict=True) if isinstance(no, Refusal)}
    await _forget([paying[key].id for key in unpaid])
    await _tell({paying[key].id: outcome for key, outcome in zip(paying, outcomes, strict=True)}, paying, now)
    return unpaid


def _operation(view: PurchaseView, hold: str | None) -> Operation:
    reason = {"purchase_id": view.id, "amount_fen": view.points_fen}
    if hold is not None:
        return Capture(
            member_id=view.member_id,
            asset=Asset.POINTS,
            hold_key=hold,
            amount=view.points_spent,
            key=tender_key(view.id),
            kind=KIND,
            occurred_at=view.occurred_at,
            reason=reason,
        )
    return Spend(
        member_id=view.member_id,
        asset=Asset.POINTS,
        amount=view.points_spent,
        key=tender_key(view.id),
        kind=KIND,
        occurred_at=view.occurred_at,
        reason=reason,
    )


async def _forget(purchase_ids: list[int]) -> None:
    """A sale that was not paid did not happen; nobody has seen its row."""
    if purchase_ids:
        gone = await db.execute("DELETE FROM purchase WHERE id = ANY($1)", purchase_ids)
        ensure(gone == len(purchase_ids), "the rows were written in this very unit of work")


async def _tell(outcomes: Mapping[int, object], paying: Mapping[Key, PurchaseView], now: datetime) -> None:
    views = {view.id: view for view in paying.values()}
    await spine.record(
        *(
            PointsSpent(
                member_id=views[purchase_id].member_id,
                at=views[purchase_id].occurred_at,
                points=outcome.amount,
                balance=outcome.balance,
                key=tender_key(purchase_id),
            )
            for purchase_id, outcome in outcomes.items()
            if isinstance(outcome, Posted)
        ),
        now=now,
    )
