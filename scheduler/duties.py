"""Every duty of the worker, one row each: its name (bells ring it), how often it looks, what it does."""

from datetime import timedelta
from typing import Final

from scheduler import journeys, outbox, payments, relay, unions
from scheduler.duty import Duty
from scheduler.sweeps import (
    audit_seal,
    birthdays,
    coupon_expiry,
    forgetting,
    ladder_moves,
    ledger_check,
    points_expiry,
    points_settling,
    reminders,
    settling,
    tiers,
)

SECOND: Final = timedelta(seconds=1)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)

DUTIES: Final = (
    Duty("relay", 1 * SECOND, relay.relay),
    Duty("outbox", 1 * SECOND, outbox.send_due),
    Duty("outbox_bulk", 1 * SECOND, outbox.send_bulk),
    Duty("journeys", 2 * SECOND, journeys.advance),
    Duty("payments", 5 * SECOND, payments.ask),
    Duty("unions", 10 * SECOND, unions.ask),
    Duty("outbox_leases", 10 * SECOND, outbox.settle_lost_leases),
    Duty("outbox_measures", 10 * SECOND, outbox.measure),
    Duty("points_settling", 1 * MINUTE, points_settling.run),
    Duty("points_expiry", 1 * MINUTE, points_expiry.run),
    Duty("ledger_check", 5 * MINUTE, ledger_check.run),
    Duty("coupon_expiry", 1 * MINUTE, coupon_expiry.run),
    Duty("tiers", 1 * MINUTE, tiers.run),
    Duty("ladder_moves", 10 * SECOND, ladder_moves.run),
    Duty("birthdays", 5 * MINUTE, birthdays.run),
    Duty("points_reminders", 5 * MINUTE, reminders.points),
    Duty("coupon_reminders", 5 * MINUTE, reminders.coupon),
    Duty("approvals", 1 * MINUTE, settling.approvals),
    Duty("phone_claims", 1 * MINUTE, settling.claimed_phones),
    Duty("late_merges", 1 * MINUTE, settling.late_merges),
    Duty("minors", 1 * HOUR, settling.grown_up),
    Duty("audit_seal", 1 * SECOND, audit_seal.run),
    Duty("forgetting", 10 * MINUTE, forgetting.run),
)
