"""Recording purchases: facts under their own business key, earning points and growth value once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from loyalty import access, db
from loyalty.access import Action, Principal, Resource, StaffPrincipal
from loyalty.audit import service as audit
from loyalty.errors import Conflict, Invalid, ensure
from loyalty.events import PurchaseRecorded
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Asset, Grant, Operation, Outcome, Posted
from loyalty.money import AMOUNT_MAX
from loyalty.program import queries as program
from loyalty.program import validity
from loyalty.program.queries import PublishedTerms
from loyalty.purchases import rules
from loyalty.purchases.queries import COLUMNS, PurchaseView, view_of
from loyalty.spine import service as spine
from loyalty.tiers import queries as tiers_read
from loyalty.tiers import service as tiers

CURRENCIES: Final = frozenset({"CNY"})
SOURCE_LENGTH_MAX: Final = 40
EXTERNAL_ID_LENGTH_MAX: Final = 80
# Tills have clocks of their own; further ahead is a wrong date and not a wrong clock.
CLOCK_SKEW_MAX: Final = timedelta(minutes=5)

_INSERT = f"""
INSERT INTO purchase (member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, refunded_fen,
                      currency, lines, points, growth, terms_version, occurred_at, recorded_at)
SELECT member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, 0, currency, lines::jsonb,
       points, growth, terms_version, occurred_at, $1
FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[],
            $10::text[], $11::bigint[], $12::bigint[], $13::int[], $14::timestamptz[])
     AS given(member_id, source, external_id, fingerprint, store_id, staff_id, amount_fen, currency, lines, points,
              growth, terms_version, occurred_at)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPurchase:
    """A completed sale as a till, a shop or a clerk reports it. `amount_fen` is what was paid in money."""

    source: str
    external_id: str
    member_id: int
    amount_fen: int
    occurred_at: datetime
    store_id: int | None = None
    currency: str = "CNY"
    lines: Sequence[Mapping[str, Any]] = field(default_factory=tuple)

    @property
    def key(self) -> Key:
        """What makes it once, whatever the transport repeats."""
        return (self.source, self.external_id)

    @property
    def fingerprint(self) -> bytes:
        """Tells an honest repeat from another purchase under the same key."""
        return rules.fingerprint(
            member_id=self.member_id,
            amount_fen=self.amount_fen,
            currency=self.currency,
            lines=self.lines,
            occurred_at=self.occurred_at,
        )


PurchaseOutcome = PurchaseView | PurchaseKeyReused


@dataclass(frozen=True, slots=True)
class _Judged:
    purchase: NewPurchase
    published: PublishedTerms
    earned: rules.Earned


async def record(batch: Sequence[NewPurchase], *, principal: Principal, now: datetime) -> list[PurchaseOutcome]:
    """Record purchases in order, each once; terms and tier are those of the moment it happened.

    Points expire by the terms from now on, growth value raises tiers at once. A number that its source
    reported before for another purchase is refused as a value and leaves the others recorded.

    Raises:
        PurchaseInvalid: a value that nobody may report.
        Forbidden, OtherStore, OwnMembership: the principal may not record one of them.
    """
    for purchase in batch:
        _check(purchase, now)
        resource = Resource(store_id=purchase.store_id, member_id=purchase.member_id)
        access.authorize(principal, Action.PURCHASE_RECORD, resource)
    judged = await _judge(batch, now)
    fresh = await _insert(judged, principal, now)
    if fresh:
        posted = await _earn(fresh, {item.purchase.key: item for item in judged.values()}, now)
        await _tell(fresh, principal, now)
        await tiers.review_posted(posted, buyers=(view.member_id for view in fresh.values()), now=now)
    known = await _known([purchase.key for purchase in batch if purchase.key not in fresh])
    return _outcomes(batch, judged, fresh, known)


async def record_one(purchase: NewPurchase, *, principal: Principal, now: datetime) -> PurchaseView:
    """`record` of one.

    Raises:
        PurchaseKeyReused: the source reported this number for another purchase.
        PurchaseInvalid, Forbidden: as `record`.
    """
    outcome = (await record([purchase], principal=principal, now=now))[0]
    if isinstance(outcome, PurchaseKeyReused):
        raise outcome
    return outcome


