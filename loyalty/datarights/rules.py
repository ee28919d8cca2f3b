"""Every table that says something about a member: what an export shows of it, what erasure does to it. Pure.

The one registry behind export, erasure and the privacy page; a test holds it against the migrated database.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final


class Erasure(StrEnum):
    """DELETE: the rows go. UNLINK: the row stays without naming the member. OWN_RULE: `datarights.service` has a
    rule for it. KEEP: history under a number that names nobody once identities and keys are gone; `why` says
    what obliges us to keep it."""

    DELETE = "delete"
    UNLINK = "unlink"
    OWN_RULE = "own_rule"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Holding:
    """One table. `section` is its name in the export and `columns` what is shown, both empty when nothing is
    said that another section does not say."""

    table: str
    erasure: Erasure
    why: str
    section: str = ""
    columns: tuple[str, ...] = ()


HOLDINGS: Final = (
    Holding(
        "channel_identity",
        Erasure.DELETE,
        "who you are on each platform",
        "channels",
        ("channel", "account", "external_id", "union_id", "state", "scene", "locale", "first_seen_at", "last_seen_at"),
    ),
    Holding(
        "consent",
        Erasure.KEEP,
        "proof of what was allowed and refused (PIPL art. 14)",
        "consents",
        ("purpose", "granted", "text_version", "channel", "evidence", "at"),
    ),
    Holding(
        "draw_record",
        Erasure.KEEP,
        "records of a draw are kept two years at least (规范促销行为暂行规定)",
        "draws",
        ("day", "serial", "nonce", "rolled", "prize", "link", "paid_by", "at"),
    ),
    Holding(
        "draw_win", Erasure.KEEP, "what was won and handed over", "wins", ("prize", "status", "at", "handed_over_at")
    ),
    Holding(
        "mall_order",
        Erasure.OWN_RULE,
        "what you did not get yet is cancelled, addresses go; transaction records stay (电子商务法 art. 31)",
        "exchanges",
        ("state", "delivery", "asset", "points", "money_fen", "tracking", "at"),
    ),
    Holding("draw_chance", Erasure.KEEP, "what further chances were given for"),
    Holding(
        "ledger_balance",
        Erasure.OWN_RULE,
        "what remains is taken back",
        "balances",
        ("asset", "available", "pending", "held", "arrears"),
    ),
    Holding("checkout", Erasure.KEEP, "orders at tills; the purchases say the same"),
    Holding("ledger_hold", Erasure.KEEP, "what was reserved; the movements say the same"),
    Holding(
        "ledger_entry",
        Erasure.KEEP,
        "books are kept whole",
        "movements",
        ("asset", "kind", "amount", "delta", "balance_after", "reason", "occurred_at"),
    ),
    Holding(
        "ledger_lot",
        Erasure.KEEP,
        "books are kept whole",
        "expiries",
        ("asset", "original", "remaining", "effective_at", "expires_at"),
    ),
    Holding("ledger_posting", Erasure.KEEP, "books are kept whole; the movements say the same"),
    Holding("check_in", Erasure.KEEP, "what points were given for", "check_ins", ("day", "streak", "points", "at")),
    Holding(
        "purchase",
        Erasure.KEEP,
        "transaction records are kept three years (电子商务法 art. 31)",
        "purchases",
        ("source", "external_id", "amount_fen", "refunded_fen", "currency", "lines", "points", "growth", "occurred_at"),
    ),
    Holding(
        "refund",
        Erasure.KEEP,
        "transaction records are kept three years (电子商务法 art. 31)",
        "refunds",
        ("source", "external_id", "amount_fen", "points_taken", "points_forgiven", "occurred_at"),
    ),
    Holding(
        "payment",
        Erasure.KEEP,
        "transaction records are kept three years (电子商务法 art. 31)",
        "payments",
        ("number", "platform", "purpose", "amount_fen", "status", "created_at", "paid_at"),
    ),
    Holding("stored_account", Erasure.DELETE, "whether stored value is frozen, and the PIN for larger payments"),
    Holding(
        "stored_slice",
        Erasure.KEEP,
        "records of a prepaid card are kept five years (商务部令2012年第9号)",
        "top_ups",
        ("source", "paid_fen", "bonus_fen", "status", "paid_at"),
    ),
    Holding(
        "stored_use",
        Erasure.KEEP,
        "records of a prepaid card are kept five years (商务部令2012年第9号)",
        "stored_value_used",
        ("key", "amount_fen", "list_fen", "returned_fen", "occurred_at"),
    ),
    Holding(
        "stored_payout",
        Erasure.KEEP,
        "records of a prepaid card are kept five years (商务部令2012年第9号)",
        "stored_value_paid_out",
        ("cause", "principal_fen", "interest_fen", "calculation", "reason", "paid_out_at"),
    ),
    Holding("stored_permit", Erasure.DELETE, "a yes to one payment, good for minutes"),
    Holding(
        "coupon",
        Erasure.OWN_RULE,
        "what was not used is void",
        "coupons",
        ("template_id", "status", "origin", "claimed_at", "expires_at", "redeemed_at"),
    ),
    Holding(
        "tier_interval",
        Erasure.OWN_RULE,
        "the present tier ends",
        "tiers",
        ("ladder", "tier", "reason", "starts_at", "ends_at"),
    ),
    Holding(
        "tier_override",
        Erasure.KEEP,
        "who set your tier by hand, and why",
        "tiers_by_hand",
        ("ladder", "tier", "reason", "status", "created_at", "ends_at"),
    ),
    Holding(
        "tier_standing",
        Erasure.DELETE,
        "when your tiers are looked at next",
        "tier_dates",
        ("ladder", "tier", "since", "review_at", "falls_at", "rises_at"),
    ),
    Holding("session", Erasure.DELETE, "logins", "logins", ("created_at", "expires_at", "revoked_at")),
    Holding(
        "outbox",
        Erasure.OWN_RULE,
        "what is not sent yet is not sent",
        "messages",
        ("notice", "purpose", "channel", "status", "created_at", "finished_at"),
    ),
    Holding(
        "journey_run",
        Erasure.OWN_RULE,
        "what runs ends",
        "automations",
        ("journey", "status", "started_at", "finished_at"),
    ),
    Holding(
        "point_grant",
        Erasure.KEEP,
        "what points were given for",
        "given_by_staff",
        ("points", "reason", "status", "day"),
    ),
    Holding(
        "point_deduction",
        Erasure.KEEP,
        "what points were taken for",
        "taken_by_staff",
        ("points", "taken", "owed", "forgiven", "reason", "status", "day"),
    ),
    Holding(
        "refund_request",
        Erasure.KEEP,
        "transaction records are kept three years (电子商务法 art. 31)",
        "refunds_asked_for",
        ("money_fen", "reason", "status", "created_at"),
    ),
    Holding(
        "member_event",
        Erasure.KEEP,
        "what points were given for",
        "told_by_others",
        ("source", "external_id", "name", "data", "occurred_at"),
    ),
    Holding("earning_fact", Erasure.KEEP, "what was counted for which award; the awards say what came of it"),
    Holding(
        "earning_award",
        Erasure.KEEP,
        "by which rule points were given",
        "awards",
        ("rule", "version", "asset", "amount", "wanted", "returned", "withheld"),
    ),
    Holding("earning_counter", Erasure.DELETE, "how much of a limit was used"),
    Holding(
        "approval", Erasure.KEEP, "who decided about value", "approvals", ("kind", "amount", "status", "created_at")
    ),
    Holding(
        "audit_entry",
        Erasure.KEEP,
        "who looked at or changed your data",
        "accesses",
        ("at", "actor_kind", "action", "outcome", "reason"),
    ),
    Holding(
        "data_request",
        Erasure.KEEP,
        "proof that a request was answered",
        "requests",
        ("kind", "status", "requested_at", "due_at", "finished_at"),
    ),
    Holding("event", Erasure.KEEP, "history without personal values", "history", ("name", "data", "at")),
    Holding(
        "phone_claim", Erasure.DELETE, "numbers in dispute", "phone_claims", ("status", "requested_at", "effective_at")
    ),
    Holding("staff", Erasure.UNLINK, "an employee's own membership"),
    Holding("union_link", Erasure.DELETE, "shown with the channels"),
    Holding("link_code", Erasure.DELETE, "one-time codes, stored hashed"),
    Holding("phone_code", Erasure.DELETE, "one-time codes, stored hashed"),
    Holding("member_code_use", Erasure.DELETE, "one-time codes that were used"),
    Holding("offline_code_use", Erasure.DELETE, "which sale a signed code stood for"),
    Holding("member_key", Erasure.OWN_RULE, "destroyed: every sealed value, backups included, becomes noise"),
    Holding("erasure_log", Erasure.KEEP, "replayed after a restore; names nobody"),
)
# Held under a channel identity rather than a member, and gone with it.
IDENTITY_TABLES: Final = ("reach_window", "reach_grant")

_FORMULA_STARTS: Final = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")


def csv_parts(document: Mapping[str, Any]) -> dict[str, str]:
    """The sections of an export as CSV files by name, one row per entry; a cell that a spreadsheet would run
    as a formula is text (ASVS 1.2.10)."""
    return {
        name: _csv(rows if isinstance(rows, list) else [rows])
        for name, rows in document.items()
        if isinstance(rows, list | Mapping)
    }


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return "'" + text if text.startswith(_FORMULA_STARTS) and not isinstance(value, int) else text
