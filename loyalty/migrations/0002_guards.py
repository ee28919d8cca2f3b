"""What Tortoise does not emit: checks, conditional uniqueness, partial indexes, append-only history.

Every guard here is the last word on value: verbs are written so that they do not hit it, and tests
remove the verb's own care to see that the guard does its work.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

APPEND_ONLY = (
    "ledger_entry",
    "ledger_posting",
    "event",
    "earning_fact",
    "audit_entry",
    "audit_link",
    "audit_day",
    "consent",
    "draw_record",
    "mall_item_version",
    "mall_order_step",
)

CHECKS = (
    ("ledger_balance", "balance_not_negative", "available >= 0 AND pending >= 0 AND held >= 0 AND arrears >= 0"),
    ("ledger_lot", "lot_within_original", "remaining >= 0 AND unused >= 0 AND remaining + unused <= original"),
    ("ledger_lot", "lot_amount_in_range", "original BETWEEN 1 AND 1000000000000"),
    ("ledger_lot", "lot_lives_forward", "expires_at IS NULL OR expires_at >= effective_at"),
    ("ledger_lot", "lot_state_known", "state IN ('active', 'pending', 'cancelled', 'closed')"),
    ("ledger_lot", "ended_lot_is_empty", "state NOT IN ('cancelled', 'closed') OR remaining = 0"),
    ("ledger_lot", "pending_lot_waits", "state <> 'pending' OR (activates_at IS NULL) <> (event IS NULL)"),
    ("ledger_hold", "hold_amount_in_range", "amount BETWEEN 1 AND 1000000000000"),
    ("ledger_hold", "hold_state_known", "state IN ('open', 'captured', 'voided', 'expired', 'moved')"),
    ("ledger_hold", "hold_resolved_once", "(state = 'open') = (resolved_at IS NULL)"),
    ("ledger_entry", "entry_amount_in_range", "amount BETWEEN 0 AND 1000000000000"),
    ("ledger_posting", "posting_amount_in_range", "amount BETWEEN 1 AND 1000000000000"),
    ("ledger_posting", "posting_moves", "source <> destination"),
    ("tier_standing", "pin_whole", "(pinned_tier IS NULL) = (pinned_until IS NULL)"),
    (
        "tier_override",
        "override_status_known",
        "status IN ('pending', 'active', 'refused', 'expired', 'ended', 'replaced')",
    ),
    ("ladder_move", "move_status_known", "status IN ('running', 'done')"),
    ("ladder_move", "move_downgrades_known", "downgrades IN ('at_review', 'at_once')"),
    ("ladder_version", "ladder_status_known", "status IN ('draft', 'published')"),
    (
        "ladder_version",
        "ladder_published_whole",
        "(status = 'published') = (effective_from IS NOT NULL AND published_by IS NOT NULL)",
    ),
    ("coupon_template", "stock_not_oversold", "issued >= 0 AND (stock IS NULL OR issued <= stock)"),
    ("coupon_template", "validity_given", "valid_days IS NOT NULL OR valid_until IS NOT NULL"),
    ("coupon", "coupon_status_known", "status IN ('issued', 'redeemed', 'expired', 'void')"),
    ("coupon", "coupon_redeemed_once", "(status = 'redeemed') = (redeemed_at IS NOT NULL)"),
    ("member", "member_status_known", "status IN ('guest', 'active', 'restricted', 'closed', 'merged')"),
    ("purchase", "purchase_amount_in_range", "amount_fen BETWEEN 0 AND 1000000000000"),
    ("purchase", "refund_within_purchase", "refunded_fen BETWEEN 0 AND amount_fen"),
    ("purchase", "points_returned_within_spent", "points_returned BETWEEN 0 AND points_spent"),
    ("refund", "refund_amount_in_range", "amount_fen BETWEEN 1 AND 1000000000000"),
    ("check_in", "streak_counts_from_one", "streak >= 1"),
    ("reach_window", "window_not_overdrawn", "remaining >= 0"),
    ("reach_grant", "grant_not_overdrawn", "remaining >= 0"),
    ("approval", "approver_is_another", "decided_by IS NULL OR decided_by <> requested_by"),
    ("approval", "approval_status_known", "status IN ('pending', 'approved', 'refused', 'expired')"),
    ("approval", "approval_decided_by_one", "(status IN ('approved', 'refused')) = (decided_by IS NOT NULL)"),
    (
        "staff",
        "staff_role_known",
        "role IN ('clerk', 'manager', 'marketer', 'finance', 'auditor', 'security_admin', 'system_admin')",
    ),
    ("point_grant", "grant_amount_in_range", "points BETWEEN 1 AND 1000000000"),
    ("point_grant", "grant_status_known", "status IN ('posted', 'pending', 'refused', 'expired')"),
    ("point_grant_day", "grant_day_not_negative", "points >= 0"),
    ("staff_allowance", "allowance_not_negative", "used >= 0"),
    ("point_deduction", "deduction_amount_in_range", "points BETWEEN 1 AND 1000000000"),
    ("point_deduction", "deduction_status_known", "status IN ('posted', 'pending', 'refused', 'expired')"),
    (
        "point_deduction",
        "deduction_adds_up",
        (
            "least(taken, owed, forgiven) >= 0"
            " AND taken + owed + forgiven = CASE status WHEN 'posted' THEN points ELSE 0 END"
        ),
    ),
    ("refund_request", "request_status_known", "status IN ('posted', 'pending', 'refused', 'expired')"),
    ("refund_request", "request_posted_once", "(status = 'posted') = (refund_id IS NOT NULL)"),
    ("refund", "refund_takes_no_negative", "points_taken >= 0 AND points_forgiven >= 0 AND growth_taken >= 0"),
    (
        "outbox",
        "outbox_status_known",
        "status IN ('queued', 'leased', 'sending', 'accepted', 'rejected', 'unknown', 'suppressed', 'expired')",
    ),
    ("journey_run", "journey_status_known", "status IN ('waiting', 'done', 'exited', 'failed')"),
    ("phone_claim", "claim_status_known", "status IN ('waiting', 'moved', 'refused')"),
    ("phone_claim", "claim_against_another", "member_id <> holder_id"),
    ("member_merge", "merge_of_two", "source_id <> target_id"),
    ("checkout", "checkout_status_known", "status IN ('held', 'settled', 'voided')"),
    ("draw", "draw_status_known", "status IN ('draft', 'published', 'withdrawn')"),
    ("draw_stock", "prizes_not_overdrawn", "won BETWEEN 0 AND stock"),
    ("mall_item", "mall_not_oversold", "taken BETWEEN 0 AND stock"),
    ("mall_item", "mall_status_known", "status IN ('on', 'off')"),
    (
        "mall_order",
        "mall_state_known",
        (
            "state IN ('awaiting_payment', 'to_ship', 'to_collect', 'shipped', 'delivered', 'collected',"
            " 'cancelled', 'refunded')"
        ),
    ),
    (
        "mall_order",
        "mall_amounts_in_range",
        "points BETWEEN 1 AND 1000000000000 AND money_fen BETWEEN 0 AND 1000000000000",
    ),
    ("mall_order", "mall_money_has_its_time", "(money_fen > 0) = (pay_by IS NOT NULL)"),
    ("draw_chance", "chances_are_some", "count >= 1"),
    ("draw_win", "win_status_known", "status IN ('given', 'waiting', 'handed_over', 'owed')"),
    ("draw_win", "win_handed_over_once", "(status = 'handed_over') = (handed_over_at IS NOT NULL)"),
    (
        "earning_rule",
        "earning_rule_status_known",
        "status IN ('draft', 'waiting', 'published', 'refused', 'withdrawn')",
    ),
    ("earning_rule", "earning_rule_lasts", "effective_from IS NULL OR effective_until > effective_from"),
    ("earning_budget", "earning_budget_kept", "used BETWEEN 0 AND total"),
    ("earning_counter", "earning_counter_not_negative", "amount >= 0 AND times >= 0"),
    ("earning_award", "earning_award_within_wanted", "amount BETWEEN 0 AND wanted"),
    ("earning_award", "earning_returned_within_award", "returned BETWEEN 0 AND amount"),
    ("payment", "payment_status_known", "status IN ('open', 'paid', 'closed')"),
    ("payment", "payment_amount_in_range", "amount_fen BETWEEN 1 AND 1000000000000"),
    ("payment", "payment_paid_once", "(status = 'paid') = (paid_at IS NOT NULL)"),
    ("stored_slice", "slice_amounts_in_range", "paid_fen BETWEEN 1 AND 1000000000000 AND bonus_fen >= 0"),
    ("stored_slice", "slice_status_known", "status IN ('open', 'paid_out')"),
    ("stored_use", "stored_return_within_use", "amount_fen >= 1 AND returned_fen BETWEEN 0 AND amount_fen"),
    ("stored_use", "stored_list_covers_use", "list_fen >= amount_fen"),
    ("stored_part", "stored_part_not_negative", "principal_fen >= 0 AND bonus_fen >= 0"),
    ("stored_payout", "payout_cause_known", "cause IN ('merchant', 'consumer', 'withdrawal')"),
    ("stored_payout", "payout_not_negative", "principal_fen >= 0 AND interest_fen >= 0"),
    ("session", "session_belongs_to_one", "(member_id IS NULL) <> (staff_id IS NULL)"),
)

INDEXES = (
    (
        "CREATE INDEX identity_union_unasked ON channel_identity (channel, account, id)"
        " WHERE union_id IS NULL AND union_asked_at IS NULL"
    ),
    "CREATE INDEX lot_open ON ledger_lot (member_id, asset) WHERE remaining > 0",
    "CREATE INDEX lot_expiring ON ledger_lot (expires_at) WHERE state = 'active' AND expires_at IS NOT NULL",
    "CREATE INDEX lot_moved ON ledger_lot (member_id, grant_key) WHERE moved",
    (
        "CREATE INDEX lot_due ON ledger_lot (activates_at) WHERE state = 'pending' AND remaining > 0"
        " AND activates_at IS NOT NULL"
    ),
    (
        "CREATE INDEX lot_lost ON ledger_lot (cancels_at) WHERE state = 'pending' AND remaining > 0"
        " AND cancels_at IS NOT NULL"
    ),
    "CREATE UNIQUE INDEX hold_called_once ON ledger_hold (member_id, key) WHERE state <> 'moved'",
    "CREATE INDEX hold_open ON ledger_hold (expires_at) WHERE state = 'open'",
    "CREATE UNIQUE INDEX member_phone_once ON member (phone_index) WHERE phone_index IS NOT NULL",
    "CREATE UNIQUE INDEX phone_claim_open_once ON phone_claim (phone_index) WHERE status = 'waiting'",
    "CREATE UNIQUE INDEX tier_open_once ON tier_interval (member_id, ladder) WHERE ends_at IS NULL",
    "CREATE UNIQUE INDEX override_active_once ON tier_override (member_id, ladder) WHERE status = 'active'",
    "CREATE INDEX ladder_move_due ON ladder_move (due_at, id) WHERE status = 'running'",
    "CREATE INDEX tier_due ON tier_standing (due_at, id) WHERE due_at IS NOT NULL",
    "CREATE UNIQUE INDEX merged_once ON member_merge (source_id) WHERE undone_at IS NULL",
    "CREATE UNIQUE INDEX coupon_redemption_once ON coupon (redemption_key) WHERE redemption_key IS NOT NULL",
    "CREATE INDEX coupon_expiring ON coupon (expires_at) WHERE status = 'issued'",
    "CREATE UNIQUE INDEX earning_rule_open_once ON earning_rule (code) WHERE status IN ('draft', 'waiting')",
    "CREATE INDEX outbox_due ON outbox (bulk, due_at) WHERE status = 'queued'",
    "CREATE INDEX outbox_leased ON outbox (lease_until) WHERE status IN ('leased', 'sending')",
    "CREATE INDEX outbox_unreachable ON outbox (member_id) WHERE status = 'queued' AND code = 'unreachable'",
    "CREATE INDEX journey_due ON journey_run (due_at) WHERE status = 'waiting'",
    (
        "CREATE UNIQUE INDEX entry_reversed_once ON ledger_entry (member_id, reverses_id, key)"
        " WHERE reverses_id IS NOT NULL"
    ),
)

# Rows that are updated again and again keep room beside them: a new version on the same page needs no index entries.
FILL_FACTORS = (("ledger_balance", 70),)
# Ranges stand for the equality of numbers and codes, so that no extension is needed.
EXCLUSIONS = (
    (
        "tier_interval",
        "tier_held_once",
        (
            "int8range(member_id, member_id, '[]') WITH &&,"
            " int8range(hashtextextended(ladder, 0), hashtextextended(ladder, 0), '[]') WITH &&,"
            " tstzrange(starts_at, ends_at) WITH &&"
        ),
    ),
)

REFUSE_CHANGE = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are history: they are never changed or removed', TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$
"""


def _statements() -> list[str]:
    return [
        "SET LOCAL lock_timeout = '3s'",
        *(f'ALTER TABLE "{table}" ADD CONSTRAINT {name} CHECK ({rule})' for table, name, rule in CHECKS),
        *INDEXES,
        *(f"ALTER TABLE {table} SET (fillfactor = {percent})" for table, percent in FILL_FACTORS),
        *(
            f'ALTER TABLE "{table}" ADD CONSTRAINT {name} EXCLUDE USING gist ({rule})'
            for table, name, rule in EXCLUSIONS
        ),
        REFUSE_CHANGE,
        *(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            for table in APPEND_ONLY
        ),
    ]


class Migration(migrations.Migration):
    """Guards of the first schema."""

    dependencies = [("loyalty", "0001_initial")]
    operations = [ops.RunSQL(_statements())]
