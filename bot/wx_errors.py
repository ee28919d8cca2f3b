"""WeChat's error codes (公众号 and 小程序) in terms of what to do next; the numbers mean other things elsewhere."""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from bot.channel import Rejected, RejectReason

TOKEN_CODES: Final = frozenset({40001, 40014, 41001, 42001})
"""The access token is bad or too old: reread the shared one, else renew, and try once more."""

LOGIN_CODE_CODES: Final = frozenset({40029, 40163, 41008, 42003})
"""A login, OAuth or phone code is wrong, used or too old: the person's client must fetch a new one."""

ALREADY_DONE: Final = frozenset({45065, 65301})
"""A repeat of something that was carried out before: as good as success."""

BUSY: Final = -1

_BEIJING: Final = timezone(timedelta(hours=8))
_MINUTE_S: Final = 60.0
_MOMENT_S: Final = 2.0

REASONS: Final[Mapping[int, RejectReason]] = {
    BUSY: RejectReason.RATE,
    43108: RejectReason.RATE,  # another send to the same person is under way
    45011: RejectReason.RATE,
    45066: RejectReason.RATE,
    50001: RejectReason.RATE,
    45009: RejectReason.QUOTA,
    40003: RejectReason.BLOCKED,
    40226: RejectReason.BLOCKED,
    43004: RejectReason.BLOCKED,
    43019: RejectReason.BLOCKED,
    48002: RejectReason.BLOCKED,
    49003: RejectReason.BLOCKED,
    50005: RejectReason.BLOCKED,
    45015: RejectReason.NO_WINDOW,
    45047: RejectReason.NO_WINDOW,
    43101: RejectReason.NO_GRANT,
    40001: RejectReason.CONFIGURATION,  # after a renewal, or from the token endpoint itself
    40014: RejectReason.CONFIGURATION,
    41001: RejectReason.CONFIGURATION,
    42001: RejectReason.CONFIGURATION,
    40002: RejectReason.CONFIGURATION,
    40013: RejectReason.CONFIGURATION,
    40125: RejectReason.CONFIGURATION,
    40164: RejectReason.CONFIGURATION,
    40243: RejectReason.CONFIGURATION,
    41002: RejectReason.CONFIGURATION,
    41004: RejectReason.CONFIGURATION,
    43107: RejectReason.CONFIGURATION,
    48001: RejectReason.CONFIGURATION,
    48004: RejectReason.CONFIGURATION,
    48006: RejectReason.CONFIGURATION,
    50002: RejectReason.CONFIGURATION,
    61004: RejectReason.CONFIGURATION,
    61007: RejectReason.CONFIGURATION,
    89503: RejectReason.CONFIGURATION,
    40007: RejectReason.CONTENT,
    40029: RejectReason.CONTENT,
    40033: RejectReason.CONTENT,
    40037: RejectReason.CONTENT,
    40163: RejectReason.CONTENT,
    40169: RejectReason.CONTENT,
    41008: RejectReason.CONTENT,
    41030: RejectReason.CONTENT,
    42003: RejectReason.CONTENT,
    45002: RejectReason.CONTENT,
    45168: RejectReason.CONTENT,
    47001: RejectReason.CONTENT,
    47003: RejectReason.CONTENT,
    87014: RejectReason.CONTENT,
}
"""Code → reason. A code that is not here is `CONTENT`: never repeated unchanged, and nothing else stops."""

_RETRY_AFTER_S: Final[Mapping[int, float]] = {
    BUSY: _MOMENT_S,
    43108: _MOMENT_S,
    50001: _MOMENT_S,
    45011: _MINUTE_S,
    45066: _MINUTE_S,
}


def rejection(code: int, detail: str, *, now: datetime, quota_by_minute: bool = False) -> Rejected:
    """What refusal `code` means; a used-up quota says how many seconds until it is filled again.

    Official accounts count by the day of Beijing, mini-programs by the minute (`quota_by_minute`).
    """
    reason = REASONS.get(code, RejectReason.CONTENT)
    retry_after_s = _RETRY_AFTER_S.get(code)
    if reason is RejectReason.QUOTA:
        retry_after_s = _MINUTE_S if quota_by_minute else _until_midnight_s(now)
    return Rejected(reason, str(code), detail[:200], retry_after_s)


def _until_midnight_s(now: datetime) -> float:
    local = now.astimezone(_BEIJING)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - local).total_seconds()
