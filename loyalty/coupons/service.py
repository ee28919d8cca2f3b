"""Coupons come to members: claimed exactly within stock and limit, expired when their time is over.

`claim` takes many and costs a fixed number of statements: read the templates, hold those that can still
give, read what the members have, then count and write in one statement. The stock CHECK, the unique
ordinal and the conditional update refuse what a wrong plan would do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from loyalty import db
from loyalty.coupon_templates import queries as templates
from loyalty.coupon_templates.queries import TemplateView
from loyalty.coupon_templates.rules import expires_at
from loyalty.coupon_templates.service import TemplateUnknown
from loyalty.coupons import rules
from loyalty.coupons.rules import Held, Pair, Plan, Wanted
from loyalty.errors import Conflict, Refusal, ensure
from loyalty.events import CouponClaimed, CouponExpired
from loyalty.program import queries as program
from loyalty.spine import service as spine
from loyalty.tiers import queries as tiers

KEY_LENGTH_MAX: Final = 120

Origin = Literal["claim", "journey", "staff", "import", "draw", "mall"]

_HOLD = "SELECT id, stock - issued AS left FROM coupon_template WHERE id = ANY($1) ORDER BY id FOR UPDATE"
_HELD = """
SELECT template_id, member_id, id, ordinal, claim_key, expires_at FROM coupon
WHERE (template_id, member_id) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
"""
_ISSUE = """
WITH taken AS (
    UPDATE coupon_template AS template SET issued = template.issued + given.count
    FROM unnest($1::bigint[], $2::bigint[]) AS given(id, count)
    WHERE template.id = given.id AND (template.stock IS NULL OR template.issued + given.count <= template.stock)
    RETURNING template.id
)
INSERT INTO coupon (member_id, template_id, ordinal, status, origin, claim_key, claimed_at, expires_at)
SELECT given.member_id, given.template_id, given.ordinal, 'issued', given.origin, given.claim_key, $3, given.expires_at
FROM unnest($4::bigint[], $5::bigint[], $6::int[], $7::text[], $8::text[], $9::timestamptz[]) WITH ORDINALITY
     AS given(member_id, template_id, ordinal, origin, claim_key, expires_at, place)
