"""The journeys there are, each a path of nodes. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from loyalty.journeys.moves import Node
from loyalty.journeys.nodes.grant_coupon import GrantCoupon
from loyalty.journeys.nodes.grant_points import GrantPoints
from loyalty.journeys.nodes.send import Send
from loyalty.journeys.nodes.wait_until_hour import WaitUntilHour

BIRTHDAY: Final = "birthday"
_LEAP_DAY: Final = 229
_LAST_OF_FEBRUARY: Final = 228


@dataclass(frozen=True, slots=True)
class Journey:
    """Nodes by name, in the order in which they are passed."""

    nodes: Mapping[str, Node]

    def first(self) -> str:
        """Where a run begins."""
        return next(iter(self.nodes))

    def after(self, node: str) -> str | None:
        """The node after `node`; None at the end."""
        names = [*self.nodes, None]
        return names[names.index(node) + 1]


JOURNEYS: Final[Mapping[str, Journey]] = {
    BIRTHDAY: Journey(
        {
            "morning": WaitUntilHour(lambda terms: terms.birthday.send_at_hour),
            "gift": GrantPoints(
                points=lambda terms, benefits: (
                    terms.birthday.points if benefits.birthday_points is None else benefits.birthday_points
                ),
                key=lambda run: f"birthday:{run.data['year']}",
                kind="birthday",
            ),
            "coupon": GrantCoupon(
                template=lambda benefits: benefits.birthday_coupon, key=lambda run: f"birthday:{run.data['year']}"
            ),
            # The receipt of a benefit of membership rather than an advertisement, but one that can wait.
            "greeting": Send("birthday", "service_notice", "transaction", within=timedelta(days=2)),
        }
    ),
}


def birthdays_on(day: date) -> list[int]:
    """The birthdays (month and day as one number) that are kept on `day`: 29 February is kept on the 28th in
    years that do not have it."""
    kept = [day.month * 100 + day.day]
    if kept == [_LAST_OF_FEBRUARY] and (day + timedelta(days=1)).month == 3:  # noqa: PLR2004 - March
        kept.append(_LEAP_DAY)
    return kept
