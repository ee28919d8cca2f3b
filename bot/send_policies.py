"""How each notice may be sent: one row each. What has no row here cannot be queued (a test holds both lists equal)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

OnUnreachable = Literal["drop", "wait"]


@dataclass(frozen=True, slots=True)
class Policy:
    """`on_unreachable`: wait for a window until the notice gives up, or drop it at once. `waits_for_morning`:
    not sent in the programme's quiet hours. `by_template`: may leave as a template message (模板消息), which is
    for receipts of what the member did and never for reminders, coupons or greetings (platform rules)."""

    on_unreachable: OnUnreachable = "wait"
    waits_for_morning: bool = False
    by_template: bool = False


RECEIPT: Final = Policy(by_template=True)
SECURITY: Final = Policy(by_template=True)
REMINDER: Final = Policy(on_unreachable="drop", waits_for_morning=True)
STAFF: Final = Policy(on_unreachable="drop")

POLICIES: Final[Mapping[str, Policy]] = {
    "tier_raised": RECEIPT,
    "account_linked": SECURITY,
    "member_merged": SECURITY,
    "phone_claimed": SECURITY,
    "phone_moved": SECURITY,
    "phone_code": Policy(on_unreachable="drop"),
    "points_expiring": REMINDER,
    "coupon_expiring": REMINDER,
    "birthday": REMINDER,
    "approval_requested": STAFF,
    "approval_decided": STAFF,
}