JOIN taken ON taken.id = given.template_id
ORDER BY given.place
ON CONFLICT DO NOTHING
RETURNING id, member_id, template_id, ordinal
"""
_EXPIRE = """
UPDATE coupon SET status = 'expired' WHERE id IN (
    SELECT id FROM coupon WHERE status = 'issued' AND expires_at <= $1
    ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, member_id, template_id, expires_at
"""


class SoldOut(Conflict):
    """Every coupon of this template is taken."""

    code = "coupons.sold_out"


class LimitReached(Conflict):
    """The member has had as many as one member may; `limit` says how many."""

    code = "coupons.limit_reached"


class NotYet(Conflict):
    """Claiming starts at `claim_from`."""

    code = "coupons.not_yet"


class Ended(Conflict):
    """Claiming is over."""

    code = "coupons.ended"


class TierTooLow(Conflict):
    """Only members of `tiers` may claim."""

    code = "coupons.tier_too_low"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRequest:
    """One member wants one coupon. The same `key` of the same member and template gets the same coupon again;
    without one, each request is a new wish. Only a member's own claim needs a template that is open to claims."""

    member_id: int
    template_id: int
    key: str | None = None
    origin: Origin = "claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """The member has this coupon; `replayed` when an earlier request with the same key got it."""

    coupon_id: int
    member_id: int
    template_id: int
    ordinal: int
    expires_at: datetime
    replayed: bool = False


ClaimOutcome = Claimed | SoldOut | LimitReached | NotYet | Ended | TierTooLow | TemplateUnknown


async def claim(batch: Sequence[ClaimRequest], *, now: datetime) -> list[ClaimOutcome]:
    """Give each request its coupon or its refusal, in order, first come first served.

    Five statements for any batch that gives coupons, one more when a template is for some tiers only; two
    when everything is sold out.
    """
    if not batch:
        return []
    found = await templates.templates(sorted({request.template_id for request in batch}))
    outcomes = await _refusals(batch, found, now)
    wanted = [
        Wanted(place, request.member_id, request.template_id, found[request.template_id].per_member_limit, request.key)
        for place, request in enumerate(batch)
        if place not in outcomes
    ]
    if wanted:
        outcomes |= await _settle(batch, wanted, found, now)
    return [outcomes[place] for place in range(len(batch))]


async def claim_one(request: ClaimRequest, *, now: datetime) -> Claimed:
    """`claim` of one.

    Raises:
        SoldOut, LimitReached, NotYet, Ended, TierTooLow, TemplateUnknown
    """
    outcome = (await claim([request], now=now))[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def expire_due(*, now: datetime, batch_max: int) -> int:
    """Close at most `batch_max` coupons whose time is over; how many. They counted no more even before."""
    rows = await db.fetch(_EXPIRE, now, batch_max)
    await spine.record(
        *(
            CouponExpired(
                member_id=row["member_id"], at=row["expires_at"], coupon_id=row["id"], template_id=row["template_id"]
            )
            for row in sorted(rows, key=lambda row: int(row["id"]))
        ),
        now=now,
    )
    return len(rows)


async def void_all(member_ids: Iterable[int]) -> int:
    """Make the unused coupons of members who closed their account worthless; how many."""
    return await db.execute(
        "UPDATE coupon SET status = 'void' WHERE member_id = ANY($1) AND status = 'issued'", list(member_ids)
    )


async def _refusals(
    batch: Sequence[ClaimRequest], found: Mapping[int, TemplateView], now: datetime
) -> dict[int, ClaimOutcome]:
    """What can be refused without knowing limit and stock, by place."""
    choosy = sorted({r.member_id for r in batch if r.template_id in found and found[r.template_id].tiers})
    held = await tiers.tiers_of(choosy, at=now) if choosy else {}
    refused: dict[int, ClaimOutcome] = {}
    for place, request in enumerate(batch):
        own = held.get(request.member_id, frozenset())
        refusal = _refusal(request, found.get(request.template_id), own, now)
        if refusal is not None:
            refused[place] = refusal
    return refused


def _refusal(
    request: ClaimRequest, template: TemplateView | None, held: frozenset[str], now: datetime
) -> ClaimOutcome | None:
    if template is None or (request.origin == "claim" and not template.claimable):
        return TemplateUnknown()
    if not template.is_active or (template.valid_until is not None and template.valid_until <= now):
        return Ended()
    if request.origin == "claim" and template.claim_from > now:
        return NotYet(claim_from=template.claim_from)
    if request.origin == "claim" and template.claim_until is not None and template.claim_until <= now:
        return Ended()
    if template.tiers and held.isdisjoint(template.tiers):
        return TierTooLow(tiers=template.tiers)
    return None


async def _settle(
    batch: Sequence[ClaimRequest], wanted: Sequence[Wanted], found: Mapping[int, TemplateView], now: datetime
) -> dict[int, ClaimOutcome]:
    left = await _hold({claim.template_id: found[claim.template_id].left for claim in wanted})
    held = await _held({claim.pair for claim in wanted})
    made = rules.plan(wanted, held, left)
    issued = await _issue(batch, made, found, now) if made.issues else {}
    outcomes: dict[int, ClaimOutcome] = dict(issued)
    for claim in wanted:
        place = claim.place
        if place in made.replays:
            coupon = made.replays[place]
            outcomes[place] = _claimed_before(claim, coupon.id, coupon.ordinal, coupon.expires_at)
        elif place in made.repeats:
            first = issued[made.repeats[place]]
            outcomes[place] = _claimed_before(claim, first.coupon_id, first.ordinal, first.expires_at)
        elif place in made.limited:
            outcomes[place] = LimitReached(limit=claim.per_member_limit)
        elif place in made.sold_out:
            outcomes[place] = SoldOut()
    return outcomes


async def _hold(read: Mapping[int, int | None]) -> dict[int, int | None]:
    """The stock left of each template, held until the unit of work ends, so that limits are counted exactly.

    A template that was sold out when read is not held: stock only grows by a marketer's hand.
    """
    left = dict(read)
    giving = sorted(template_id for template_id, count in left.items() if count != 0)
    if giving:
        left |= {row["id"]: row["left"] for row in await db.fetch(_HOLD, giving)}
    return left


async def _held(pairs: Iterable[Pair]) -> dict[Pair, list[Held]]:
    wanted = sorted(pairs)
    held: dict[Pair, list[Held]] = {}
    rows = await db.fetch(_HELD, [template_id for template_id, _ in wanted], [member_id for _, member_id in wanted])
    for row in rows:
        coupon = Held(row["id"], row["ordinal"], row["claim_key"], row["expires_at"])
        held.setdefault((row["template_id"], row["member_id"]), []).append(coupon)
    return held


async def _issue(
    batch: Sequence[ClaimRequest], made: Plan, found: Mapping[int, TemplateView], now: datetime
) -> dict[int, Claimed]:
    zone = (await program.in_force(now)).terms.calendar
    ends = {
        template_id: expires_at(
            now, valid_days=found[template_id].valid_days, valid_until=found[template_id].valid_until, zone=zone
        )
        for template_id in made.taken
    }
    rows = await db.fetch(
        _ISSUE,
        list(made.taken),
        list(made.taken.values()),
        now,
        [issue.member_id for issue in made.issues],
        [issue.template_id for issue in made.issues],
        [issue.ordinal for issue in made.issues],
        [batch[issue.place].origin for issue in made.issues],
        [issue.key for issue in made.issues],
        [ends[issue.template_id] for issue in made.issues],
    )
    ensure(len(rows) == len(made.issues), "stock and limits were held while they were counted")
    ids = {(row["template_id"], row["member_id"], row["ordinal"]): row["id"] for row in rows}
    issued = {
        issue.place: Claimed(
            coupon_id=ids[issue.template_id, issue.member_id, issue.ordinal],
            member_id=issue.member_id,
            template_id=issue.template_id,
            ordinal=issue.ordinal,
            expires_at=ends[issue.template_id],
        )
        for issue in made.issues
    }
    await _tell(issued.values(), now)
    return issued


async def _tell(issued: Iterable[Claimed], now: datetime) -> None:
    await spine.record(
        *(
            CouponClaimed(
                member_id=coupon.member_id, at=now, coupon_id=coupon.coupon_id, template_id=coupon.template_id
            )
            for coupon in issued
        ),
        now=now,
    )


def _claimed_before(claim: Wanted, coupon_id: int, ordinal: int, ends: datetime) -> Claimed:
    return Claimed(
        coupon_id=coupon_id,
        member_id=claim.member_id,
        template_id=claim.template_id,
        ordinal=ordinal,
        expires_at=ends,
        replayed=True,
    )
