"""Points and stored value as means of payment: taken with the purchase that they pay, or it is not recorded."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.errors import Refusal, ensure
from loyalty.events import PointsSpent
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Capture, Operation, Posted, Spend
from loyalty.program import queries as program
from loyalty.purchases.queries import PurchaseView
from loyalty.purchases.receipt import STORED_VALUE
from loyalty.spine import service as spine
from loyalty.stored_value import queries as stored_read
from loyalty.stored_value import returning
from loyalty.stored_value import service as stored_value
from loyalty.stored_value.returning import Return
from loyalty.stored_value.service import Use

KIND: Final = "redeem"
Key = tuple[str, str]


def tender_key(purchase_id: int) -> str:
    """The ledger key under which points paid for a purchase."""
    return f"purchase:{purchase_id}:tender"


async def pay(
    fresh: Mapping[Key, PurchaseView], holds: Mapping[Key, str | None], *, now: datetime
) -> dict[Key, Refusal]:
    """Take what pays purchases that were just written; those that cannot be paid are gone again, and why."""
    unpaid = await _with_stored_value(fresh, now)
    unpaid |= await _with_points({key: view for key, view in fresh.items() if key not in unpaid}, holds, now)
    await _forget([fresh[key].id for key in unpaid])
    return unpaid


async def _with_points(
    fresh: Mapping[Key, PurchaseView], holds: Mapping[Key, str | None], now: datetime
) -> dict[Key, Refusal]:
    paying = {key: view for key, view in fresh.items() if view.points_spent}
    if not paying:
        return {}
    batch = [_operation(view, holds.get(key)) for key, view in paying.items()]
    outcomes = await ledger.post(batch, now=now)
    unpaid: dict[Key, Refusal] = {key: no for key, no in zip(paying, outcomes, strict=True) if isinstance(no, Refusal)}
    await _tell({paying[key].id: outcome for key, outcome in zip(paying, outcomes, strict=True)}, paying, now)
    for key in unpaid:
        await _undo_stored_value(paying[key], now)
    return unpaid


async def _with_stored_value(fresh: Mapping[Key, PurchaseView], now: datetime) -> dict[Key, Refusal]:
    """One after another: each holds its member's account, in the order of members so that two batches never wait for
    each other. Where a brand keeps no stored value here, the tender is another system's and only noted."""
    paying = sorted(
        ((view.member_id, key) for key, view in fresh.items() if view.tenders.get(STORED_VALUE)),
    )
    if not paying or not (await program.in_force(now)).terms.stored_value.enabled:
        return {}
    unpaid: dict[Key, Refusal] = {}
    for _, key in paying:
        try:
            await stored_value.use(_use(fresh[key]), now=now)
        except Refusal as refusal:
            unpaid[key] = refusal
    return unpaid


def _use(view: PurchaseView) -> Use:
    amount = view.tenders[STORED_VALUE]
    listed = view.receipt.listed_fen(view.amount_fen)
    return Use(
        member_id=view.member_id,
        key=stored_key(view.id),
        amount_fen=amount,
        list_fen=-(-listed * amount // view.amount_fen),
        permit_key=permit_key(view.source, view.external_id),
        occurred_at=view.occurred_at,
    )


async def _undo_stored_value(view: PurchaseView, now: datetime) -> None:
    key = stored_key(view.id)
    used = await stored_read.used_for(key)
    if used is not None:
        whole = Return(
            member_id=view.member_id,
            key=key,
            amount_fen=used[0],
            return_key=f"{key}:undone",
            occurred_at=view.occurred_at,
        )
        await returning.give_back(whole, now=now)


def stored_key(purchase_id: int) -> str:
    """What names the use of stored value that paid a purchase."""
    return f"purchase:{purchase_id}:stored"


def permit_key(source: str, external_id: str) -> str:
    """What a member's yes to a larger payment is given for, before the purchase has an id."""
    return f"{source}:{external_id}"


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
