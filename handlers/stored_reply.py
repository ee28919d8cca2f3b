"""A reply as it is kept beside its inbox entry, so that a repeat is answered with the same words.

The inbox writes the dataclass as JSON; this is the way back.
"""

from collections.abc import Mapping
from typing import Any, Final

from handlers.messages import Ask, Button, Card, CardRow, Reply

FOLLOWED_UP: Final[Mapping[str, bool]] = {"followed_up": True}


def was_followed_up(kept: Mapping[str, Any]) -> bool:
    """True when everything beside the passive answer was sent."""
    return bool(kept.get("followed_up"))


def from_json(kept: Mapping[str, Any] | None) -> Reply:
    """The reply that was kept; a silent one when the first delivery was only acknowledged."""
    if kept is None:
        return Reply()
    card = kept["card"]
    return Reply(
        text=kept["text"],
        buttons=tuple(Button(**button) for button in kept["buttons"]),
        card=None if card is None else Card(**{**card, "rows": tuple(CardRow(**row) for row in card["rows"])}),
        ask=Ask(kept["ask"]),
    )
