"""Recording purchases: facts under their own business key, earning points and growth value once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, Refusal
from loyalty.events import PurchaseRecorded
from loyalty.ledger.service import Operation, Outcome
from loyalty.money import AMOUNT_MAX
from loyalty.program import queries as program
from loyalty.program.queries import PublishedTerms
from loyalty.program.terms import Terms
from loyalty.purchases import delivery, earning, rules, tendering
from loyalty.purchases import receipt as receipts
from loyalty.purchases.queries import COLUMNS, PurchaseView, view_of
from loyalty.purchases.receipt import Receipt
from loyalty.spine import service as spine
from loyalty.tiers import service as tiers

CURRENCIES: Final = frozenset({"CNY"})
SOURCE_LENGTH_MAX: Final = 40
EXTERNAL_ID_LENGTH_MAX: Final = 80
# Tills have clocks of their own; further ahead is a wrong date and not a wrong clock.
CLOCK_SKEW_MAX: Final = timedelta(minutes=5)

_INSERT = f"""
INSERT INTO purchase (member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, refunded_fen,
                      currency, lines, tenders, discounts, points_spent, points, growth, multiplier_percent,
                      terms_version, occurred_at, recorded_at)
SELECT member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, 0, currency, lines::jsonb,
       tenders::jsonb, discounts::jsonb, points_spent, 0, 0, 100, terms_version, occurred_at, $1
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
            $10::text[], $11::text[], $12::text[], $13::bigint[], $14::int[], $15::timestamptz[])
     AS given(member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, currency, lines, tenders,
              discounts, points_spent, terms_version, occurred_at)