def _check(purchase: NewPurchase, now: datetime) -> None:
    in_range = {
        "source": 0 < len(purchase.source) <= SOURCE_LENGTH_MAX,
        "external_id": 0 < len(purchase.external_id) <= EXTERNAL_ID_LENGTH_MAX,
        "amount_fen": 0 <= purchase.amount_fen <= AMOUNT_MAX,
        "currency": purchase.currency in CURRENCIES,
        "occurred_at": purchase.occurred_at.tzinfo is not None and purchase.occurred_at <= now + CLOCK_SKEW_MAX,
    }
    for name, holds in in_range.items():
        if not holds:
            raise PurchaseInvalid(field=name)


async def _judge(batch: Sequence[NewPurchase], now: datetime) -> dict[Key, _Judged]:
    """What the first purchase under each key would earn."""
    first = {purchase.key: purchase for purchase in reversed(batch)}
    moments = [(purchase.member_id, purchase.occurred_at) for purchase in first.values()]
    benefits = await tiers_read.benefits_at(moments, now=now)
    judged: dict[Key, _Judged] = {}
    for key, purchase in first.items():
        published = await program.in_force(purchase.occurred_at, now=now)
        percent = benefits[purchase.member_id, purchase.occurred_at].multiplier_percent
        earned = rules.earned(purchase.amount_fen, multiplier_percent=percent, terms=published.terms)
        judged[key] = _Judged(purchase, published, earned)
    return judged


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
        [orjson.dumps([dict(line) for line in purchase.lines]).decode() for purchase in purchases],
        [item.earned.points for item in items],
        [item.earned.growth for item in items],
        [item.published.version for item in items],
        [purchase.occurred_at for purchase in purchases],
    )
    return {(row["source"], row["external_id"]): view_of(row) for row in rows}


async def _earn(
    fresh: Mapping[Key, PurchaseView], judged: Mapping[Key, _Judged], now: datetime
) -> list[tuple[Operation, Outcome]]:
    batch: list[Operation] = [grant for key, view in fresh.items() for grant in _grants(view, judged[key], now)]
    posted = list(zip(batch, await ledger.post(batch, now=now), strict=True))
    for _, outcome in posted:
        ensure(isinstance(outcome, Posted) and not outcome.replayed, "a purchase that was just inserted earned nothing")
    return posted


def _grants(view: PurchaseView, judged: _Judged, now: datetime) -> list[Grant]:
    terms = judged.published.terms
    reason = {
        "purchase_id": view.id,
        "amount_fen": view.amount_fen,
        "store_id": view.store_id,
        "multiplier_percent": judged.earned.multiplier_percent,
        "terms": view.terms_version,
    }
    lasts = validity.of_points(terms, now)
    return [
        Grant(
            member_id=view.member_id,
            asset=asset,
            amount=amount,
            key=earn_key(view.id, asset),
            kind="purchase",
            reason=reason,
            occurred_at=view.occurred_at,
            effective_at=effective_at,
            expires_at=lasts.expires_at if asset == Asset.POINTS else None,
            idle=lasts.idle if asset == Asset.POINTS else None,
        )
        for asset, amount, effective_at in (
            (Asset.POINTS, view.points, now),
            # Growth value counts in the period in which the purchase happened, however late it is reported.
            (Asset.GROWTH, view.growth, view.occurred_at),
        )
        if amount
    ]


def earn_key(purchase_id: int, asset: Asset) -> str:
    """The ledger key under which a purchase earned `asset`."""
    return f"purchase:{purchase_id}:{asset}"


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
) -> list[PurchaseOutcome]:
    outcomes: list[PurchaseOutcome] = []
    answered: set[Key] = set()
    for purchase in batch:
        key = purchase.key
        if key in fresh:
            view, fingerprint = fresh[key], judged[key].purchase.fingerprint
        else:
            view, fingerprint = known[key]
        if fingerprint != purchase.fingerprint:
            outcomes.append(PurchaseKeyReused(source=purchase.source, external_id=purchase.external_id))
        else:
            outcomes.append(replace(view, replayed=True) if key in answered else view)
        answered.add(key)
    return outcomes
