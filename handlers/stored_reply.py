"""A reply as it is kept beside its inbox entry, so that a repeat is answered with the same words.

It is sealed: a reply may show a coupon's code, a link code or the masks of a name, which are kept nowhere else.
"""

import base64
from collections.abc import Mapping
from typing import Any, Final

import orjson

from handlers.messages import Ask, Button, Card, CardRow, Reply
from loyalty import vault

FOLLOWED_UP: Final[Mapping[str, bool]] = {"followed_up": True}


def was_followed_up(kept: Mapping[str, Any]) -> bool:
    """True when everything beside the passive answer was sent."""
    return bool(kept.get("followed_up"))


def to_json(reply: Reply, *, place: str) -> dict[str, str]:
    """`reply` as it is kept at `place`, the source and key of its inbox entry."""
    return {"sealed": base64.b64encode(vault.seal(orjson.dumps(reply), context=_context(place))).decode()}


def from_json(kept: Mapping[str, Any], *, place: str) -> Reply:
    """The reply that was kept at `place`."""
    plain = orjson.loads(vault.unseal(base64.b64decode(kept["sealed"]), context=_context(place)))
    card = plain["card"]
    return Reply(
        text=plain["text"],
        buttons=tuple(Button(**button) for button in plain["buttons"]),
        card=None if card is None else Card(**{**card, "rows": tuple(CardRow(**row) for row in card["rows"])}),
        ask=Ask(plain["ask"]),
    )


def _context(place: str) -> str:
    return f"inbox.answer:{place}"