ORDER BY source, external_id
ON CONFLICT (source, external_id) DO NOTHING
RETURNING {COLUMNS}
"""
_KNOWN = f"""
SELECT {COLUMNS}, fingerprint FROM purchase
WHERE (source, external_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""

Key = tuple[str, str]


class PurchaseInvalid(Invalid):
    """A value of the purchase is out of range; `field` names it."""

    code = "purchases.invalid"


class PurchaseKeyReused(Conflict):
    """The source reported this number before, for another purchase."""

    code = "purchases.key_reused"


class PurchaseTooOld(Invalid):
    """Sales from before `since` are not taken any more."""

    code = "purchases.too_old"


class PointsNotTaken(Invalid):
    """So much cannot be paid with points: `most_percent` of an order, from `min_points` on, in multiples of
    `multiple`, at `points_per_yuan`."""

    code = "purchases.points_not_taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPurchase:
    """A completed sale as a till, a shop or a clerk reports it. `amount_fen` is the price of what was bought.

    What the receipt says was paid with points is taken from the member, or from the hold of `points_hold`. A sale
    `to_deliver` earns when it is received (`receive`).
    """

    source: str
    external_id: str
    member_id: int
    amount_fen: int
    occurred_at: datetime
    store_id: int | None = None
    currency: str = "CNY"
    receipt: Receipt = field(default_factory=Receipt)
    points_hold: str | None = None
    to_deliver: bool = False

    @property
    def key(self) -> Key:
        """What makes it once, whatever the transport repeats."""
        return (self.source, self.external_id)

    @property
    def fingerprint(self) -> bytes:
        """Tells an honest repeat from another purchase under the same key."""
        return rules.fingerprint(
            amount_fen=self.amount_fen,
            currency=self.currency,
            receipt=self.receipt.document(),
            occurred_at=self.occurred_at,
        )


PurchaseOutcome = PurchaseView | Refusal


@dataclass(frozen=True, slots=True)
class _Judged:
    purchase: NewPurchase
    published: PublishedTerms


async def record(batch: Sequence[NewPurchase], *, principal: Principal, now: datetime) -> list[PurchaseOutcome]:
    """Record purchases in order, each once; terms and tier are those of the moment it happened.

    Points expire by the terms from the day they become usable, growth value raises tiers at once. What cannot be
    recorded is refused as a value and leaves the others recorded: PurchaseInvalid, ReceiptUneven, LineRepeated,
    PurchaseTooOld, PurchaseKeyReused, PointsNotTaken, NotEnough, HoldOver, HoldUnknown.

    Raises:
        Forbidden, OtherStore, OwnMembership: the principal may not record one of them.
    """
    for purchase in batch:
        resource = Resource(store_id=purchase.store_id, member_id=purchase.member_id)
        access.authorize(principal, Action.PURCHASE_RECORD, resource)
    terms = (await program.in_force(now)).terms
    refused = {place: no for place, purchase in enumerate(batch) if (no := _refusal(purchase, terms, now))}
    taken = [purchase for place, purchase in enumerate(batch) if place not in refused]
    outcomes = iter(await _record(taken, principal, now) if taken else [])
    return [refused[place] if place in refused else next(outcomes) for place in range(len(batch))]


async def _record(batch: Sequence[NewPurchase], principal: Principal, now: datetime) -> list[PurchaseOutcome]:
    judged = await _judge(batch, now)
    fresh = await _insert(judged, principal, now)
    unpaid = await tendering.pay(fresh, {key: item.purchase.points_hold for key, item in judged.items()}, now=now)
    fresh = {key: view for key, view in fresh.items() if key not in unpaid}
    if fresh:
        fresh, posted = await _earn(fresh, judged, now)
        await _tell(fresh, principal, now)
        await tiers.review_posted(posted, buyers=(view.member_id for view in fresh.values()), now=now)
    known = await _known([purchase.key for purchase in batch if purchase.key not in fresh])
    return _outcomes(batch, judged, fresh, known, unpaid)


async def record_one(purchase: NewPurchase, *, principal: Principal, now: datetime) -> PurchaseView:
    """`record` of one.

    Raises:
        whatever `record` refuses.
    """
    outcome = (await record([purchase], principal=principal, now=now))[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def _refusal(purchase: NewPurchase, terms: Terms, now: datetime) -> Refusal | None:
    in_range = {
        "source": 0 < len(purchase.source) <= SOURCE_LENGTH_MAX,
        "external_id": 0 < len(purchase.external_id) <= EXTERNAL_ID_LENGTH_MAX,
        "amount_fen": 0 <= purchase.amount_fen <= AMOUNT_MAX,
        "currency": purchase.currency in CURRENCIES,
        "occurred_at": purchase.occurred_at.tzinfo is not None and purchase.occurred_at <= now + CLOCK_SKEW_MAX,
    }
    wrong = next((name for name, holds in in_range.items() if not holds), None)
    if wrong is not None:
        return PurchaseInvalid(field=wrong)
    since = now - timedelta(days=terms.refunds.late_days)
    if purchase.occurred_at < since:
        return PurchaseTooOld(since=since)
    try:
        receipts.check(purchase.receipt, purchase.amount_fen)
    except Invalid as uneven:
        return uneven
    points_fen, way = purchase.receipt.points_fen, terms.redemption
    if points_fen and not rules.may_pay(points_fen, purchase.amount_fen, way):
        return PointsNotTaken(
            most_percent=way.max_percent,
            min_points=way.min_points,
            multiple=way.multiple,
            points_per_yuan=way.points_per_yuan,
        )
    return None


async def _judge(batch: Sequence[NewPurchase], now: datetime) -> dict[Key, _Judged]:
    """The first purchase under each key, with the terms that it is judged by."""
    first = {purchase.key: purchase for purchase in reversed(batch)}
    return {
        key: _Judged(purchase, await program.in_force(purchase.occurred_at, now=now)) for key, purchase in first.items()
    }


async def _insert(judged: Mapping[Key, _Judged], principal: Principal, now: datetime) -> dict[Key, PurchaseView]:
    staff_id = principal.staff_id if isinstance(principal, StaffPrincipal) else None
    items = list(judged.values())
    purchases = [item.purchase for item in items]
    rows = await db.fetch(
        _INSERT,
        now,
        [purchase.member_id for purchase in purchases],
        [purchase.source for purchase in purchases],
        [purchase.external_id for purchase in purchases],
        [purchase.fingerprint for purchase in purchases],
        [purchase.store_id for purchase in purchases],
        [staff_id for _ in purchases],
        [purchase.amount_fen for purchase in purchases],
        [purchase.currency for purchase in purchases],
        *_receipt_columns(purchases, [item.published.terms for item in items]),
        [item.published.version for item in items],
        [purchase.occurred_at for purchase in purchases],
    )
    return {(row["source"], row["external_id"]): view_of(row) for row in rows}


def _receipt_columns(purchases: Sequence[NewPurchase], terms: Sequence[Terms]) -> tuple[list[object], ...]:
    documents = [purchase.receipt.document() for purchase in purchases]
    return (
        [orjson.dumps(document["lines"]).decode() for document in documents],
        [orjson.dumps(document["tenders"]).decode() for document in documents],
        [orjson.dumps(document["discounts"]).decode() for document in documents],
        [
            rules.points_for(purchase.receipt.points_fen, each.redemption)
            for purchase, each in zip(purchases, terms, strict=True)
        ],
    )


async def _earn(
    fresh: Mapping[Key, PurchaseView], judged: Mapping[Key, _Judged], now: datetime
) -> tuple[dict[Key, PurchaseView], list[tuple[Operation, Outcome]]]:
    facts = []
    for key, view in fresh.items():
        purchase, terms = judged[key].purchase, judged[key].published.terms
        waits = delivery.waiting(terms, purchase.occurred_at, to_deliver=purchase.to_deliver, now=now)
        facts.append(earning.fact_of(view, pending=waits))
    views, posted = await earning.earn(list(fresh.values()), facts, now=now)
    return dict(zip(fresh, views, strict=True)), posted


async def _tell(fresh: Mapping[Key, PurchaseView], principal: Principal, now: datetime) -> None:
    await spine.record(
        *(
            PurchaseRecorded(
                member_id=view.member_id,
                at=view.occurred_at,
                purchase_id=view.id,
                amount_fen=view.amount_fen,
                points=view.points,
                growth=view.growth,
                store_id=view.store_id,
            )
            for view in fresh.values()
        ),
        now=now,
    )
    if isinstance(principal, StaffPrincipal):
        await audit.record(*(_deed(view, principal) for view in fresh.values()), now=now)


def _deed(view: PurchaseView, principal: Principal) -> audit.Deed:
    return audit.Deed(
        principal=principal,
        action=Action.PURCHASE_RECORD,
        member_id=view.member_id,
        store_id=view.store_id,
        details={"purchase_id": view.id, "amount_fen": view.amount_fen, "points": view.points},
    )


async def _known(keys: Sequence[Key]) -> dict[Key, tuple[PurchaseView, bytes]]:
    if not keys:
        return {}
    rows = await db.fetch(_KNOWN, [source for source, _ in keys], [external_id for _, external_id in keys])
    return {(row["source"], row["external_id"]): (view_of(row, replayed=True), row["fingerprint"]) for row in rows}


def _outcomes(
    batch: Sequence[NewPurchase],
    judged: Mapping[Key, _Judged],
    fresh: Mapping[Key, PurchaseView],
    known: Mapping[Key, tuple[PurchaseView, bytes]],
    unpaid: Mapping[Key, Refusal],
) -> list[PurchaseOutcome]:
    outcomes: list[PurchaseOutcome] = []
    answered: set[Key] = set()
    for purchase in batch:
        key = purchase.key
        if key in unpaid:
            outcomes.append(unpaid[key])
            continue
        if key in fresh:
            view, fingerprint = fresh[key], judged[key].purchase.fingerprint
        else:
            view, fingerprint = known[key]
        if fingerprint != purchase.fingerprint or view.member_id != purchase.member_id:
            outcomes.append(PurchaseKeyReused(source=purchase.source, external_id=purchase.external_id))
        else:
            outcomes.append(replace(view, replayed=True) if key in answered else view)
        answered.add(key)
    return outcomes
