"""What QR codes and start links carry: a store, a coupon or a link code, and nothing else acts."""

import re
from dataclasses import dataclass
from typing import Final

LINK: Final = "link"
COUPON: Final = "coupon"
STORE: Final = "store"

# Telegram's start payloads know no colon.
_SCENE: Final = re.compile(r"(?P<kind>link|coupon|store)[:_](?P<value>[\w-]{1,60})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scene:
    """One code's meaning: `kind` is LINK, COUPON or STORE."""

    kind: str
    value: str


def read(text: str | None) -> Scene | None:
    """The scene of a code, or None for posters that merely tell where somebody came from."""
    found = _SCENE.fullmatch((text or "").strip())
    return Scene(found["kind"], found["value"]) if found else None


def kept(text: str | None) -> str | None:
    """What is remembered of where somebody came from; a link code is a secret and not a place."""
    scene = read(text)
    return None if scene is not None and scene.kind == LINK else text
