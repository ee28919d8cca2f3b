"""What becomes of each table of a member when two members turn out to be one person. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final


class Fate(StrEnum):
    """MOVES: the rows become the survivor's. STAYS: history or short-lived, it keeps naming whom it happened to.
    OWN_RULE: `merges.service` has a rule for it (uniqueness, sealed values, value itself)."""

    MOVES = "moves"
    STAYS = "stays"
    OWN_RULE = "own_rule"


# Every table with a `member_id`; a test compares this with the migrated database.
FATES: Final[Mapping[str, Fate]] = {
    "approval": Fate.STAYS,
    "audit_entry": Fate.STAYS,
    "channel_identity": Fate.MOVES,
    "check_in": Fate.OWN_RULE,
    "consent": Fate.OWN_RULE,
    "checkout": Fate.MOVES,
    "coupon": Fate.OWN_RULE,
    "data_request": Fate.MOVES,
    "draw_chance": Fate.STAYS,
    "draw_record": Fate.STAYS,
    "draw_win": Fate.MOVES,
    "earning_award": Fate.STAYS,
    "earning_counter": Fate.OWN_RULE,
    "earning_fact": Fate.STAYS,
    "erasure_log": Fate.STAYS,
    "event": Fate.STAYS,
    "journey_run": Fate.MOVES,
    "ledger_balance": Fate.OWN_RULE,
    "ledger_entry": Fate.STAYS,
    "ledger_hold": Fate.STAYS,
    "ledger_lot": Fate.OWN_RULE,
    "ledger_posting": Fate.STAYS,
    "link_code": Fate.STAYS,
    "mall_order": Fate.MOVES,
    "member_code_use": Fate.STAYS,
    "member_event": Fate.MOVES,
    "member_key": Fate.STAYS,
    "offline_code_use": Fate.STAYS,
    "outbox": Fate.MOVES,
    "payment": Fate.MOVES,
    "phone_claim": Fate.STAYS,
    "phone_code": Fate.STAYS,
    "point_deduction": Fate.MOVES,
    "point_grant": Fate.MOVES,
    "purchase": Fate.MOVES,
    "refund": Fate.MOVES,
    "refund_request": Fate.MOVES,
    "session": Fate.OWN_RULE,
    "staff": Fate.MOVES,
    "stored_account": Fate.OWN_RULE,
    "stored_payout": Fate.MOVES,
    "stored_permit": Fate.STAYS,
    "stored_slice": Fate.MOVES,
    "stored_use": Fate.STAYS,
    "tier_interval": Fate.OWN_RULE,
    "tier_override": Fate.OWN_RULE,
    "tier_standing": Fate.OWN_RULE,
    "union_link": Fate.MOVES,
}
MOVED_TABLES: Final = tuple(sorted(table for table, fate in FATES.items() if fate is Fate.MOVES))


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of two members that are one person."""

    id: int
    is_registered: bool
    joined_at: datetime


def survivor(one: Candidate, other: Candidate) -> Candidate:
    """Who stays: the registered one before the guest, then the one who came first."""
    return min(one, other, key=lambda member: (not member.is_registered, member.joined_at, member.id))
