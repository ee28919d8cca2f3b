"""Who an endpoint is for."""

from enum import StrEnum
from typing import Final


class Audience(StrEnum):
    """Everybody, or the bearer of one kind of credential."""

    ANYONE = "anyone"
    MEMBER = "member"
    STAFF = "staff"
    PARTNER = "partner"
    CONSOLE = "console"


STAFF: Final = frozenset({Audience.STAFF, Audience.CONSOLE})
"""Whose endpoints take the session of a member of staff; the role decides what it opens."""
