"""Who gets a coupon out of a batch of claims, first come first served. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from loyalty import codes

Pair = tuple[int, int]

_CODE_USE = "coupon"


def code_of(coupon_id: int) -> str:
    """The code that redeems a coupon: shown to its holder, typed or scanned at the till."""
    return codes.encode(coupon_id, use=_CODE_USE)


def coupon_of(code: str) -> int:
    """The coupon id behind a typed code, which need not exist.

    Raises:
        CodeMistyped: no code of ours, found without asking the database.
    """
    return codes.decode(code, use=_CODE_USE)


@dataclass(frozen=True, slots=True)
class Held:
    """A coupon that the member has or had."""

    id: int
    ordinal: int
    claim_key: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """A claim that passed every check but limit and stock; `place` is its position in the batch."""

    place: int
    member_id: int
    template_id: int
    per_member_limit: int
    key: str | None

    @property
    def pair(self) -> Pair:
        """Whose limit counts."""
        return (self.template_id, self.member_id)


@dataclass(frozen=True, slots=True)
class Issue:
    """A coupon to write."""

    place: int
    member_id: int
    template_id: int
    ordinal: int
    key: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of each place: a new coupon, one that exists, one that an earlier place of this batch
    makes, nothing because of the member's limit, or nothing because of the stock."""

    issues: tuple[Issue, ...]
    replays: Mapping[int, Held]
    repeats: Mapping[int, int]
    limited: frozenset[int]
    sold_out: frozenset[int]

    @property
    def taken(self) -> Mapping[int, int]:
        """How many coupons each template gives."""
        counts: dict[int, int] = {}
        for issue in self.issues:
            counts[issue.template_id] = counts.get(issue.template_id, 0) + 1
        return counts


@dataclass(slots=True)
class _Tally:
    """What is known of one member's coupons of one template while the batch is planned."""

    count: int = 0
    last_ordinal: int = 0
    by_key: dict[str, Held | int] = field(default_factory=dict)


def plan(wanted: Sequence[Wanted], held: Mapping[Pair, Sequence[Held]], left: Mapping[int, int | None]) -> Plan:
    """Decide a batch in order. `left` is each template's remaining stock, None where there is no limit.

    The same key of the same member gets the same coupon again, whether it was issued before or by this batch.
    """
    tallies = {pair: _tally(held.get(pair, ())) for pair in {claim.pair for claim in wanted}}
    remaining = dict(left)
    issues: list[Issue] = []
    replays: dict[int, Held] = {}
    repeats: dict[int, int] = {}
    limited: set[int] = set()
    sold_out: set[int] = set()
    for claim in wanted:
        tally, stock = tallies[claim.pair], remaining[claim.template_id]
        known = tally.by_key.get(claim.key) if claim.key is not None else None
        if isinstance(known, Held):
            replays[claim.place] = known
        elif known is not None:
            repeats[claim.place] = known
        elif tally.count >= claim.per_member_limit:
            limited.add(claim.place)
        elif stock == 0:
            sold_out.add(claim.place)
        else:
            issues.append(_issue(claim, tally))
            remaining[claim.template_id] = None if stock is None else stock - 1
    return Plan(tuple(issues), replays, repeats, frozenset(limited), frozenset(sold_out))


def _tally(held: Sequence[Held]) -> _Tally:
    return _Tally(
        count=len(held),
        last_ordinal=max((coupon.ordinal for coupon in held), default=0),
        by_key={coupon.claim_key: coupon for coupon in held if coupon.claim_key is not None},
    )


def _issue(claim: Wanted, tally: _Tally) -> Issue:
    tally.count += 1
    tally.last_ordinal += 1
    if claim.key is not None:
        tally.by_key[claim.key] = claim.place
    return Issue(claim.place, claim.member_id, claim.template_id, tally.last_ordinal, claim.key)
