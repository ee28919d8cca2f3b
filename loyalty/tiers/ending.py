"""Points that end with a tier: when a review lowers a member, what the ladder names is over at that instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from loyalty.errors import ensure
from loyalty.ladders import queries as ladders_read
from loyalty.ledger import queries as ledger_read
from loyalty.ledger import service as ledger
from loyalty.ledger.service import Account, Asset, Operation, Posted, Spend


@dataclass(frozen=True, slots=True)
class Lowered:
    """A review lowered a member on `ladder`; `event_id` makes the end of their points once."""

    event_id: int
    member_id: int
    ladder: str
    tier: str
    at: datetime


async def end_points(lowered: Sequence[Lowered], *, now: datetime) -> None:
    """Book as expired whatever the members have of the kinds that their ladders end with a tier.

    Booked by the relay in a unit of work of its own: the sweep that lowered holds the standing, a purchase holds the
    account first and asks for the standing then.
    """
    ladders = await ladders_read.in_force(now)
    ending: Mapping[str, tuple[str, ...]] = {
        code: published.ladder.ends_points for code, published in ladders.by_code.items()
    }
    concerned = [one for one in lowered if ending.get(one.ladder)]
    balances = await ledger_read.balances([one.member_id for one in concerned], at=now) if concerned else {}
    batch: list[Operation] = [
        Spend(
            member_id=one.member_id,
            asset=Asset(kind),
            amount=amount,
            key=f"tier_lowered:{one.event_id}:{kind}",
            kind="tier_lowered",
            occurred_at=one.at,
            reason={"ladder": one.ladder, "tier": one.tier},
            destination=Account.EXPIRED,
        )
        for one in concerned
        for kind in ending[one.ladder]
        if (amount := balances[one.member_id].of(Asset(kind)).available) > 0
    ]
    for outcome in await ledger.post(batch, now=now):
        # Somebody spent at this very moment: the relay tries again with what is left.
        ensure(isinstance(outcome, Posted), "what was read a moment ago can be booked")
