"""What the Bot API's refusals mean for us, as data. Source: Bot API error answers seen up to 2026-11."""

from typing import Final

from bot.channel import Accepted, Rejected, RejectReason, SendResult, Unknown

ALREADY_DONE: Final = ("message is not modified",)
"""Refusals with code 400 that say our wish is already fulfilled."""

MEANINGS: Final[tuple[tuple[int, str, RejectReason], ...]] = (
    (403, "", RejectReason.BLOCKED),
    (400, "chat not found", RejectReason.BLOCKED),
    (400, "user not found", RejectReason.BLOCKED),
    (400, "user is deactivated", RejectReason.BLOCKED),
    (400, "peer_id_invalid", RejectReason.BLOCKED),
    (400, "user_is_blocked", RejectReason.BLOCKED),
    (400, "input_user_deactivated", RejectReason.BLOCKED),
    (400, "group chat was upgraded", RejectReason.BLOCKED),
    (400, "query is too old", RejectReason.NO_WINDOW),
    (400, "query id is invalid", RejectReason.NO_WINDOW),
    (400, "", RejectReason.CONTENT),
    (413, "", RejectReason.CONTENT),
    (401, "", RejectReason.CONFIGURATION),
    (404, "", RejectReason.CONFIGURATION),
    (409, "", RejectReason.CONFIGURATION),
    (429, "", RejectReason.RATE),
)
"""HTTP code, a part of the description in lower case, meaning; the first row that fits counts."""

RETRY_AFTER_DEFAULT_S: Final = 5.0
_BAD_REQUEST: Final = 400


def meaning_of(code: int, description: str, retry_after_s: float | None) -> SendResult:
    """What a refusal means; codes without a row (5xx above all) leave the outcome unknown."""
    spoken = description.lower()
    if code == _BAD_REQUEST and any(phrase in spoken for phrase in ALREADY_DONE):
        return Accepted()
    for row_code, phrase, reason in MEANINGS:
        if code == row_code and phrase in spoken:
            wait = (retry_after_s or RETRY_AFTER_DEFAULT_S) if reason is RejectReason.RATE else None
            return Rejected(reason, str(code), description, wait)
    return Unknown(f"{code} {description}".strip())
