"""The programme's books, counted from the ledger's own postings: what was owed, what moved, what is owed now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from loyalty import access, db
from loyalty.access import Action, StaffPrincipal, SystemPrincipal
from loyalty.accounting.books import Books, Flow, books_of
from loyalty.clock import start_of
from loyalty.ledger.operations import Asset
from loyalty.program import queries as program

Reader = StaffPrincipal | SystemPrincipal

_FLOWS: Final = """
SELECT posting.source, posting.destination,
       coalesce(sum(posting.amount) FILTER (WHERE entry.booked_at < $2), 0)::bigint AS before,
       coalesce(sum(posting.amount) FILTER (WHERE entry.booked_at >= $2), 0)::bigint AS within
FROM ledger_posting posting
JOIN ledger_entry entry ON entry.id = posting.entry_id AND entry.member_id = posting.member_id
WHERE posting.asset = $1 AND entry.booked_at < $3 GROUP BY posting.source, posting.destination
"""
_AGES: Final = """
SELECT width_bucket(extract(epoch FROM entry.booked_at - lot.effective_at) / 86400, $4::float8[]) AS bucket,
       sum(CASE WHEN posting.destination = 'spent' THEN posting.amount ELSE -posting.amount END)::bigint AS units
FROM ledger_posting posting
JOIN ledger_entry entry ON entry.id = posting.entry_id AND entry.member_id = posting.member_id
JOIN ledger_lot lot ON lot.id = posting.lot_id
WHERE posting.asset = $1 AND 'spent' IN (posting.source, posting.destination)
  AND entry.booked_at >= $2 AND entry.booked_at < $3
GROUP BY bucket ORDER BY bucket
"""
_COHORTS: Final = """
SELECT to_char(lot.created_at AT TIME ZONE $2, 'YYYY-MM') AS month,
       sum(CASE WHEN posting.source IN ('issued', 'goodwill') THEN posting.amount ELSE 0 END)::bigint AS issued,
       sum(CASE WHEN posting.destination = 'spent' THEN posting.amount
                WHEN posting.source = 'spent' THEN -posting.amount ELSE 0 END)::bigint AS redeemed,
       sum(CASE WHEN posting.destination = 'expired' THEN posting.amount ELSE 0 END)::bigint AS expired,
       sum(CASE WHEN posting.destination IN ('clawed_back', 'cancelled') THEN posting.amount ELSE 0 END)::bigint
           AS taken_back
FROM ledger_lot lot JOIN ledger_posting posting ON posting.lot_id = lot.id AND posting.member_id = lot.member_id
WHERE lot.asset = $1 AND lot.created_at < $3 GROUP BY month ORDER BY month
"""
AGES: Final = (30, 90, 180, 365)
"""Days between becoming usable and being redeemed at which a new age begins."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """Points issued in one month, and what became of them so far; breakage is what expired."""

    month: str
    issued: int
    redeemed: int
    expired: int
    taken_back: int

    @property
    def outstanding(self) -> int:
        """What is still there."""
        return self.issued - self.redeemed - self.expired - self.taken_back


@dataclass(frozen=True, slots=True)
class Age:
    """Points redeemed at an age from `from_days` on, up to the next age."""

    from_days: int
    units: int


async def books(asset: Asset, begins: date, ends: date, *, principal: Reader, now: datetime) -> Books:
    """The books of [begins, ends) in business days; `ends` may lie ahead, then they are as of now.

    Raises:
        Forbidden: the principal may not read the ledger.
    """
    _authorize(principal)
    terms = (await program.in_force(now)).terms
    zone = terms.calendar
    rows = await db.fetch(_FLOWS, asset, start_of(begins, zone), start_of(ends, zone))
    flows = [Flow(row["source"], row["destination"], row["before"], row["within"]) for row in rows]
    return books_of(flows, asset=asset, begins=begins, ends=ends, points_per_yuan=terms.redemption.points_per_yuan)


async def ages(asset: Asset, begins: date, ends: date, *, principal: Reader, now: datetime) -> Sequence[Age]:
    """How old points were when they were redeemed in [begins, ends)."""
    _authorize(principal)
    zone = (await program.in_force(now)).terms.calendar
    bounds = [float(days) for days in (0, *AGES)]
    rows = await db.fetch(_AGES, asset, start_of(begins, zone), start_of(ends, zone), bounds)
    found: Mapping[int, int] = {row["bucket"]: row["units"] for row in rows}
    return [Age(days, found.get(place, 0)) for place, days in enumerate((0, *AGES), 1)]


async def cohorts(asset: Asset, ends: date, *, principal: Reader, now: datetime) -> Sequence[Cohort]:
    """What became of the points of each month of issue, of those before `ends`."""
    _authorize(principal)
    terms = (await program.in_force(now)).terms
    rows = await db.fetch(_COHORTS, asset, terms.zone, start_of(ends, terms.calendar))
    return [Cohort(row["month"], row["issued"], row["redeemed"], row["expired"], row["taken_back"]) for row in rows]


def _authorize(principal: Reader) -> None:
    if isinstance(principal, StaffPrincipal):
        access.authorize(principal, Action.LEDGER_READ)


def month_after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)
