"""When a purchase's points become usable: after the return window, which begins when the goods are received."""

from datetime import datetime, timedelta
from typing import Final

from loyalty import db
from loyalty.access import Action, Principal, Resource, authorize
from loyalty.clock import business_day, start_of
from loyalty.errors import Conflict, Invalid, NotFound
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Activate, Asset, CancelPending, Grant, Operation, Pending, Posted
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.terms import Terms
from loyalty.purchases.queries import by_key

RECEIVED: Final = "purchase.received"

_PROMISED: Final = """
SELECT lot.asset, lot.grant_key, sum(lot.remaining)::bigint AS units, min(entry.reason::text) AS reason
FROM ledger_lot lot JOIN ledger_entry entry ON entry.id = lot.entry_id AND entry.member_id = lot.member_id
WHERE lot.member_id = $1 AND starts_with(lot.grant_key, $2) AND lot.state = 'pending' AND lot.remaining > 0
  AND lot.event = $3 GROUP BY lot.asset, lot.grant_key ORDER BY lot.grant_key
"""


class PurchaseUnknown(NotFound):
    """No purchase under that number, or one of another store."""

    code = "purchases.unknown"


class NothingWaits(Conflict):
    """The purchase earned at once, was received before, or waited too long."""

    code = "purchases.nothing_waits"


class ReceivedEarly(Invalid):
    """Nothing is received before it was bought, or in the future."""

    code = "purchases.received_early"


def waiting(terms: Terms, bought_at: datetime, *, to_deliver: bool, now: datetime) -> Pending | None:
    """What the points of a purchase wait for; None when they are usable at once."""
    if to_deliver:
        rule = validity.rule_of(terms).model_dump(mode="json")
        ends = bought_at + timedelta(days=terms.points.undelivered_days)
        return Pending(event=RECEIVED, cancels_at=ends, expiry=rule, zone=terms.zone)
    begins = usable_from(terms, bought_at)
    return None if begins is None or begins <= now else Pending(activates_at=begins, zone=terms.zone)


def usable_from(terms: Terms, received_at: datetime) -> datetime | None:
    """The first instant after the return window of something received then; None without a window."""
    if not terms.points.pending_days:
        return None
    day = business_day(received_at, terms.calendar) + timedelta(days=terms.points.pending_days)
    return start_of(day, terms.calendar)


async def receive(
    source: str, external_id: str, *, received_at: datetime, principal: Principal, now: datetime
) -> datetime | None:
    """The goods arrived: the return window begins. From when on the points are usable; None for at once.

    Raises:
        PurchaseUnknown, NothingWaits, ReceivedEarly, Forbidden
    """
    purchase = await by_key(source, external_id)
    if purchase is None:
        raise PurchaseUnknown
    authorize(principal, Action.PURCHASE_RECORD, Resource(store_id=purchase.store_id, member_id=purchase.member_id))
    if not purchase.occurred_at <= received_at <= now:
        raise ReceivedEarly
    terms = (await program.in_force(purchase.occurred_at, now=now)).terms
    rows = await db.fetch(_PROMISED, purchase.member_id, f"purchase:{purchase.id}:", RECEIVED)
    begins = usable_from(terms, received_at)
    batch = [
        operation
        for row in rows
        for operation in _begun(purchase.member_id, row, terms, begins, received_at=received_at, now=now)
    ]
    outcomes = await ledger.post(batch, now=now)
    if not any(isinstance(outcome, Posted) and not outcome.replayed for outcome in outcomes):
        raise NothingWaits
    return begins if begins is not None and begins > now else None


def _begun(
    member_id: int, row: db.Row, terms: Terms, begins: datetime | None, *, received_at: datetime, now: datetime
) -> list[Operation]:
    asset, grant_key = Asset(row["asset"]), row["grant_key"]
    if begins is None or begins <= now:
        key, at = f"{grant_key}:received", begins or received_at
        return [Activate(member_id=member_id, asset=asset, grant_key=grant_key, key=key, occurred_at=at)]
    lasts = validity.of_points(terms, begins)
    return [
        CancelPending(
            member_id=member_id,
            asset=asset,
            grant_key=grant_key,
            key=f"{grant_key}:received",
            kind="received",
            occurred_at=received_at,
        ),
        Grant(
            member_id=member_id,
            asset=asset,
            amount=row["units"],
            key=f"{grant_key}:window",
            kind="purchase",
            occurred_at=received_at,
            reason={"of": grant_key},
            expires_at=lasts.expires_at,
            idle=lasts.idle,
            pending=Pending(activates_at=begins, zone=terms.zone),
            grant_key=grant_key,
        ),
    ]
