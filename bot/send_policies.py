"""How each notice may be sent: one row each. What has no row here cannot be queued (a test holds both lists equal)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

OnUnreachable = Literal["drop", "wait"]


@dataclass(frozen=True, slots=True)
class Policy:
    """`on_unreachable`: wait for a window until the notice gives up, or drop it at once. `waits_for_morning`:
    not sent in the programme's quiet hours. `by_template`: may leave as a template message (模板消息), which is
    for receipts of what the member did and never for reminders, coupons or greetings (platform rules).
    `facts` are what the fields of a platform's template may be filled with, beside `SHARED_FACTS`."""

    on_unreachable: OnUnreachable = "wait"
    waits_for_morning: bool = False
    by_template: bool = False
    facts: frozenset[str] = frozenset()


def _receipt(*facts: str) -> Policy:
    return Policy(by_template=True, facts=frozenset(facts))


def _reminder(*facts: str) -> Policy:
    return Policy(on_unreachable="drop", waits_for_morning=True, facts=frozenset(facts))


SHARED_FACTS: Final = frozenset({"brand", "today"})
STAFF: Final = Policy(on_unreachable="drop")

POLICIES: Final[Mapping[str, Policy]] = {
    "tier_raised": _receipt("tier", "old_tier", "growth", "multiplier_percent"),
    "tier_lowered": _receipt("tier", "old_tier"),
    "tier_retained": _receipt("tier"),
    "tier_will_lower": _reminder("tier", "missing", "days", "last_day"),
    "account_linked": _receipt(),
    "member_merged": _receipt(),
    "phone_claimed": _receipt(),
    "phone_moved": _receipt(),
    "phone_code": Policy(on_unreachable="drop"),
    "points_expiring": _reminder("points", "days", "last_day"),
    "coupon_expiring": _reminder("count", "days", "last_day"),
    "birthday": _reminder("points", "year"),
    "approval_requested": STAFF,
    "approval_decided": STAFF,
}
