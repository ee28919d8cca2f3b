"""Who an endpoint is for."""

from enum import StrEnum


class Audience(StrEnum):
    """Everybody, or the bearer of one kind of credential."""

    ANYONE = "anyone"
    MEMBER = "member"
    STAFF = "staff"
    PARTNER = "partner"
