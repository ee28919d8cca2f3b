"""Give a coupon that a benefit of the member names, once per run and whatever is retried."""

from collections.abc import Callable
from dataclasses import dataclass

from loyalty.journeys.moves import CouponGift, Moment, Move, Run
from loyalty.ladders.rules import Benefits


@dataclass(frozen=True, slots=True)
class GrantCoupon:
    """`template` reads the coupon template's code from the member's benefits; None gives nothing. `key` names the
    gift among the member's coupons of that template."""

    template: Callable[[Benefits], str | None]
    key: Callable[[Run], str]

    def decide(self, run: Run, moment: Moment) -> Move:
        """Give and go on; a template that is sold out or gone is no reason to keep the member waiting."""
        template = self.template(moment.benefits_of(run.member_id))
        if template is None:
            return Move()
        return Move(coupons=(CouponGift(run.member_id, template, self.key(run)),))
