"""WeCom's (企业微信) error codes in terms of what to do next; the same numbers mean other things at WeChat."""

from collections.abc import Mapping
from typing import Final

from bot.channel import Rejected, RejectReason

TOKEN_CODES: Final = frozenset({40001, 40014, 41001, 42001})
"""The access token is bad or too old: reread the shared one, else renew, and try once more."""

LOGIN_CODE_CODES: Final = frozenset({40029, 42022})
"""An OAuth code is wrong, used or too old: the page must fetch a new one."""

REASONS: Final[Mapping[int, RejectReason]] = {
    -1: RejectReason.RATE,
    45033: RejectReason.RATE,  # too many calls at once
    45009: RejectReason.QUOTA,
    45041: RejectReason.QUOTA,
    45045: RejectReason.QUOTA,  # as many contact ways as a corp may have
    41045: RejectReason.QUOTA,
    40003: RejectReason.BLOCKED,
    40031: RejectReason.BLOCKED,
    40096: RejectReason.BLOCKED,
    41054: RejectReason.BLOCKED,  # the member of staff has not activated the account
    43004: RejectReason.BLOCKED,
    46004: RejectReason.BLOCKED,
    60111: RejectReason.BLOCKED,
    81013: RejectReason.BLOCKED,
    84061: RejectReason.BLOCKED,  # no longer a customer of that member of staff
    41050: RejectReason.NO_WINDOW,  # welcome code unknown or older than 20 s
    41051: RejectReason.NO_WINDOW,  # already welcomed
    40001: RejectReason.CONFIGURATION,  # after a renewal, or from the token endpoint itself
    40014: RejectReason.CONFIGURATION,
    41001: RejectReason.CONFIGURATION,
    42001: RejectReason.CONFIGURATION,
    40013: RejectReason.CONFIGURATION,
    40056: RejectReason.CONFIGURATION,
    41004: RejectReason.CONFIGURATION,
    48002: RejectReason.CONFIGURATION,
    50001: RejectReason.CONFIGURATION,
    50003: RejectReason.CONFIGURATION,
    60011: RejectReason.CONFIGURATION,
    60020: RejectReason.CONFIGURATION,  # our address is not among the corp's trusted ones
    81012: RejectReason.CONFIGURATION,
    82001: RejectReason.CONFIGURATION,
    84014: RejectReason.CONFIGURATION,
    84015: RejectReason.CONFIGURATION,
    84074: RejectReason.CONFIGURATION,
    301002: RejectReason.CONFIGURATION,
    40007: RejectReason.CONTENT,
    40008: RejectReason.CONTENT,
    40029: RejectReason.CONTENT,
    40058: RejectReason.CONTENT,
    40063: RejectReason.CONTENT,
    40068: RejectReason.CONTENT,
    40126: RejectReason.CONTENT,
    41009: RejectReason.CONTENT,
    41048: RejectReason.CONTENT,  # a group send that reaches nobody
    42014: RejectReason.CONTENT,
    42015: RejectReason.CONTENT,
    42016: RejectReason.CONTENT,
    42017: RejectReason.CONTENT,
    42018: RejectReason.CONTENT,
    42019: RejectReason.CONTENT,
    42020: RejectReason.CONTENT,
    42022: RejectReason.CONTENT,
    44004: RejectReason.CONTENT,
    45002: RejectReason.CONTENT,
    47001: RejectReason.CONTENT,
    50002: RejectReason.CONTENT,
    90207: RejectReason.CONTENT,
}
"""Code → reason. A code that is not here is `CONTENT`: never repeated unchanged, and nothing else stops."""

_RETRY_AFTER_S: Final[Mapping[int, float]] = {-1: 2.0, 45033: 2.0, 45009: 60.0}
"""Quotas of WeCom count by the minute."""


def rejection(code: int, detail: str) -> Rejected:
    """What refusal `code` means."""
    return Rejected(REASONS.get(code, RejectReason.CONTENT), str(code), detail[:200], _RETRY_AFTER_S.get(code))
