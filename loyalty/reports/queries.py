"""Small reports that managers read between two customers."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, Resource, StaffPrincipal
from loyalty.clock import business_day, start_of
from loyalty.program import queries as program

_STORE_DAY: Final = """
SELECT
    (SELECT count(*) FROM purchase WHERE store_id = $1 AND occurred_at >= $2 AND occurred_at < $3) AS purchases,
    (SELECT count(DISTINCT member_id) FROM purchase
     WHERE store_id = $1 AND occurred_at >= $2 AND occurred_at < $3) AS members,
    (SELECT coalesce(sum(amount_fen), 0)::bigint FROM purchase
     WHERE store_id = $1 AND occurred_at >= $2 AND occurred_at < $3) AS paid_fen,
    (SELECT coalesce(sum(refund.amount_fen), 0)::bigint FROM refund JOIN purchase ON purchase.id = refund.purchase_id
     WHERE purchase.store_id = $1 AND refund.occurred_at >= $2 AND refund.occurred_at < $3) AS refunded_fen,
    (SELECT count(*) FROM coupon
     WHERE redeemed_store_id = $1 AND redeemed_at >= $2 AND redeemed_at < $3) AS redemptions,
    (SELECT coalesce(sum(points), 0)::bigint FROM point_grant
     WHERE store_id = $1 AND day = $4 AND status = 'posted') AS points_granted,
    (SELECT count(*) FROM approval
     WHERE store_id = $1 AND status = 'pending' AND expires_at > $5) AS approvals_waiting
"""


@dataclass(frozen=True, slots=True)
class StoreDay:
    """One business day of one store; money in fen. `approvals_waiting` is as of now, not of the day."""

    store_id: int
    day: date
    purchases: int
    members: int
    paid_fen: int
    refunded_fen: int
    redemptions: int
    points_granted: int
    approvals_waiting: int


async def store_day(store_id: int, day: date | None = None, *, principal: StaffPrincipal, now: datetime) -> StoreDay:
    """What happened in a store on `day` (default: today) of the programme's calendar.

    Raises:
        Forbidden, OtherStore: the principal may not look.
    """
    access.authorize(principal, Action.STORE_READ, Resource(store_id=store_id))
    zone = (await program.in_force(now)).terms.calendar
    shown = day or business_day(now, zone)
    begins, ends = start_of(shown, zone), start_of(shown + timedelta(days=1), zone)
    rows = await db.fetch(_STORE_DAY, store_id, begins, ends, shown, now)
    return StoreDay(store_id=store_id, day=shown, **dict(rows[0]))
