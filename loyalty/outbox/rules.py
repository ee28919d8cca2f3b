"""What may be queued. Values only, so that whoever decides stays pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

SendClass = Literal["service_notice", "marketing", "staff"]
TRANSACTION: Final = "transaction"
MARKETING: Final = "marketing"
"""The purpose of marketing: consent is asked for the channel that would carry it, when it would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something to tell one person. `key` makes it once; `notice` names its words in `templates/notices`;
    `purpose` is the consent that must hold at the moment of sending. `bulk`, as all marketing is, goes to many at
    once and never delays what somebody waits for."""

    key: str
    notice: str
    send_class: SendClass
    purpose: str
    member_id: int | None = None
    staff_id: int | None = None
    identity_id: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    due_at: datetime
    give_up_at: datetime
    bulk: bool = False
