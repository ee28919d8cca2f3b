"""Give points, once per run and whatever is retried: the ledger key is the run's own."""

from collections.abc import Callable
from dataclasses import dataclass

from loyalty.journeys.moves import Moment, Move, Run
from loyalty.ladders.rules import Benefits
from loyalty.ledger.operations import Asset, Grant
from loyalty.program import validity
from loyalty.program.terms import Terms


@dataclass(frozen=True, slots=True)
class GrantPoints:
    """`points` reads the amount from the terms and the member's benefits; `key` names the gift within their ledger."""

    points: Callable[[Terms, Benefits], int]
    key: Callable[[Run], str]
    kind: str

    def decide(self, run: Run, moment: Moment) -> Move:
        """Give and go on; nothing to give is no gift."""
        points = self.points(moment.terms, moment.benefits_of(run.member_id))
        if not points:
            return Move(data={"points": 0})
        lasts = validity.of_points(moment.terms, moment.now)
        grant = Grant(
            member_id=run.member_id,
            asset=Asset.POINTS,
            amount=points,
            key=self.key(run),
            kind=self.kind,
            reason={"journey": run.journey, "run_id": run.id},
            occurred_at=moment.now,
            expires_at=lasts.expires_at,
            idle=lasts.idle,
        )
        return Move(grants=(grant,), data={"points": points})
