"""Sales that a till made without a network, to members who showed a signed code: they earn, and spend nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from loyalty import db
from loyalty.access import Action, Principal, Resource
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, Refusal
from loyalty.members.service import MemberGone
from loyalty.offline_codes import rules
from loyalty.offline_codes.rules import OfflineCodeInvalid, Signed
from loyalty.purchases import service as purchases
from loyalty.purchases.service import NewPurchase, PurchaseOutcome

_WHO_THEY_ARE_NOW: Final = """
WITH RECURSIVE whole AS (
    SELECT id AS origin, id FROM unnest($1::bigint[]) AS id
    UNION
    SELECT whole.origin, merge.target_id FROM whole JOIN member_merge merge ON merge.source_id = whole.id
    WHERE merge.undone_at IS NULL
)
SELECT whole.origin, m.id FROM whole JOIN member m ON m.id = whole.id WHERE m.status NOT IN ('merged', 'closed')
"""
_USE: Final = """
INSERT INTO offline_code_use (member_id, step, source, external_id, used_at)
SELECT member_id, step, source, external_id, $5
FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) WITH ORDINALITY
     AS given(member_id, step, source, external_id, place)
ORDER BY place
ON CONFLICT (member_id, step) DO NOTHING RETURNING member_id, step
"""
_USED: Final = """
SELECT member_id, step, source, external_id FROM offline_code_use
WHERE (member_id, step) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
"""
_FORGET: Final = """
DELETE FROM offline_code_use WHERE (member_id, step) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
"""

Use = tuple[int, int]


class OfflineCodeNotThen(Invalid):
    """The code did not count when the sale happened: it does from `since` until `until`."""

    code = "offline_codes.not_then"


class OfflineCodeReplayed(Conflict):
    """The code stands for another sale already."""

    code = "offline_codes.replayed"


class OfflineCodeEarnsOnly(Invalid):
    """A code that was taken without a network earns points; it neither spends them nor redeems coupons."""

    code = "offline_codes.earn_only"


@dataclass(frozen=True, slots=True)
class OfflineSale:
    """A sale with the code that the member showed; the member of `purchase` is not read."""

    code: str
    purchase: NewPurchase


async def record(batch: Sequence[OfflineSale], *, principal: Principal, now: datetime) -> list[PurchaseOutcome]:
    """Record sales whose codes are genuine, each code for one sale; what is wrong with one leaves the others recorded.

    Refused as values: OfflineCodeInvalid, OfflineCodeNotThen, OfflineCodeReplayed, OfflineCodeEarnsOnly, MemberGone,
    and whatever `purchases.record` refuses. The same sale again is the same purchase again.

    Raises:
        Forbidden: the principal may not record one of them.
    """
    read = [_read(sale) for sale in batch]
    signed = {place: code for place, code in enumerate(read) if isinstance(code, Signed)}
    members = await _who_they_are_now([code.member_id for code in signed.values()])
    outcomes: dict[int, PurchaseOutcome] = {p: no for p, no in enumerate(read) if isinstance(no, Refusal)}
    outcomes |= {place: MemberGone() for place, code in signed.items() if code.member_id not in members}
    taken = {place: code for place, code in signed.items() if place not in outcomes}
    fresh = await _use(batch, taken, outcomes, principal, now)
    going = {
        p: replace(batch[p].purchase, member_id=members[c.member_id]) for p, c in taken.items() if p not in outcomes
    }
    done = await purchases.record(list(going.values()), principal=principal, now=now) if going else []
    outcomes |= dict(zip(going, done, strict=True))
    await _give_back(
        [(c.member_id, c.step) for p, c in taken.items() if p in fresh and isinstance(outcomes[p], Refusal)]
    )
    return [outcomes[place] for place in range(len(batch))]


def _read(sale: OfflineSale) -> Signed | Refusal:
    if sale.purchase.receipt.points_fen or (sale.purchase.receipt.tenders or {}).get("coupon"):
        return OfflineCodeEarnsOnly()
    try:
        signed = rules.read(sale.code)
    except OfflineCodeInvalid as invalid:
        return invalid
    if not signed.counts_at(sale.purchase.occurred_at):
        return OfflineCodeNotThen(since=signed.since, until=signed.until)
    return signed


async def _who_they_are_now(member_ids: Sequence[int]) -> dict[int, int]:
    if not member_ids:
        return {}
    return {row["origin"]: row["id"] for row in await db.fetch(_WHO_THEY_ARE_NOW, list(member_ids))}


async def _use(
    batch: Sequence[OfflineSale],
    taken: Mapping[int, Signed],
    outcomes: dict[int, PurchaseOutcome],
    principal: Principal,
    now: datetime,
) -> set[int]:
    """Use the codes up, refuse those that stand for another sale; the places whose code was not used before."""
    if not taken:
        return set()
    columns = [[code.member_id for code in taken.values()], [code.step for code in taken.values()]]
    keys = [batch[place].purchase.key for place in taken]
    made = await db.fetch(_USE, *columns, [source for source, _ in keys], [number for _, number in keys], now)
    new = {(row["member_id"], row["step"]) for row in made}
    stands: dict[Use, tuple[str, str]] = {
        (row["member_id"], row["step"]): (row["source"], row["external_id"]) for row in await db.fetch(_USED, *columns)
    }
    fresh: set[int] = set()
    for place, code in taken.items():
        if stands[code.member_id, code.step] != batch[place].purchase.key:
            outcomes[place] = replayed = OfflineCodeReplayed()
            resource = Resource(store_id=batch[place].purchase.store_id, member_id=code.member_id)
            await audit.record_refusal(principal, Action.PURCHASE_RECORD, replayed, resource=resource, now=now)
        elif (code.member_id, code.step) in new:
            fresh.add(place)
    return fresh


async def _give_back(uses: Sequence[Use]) -> None:
    """A sale that was refused did not use its code: it may come again, mended."""
    if uses:
        await db.execute(_FORGET, [member_id for member_id, _ in uses], [step for _, step in uses])
