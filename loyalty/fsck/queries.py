"""What must always be true of live data, each as a query for the rows that break it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from loyalty import db
from loyalty.audit import chain
from loyalty.fsck.invariant import Invariant
from loyalty.fsck.ledger import LEDGER

INVARIANTS: Final = (
    *LEDGER,
    Invariant(
        "coupons_equal_issued",
        "a template has issued exactly the coupons that exist, and no more than its stock",
        """
        SELECT format('template %s: issued %s, coupons %s, stock %s', t.id, t.issued, coalesce(c.total, 0), t.stock)
        FROM coupon_template t LEFT JOIN (SELECT template_id, count(*) AS total FROM coupon GROUP BY template_id) c
            ON c.template_id = t.id
        WHERE t.issued <> coalesce(c.total, 0) OR t.issued > t.stock
        """,
    ),
    Invariant(
        "mall_stock_is_its_orders",
        "what is taken of an item is the orders that hold one of it; the stock of codes is their pool",
        """
        SELECT format('item %s: taken %s, orders %s, stock %s', i.code, i.taken, coalesce(o.total, 0), i.stock)
        FROM mall_item i
        LEFT JOIN (SELECT item_id, count(*) AS total FROM mall_order WHERE holds_stock GROUP BY item_id) o
            ON o.item_id = i.id
        LEFT JOIN (SELECT item_id, count(*) AS total FROM mall_code GROUP BY item_id) c ON c.item_id = i.id
        WHERE i.taken <> coalesce(o.total, 0) OR i.taken > i.stock OR c.total <> i.stock
        """,
    ),
    Invariant(
        "mall_codes_have_one_order",
        "a code was given to an order of its own item that got it, and every such order has one",
        """
        SELECT format('code %s, order %s', c.id, o.id) FROM mall_code c FULL JOIN (
            SELECT o.id, o.item_id FROM mall_order o WHERE o.state = 'delivered'
            AND EXISTS (SELECT 1 FROM mall_code p WHERE p.item_id = o.item_id)
        ) o ON o.id = c.order_id
        WHERE (c.id IS NULL AND o.id IS NOT NULL) OR (o.id IS NOT NULL AND o.item_id <> c.item_id)
        """,
    ),
    Invariant(
        "mall_points_are_booked",
        "the points of an order that was paid are its ledger entry, and came back once where it ended",
        """
        SELECT format('mall order %s: %s points, spent %s, back %s', o.id, o.points, s.amount, b.amount)
        FROM mall_order o
        LEFT JOIN ledger_entry s
            ON s.key = 'mall:' || o.id || CASE WHEN o.money_fen > 0 THEN ':paid' ELSE '' END AND s.kind = 'mall'
        LEFT JOIN ledger_entry b ON b.key = 'mall:' || o.id || ':back' AND b.kind = 'mall_returned'
        WHERE (o.state NOT IN ('awaiting_payment', 'cancelled') AND s.amount IS DISTINCT FROM o.points)
           OR (o.state IN ('cancelled', 'refunded') AND b.amount IS DISTINCT FROM s.amount)
           OR (o.state NOT IN ('cancelled', 'refunded') AND b.id IS NOT NULL)
        """,
    ),
    Invariant(
        "check_ins_paid_once",
        "every check-in that promised points has exactly its ledger entry",
        """
        SELECT format('check-in %s of member %s on %s', c.id, c.member_id, c.day) FROM check_in c
        WHERE c.points > 0 AND NOT EXISTS (
            SELECT 1 FROM ledger_entry e
            WHERE (e.key = 'check_in:' || c.day || ':points' OR starts_with(e.key, 'check_in:' || c.day || ':points:'))
              AND e.member_id IN (
                -- A merge moves the check-in; the entry keeps naming who it was booked for.
                WITH RECURSIVE whole AS (
                    SELECT c.member_id AS id
                    UNION SELECT merge.source_id FROM member_merge merge JOIN whole ON merge.target_id = whole.id
                )
                SELECT id FROM whole
            ) GROUP BY e.member_id HAVING sum(e.amount) = c.points
        )
        """,
    ),
    Invariant(
        "refunds_equal_purchase",
        "what a purchase shows as refunded is the sum of its refunds",
        """
        SELECT format('purchase %s: refunded %s, refunds %s', p.id, p.refunded_fen, coalesce(r.total, 0))
        FROM purchase p LEFT JOIN (SELECT purchase_id, sum(amount_fen) AS total FROM refund GROUP BY purchase_id) r
            ON r.purchase_id = p.id WHERE p.refunded_fen <> coalesce(r.total, 0)
        """,
    ),
    Invariant(
        "stored_uses_equal_parts",
        "what a payment with stored value took, less what came back, is what its top-ups gave",
        """
        SELECT format('stored use %s: %s paid, %s back, parts %s', use.id, use.amount_fen, use.returned_fen,
                      coalesce(part.total, 0))
        FROM stored_use use LEFT JOIN (
            SELECT use_id, sum(principal_fen + bonus_fen) AS total FROM stored_part GROUP BY use_id
        ) part ON part.use_id = use.id
        WHERE use.amount_fen - use.returned_fen <> coalesce(part.total, 0)
        """,
    ),
    Invariant(
        "stored_slices_equal_lots",
        "what is left of a top-up is what was paid and given on top, less what was used or paid out",
        """
        SELECT format('top-up %s of member %s: %s + %s', slice.id, slice.member_id, slice.paid_fen, slice.bonus_fen)
        FROM stored_slice slice
        LEFT JOIN (
            SELECT slice_id, sum(principal_fen) AS principal, sum(bonus_fen) AS bonus FROM stored_part GROUP BY slice_id
        ) used ON used.slice_id = slice.id
        LEFT JOIN stored_payout payout ON payout.slice_id = slice.id
        LEFT JOIN (
            SELECT split_part(grant_key, ':', 2)::bigint AS slice_id,
                   sum(remaining) FILTER (WHERE asset = 'principal') AS principal,
                   sum(remaining) FILTER (WHERE asset = 'bonus') AS bonus
            FROM ledger_lot WHERE asset IN ('principal', 'bonus') AND starts_with(grant_key, 'stored:')
            GROUP BY slice_id
        ) lots ON lots.slice_id = slice.id
        JOIN member ON member.id = slice.member_id AND member.status <> 'closed'
        WHERE (slice.paid_fen - coalesce(used.principal, 0) - coalesce(payout.principal_taken_fen, 0)
                  <> coalesce(lots.principal, 0))
           OR (slice.bonus_fen - coalesce(used.bonus, 0) - coalesce(payout.bonus_taken_fen, 0)
                  <> coalesce(lots.bonus, 0))
        """,
    ),
    Invariant(
        "payments_bought_once",
        "every paid top-up by a payment platform is one slice",
        """
        SELECT format('payment %s', payment.number) FROM payment
        WHERE payment.status = 'paid' AND payment.purpose = 'top_up' AND NOT EXISTS (
            SELECT 1 FROM stored_slice slice WHERE slice.key = 'payment:' || payment.number
              AND slice.paid_fen = payment.amount_fen)
        """,
    ),
    Invariant(
        "requests_and_approvals_agree",
        "what waits for another person has an open approval, and what one approved was carried out once",
        """
        SELECT format('%s %s is %s, its approval %s', r.what, r.id, r.status, a.status) FROM (
            SELECT 'deduction' AS what, id, status, approval_id FROM point_deduction
            UNION ALL SELECT 'grant', id, status, approval_id FROM point_grant
            UNION ALL SELECT 'refund request', id, status, approval_id FROM refund_request
        ) r LEFT JOIN approval a ON a.id = r.approval_id
        WHERE r.status <> CASE a.status WHEN 'approved' THEN 'posted' ELSE coalesce(a.status, 'posted') END
        """,
    ),
    Invariant(
        "one_open_tier",
        "a member's tier intervals neither overlap nor run backwards",
        """
        SELECT format('tier interval %s of member %s', id, member_id) FROM (
            SELECT id, member_id, starts_at, ends_at,
                   lead(starts_at) OVER (PARTITION BY member_id, ladder ORDER BY starts_at, id) AS next_start
            FROM tier_interval
        ) t WHERE ends_at < starts_at OR ends_at > next_start OR (ends_at IS NULL AND next_start IS NOT NULL)
        """,
    ),
    Invariant(
        "tiers_held_are_stood",
        "the tier that a member holds is the one where they stand, unless somebody set another by hand",
        """
        SELECT format('member %s holds %s of %s, stands on %s', i.member_id, i.tier, i.ladder, coalesce(s.tier, ''))
        FROM tier_interval i JOIN member m ON m.id = i.member_id AND m.status NOT IN ('closed', 'merged')
        LEFT JOIN tier_standing s ON s.member_id = i.member_id AND s.ladder = i.ladder
        WHERE i.ends_at IS NULL AND s.pinned_tier IS NULL AND i.tier IS DISTINCT FROM s.tier
        """,
    ),
    Invariant(
        "identities_lead_to_living_members",
        "whoever writes to us or is vouched for by a unionid is a member that is neither merged away nor closed",
        """
        SELECT format('%s %s leads to %s member %s', i.what, i.id, coalesce(m.status, 'no'), i.member_id) FROM (
            SELECT 'identity' AS what, id, member_id FROM channel_identity
            UNION ALL SELECT 'unionid', id, member_id FROM union_link
        ) i LEFT JOIN member m ON m.id = i.member_id WHERE m.status IS NULL OR m.status IN ('merged', 'closed')
        """,
    ),
    Invariant(
        "members_have_key_and_accounts",
        "every member that is not closed has a data key, and every member has the accounts it was opened with",
        """
        SELECT format('member %s: key %s, accounts %s', m.id, k.wrapped_key IS NOT NULL, coalesce(b.total, 0))
        FROM member m LEFT JOIN member_key k ON k.member_id = m.id
        LEFT JOIN (SELECT member_id, count(*) AS total FROM ledger_balance GROUP BY member_id) b ON b.member_id = m.id
        WHERE (k.wrapped_key IS NULL) <> (m.status = 'closed') OR coalesce(b.total, 0) < 2
        """,
    ),
    Invariant(
        "closed_members_hold_nothing_personal",
        "a closed account keeps no value, mask or index of a name, phone or birthday",
        """
        SELECT format('member %s', id) FROM member WHERE status = 'closed' AND (
            name_sealed IS NOT NULL OR name_masked IS NOT NULL OR phone_sealed IS NOT NULL OR phone_masked IS NOT NULL
            OR phone_index IS NOT NULL OR birthday_sealed IS NOT NULL OR birthday_month_day IS NOT NULL)
        """,
    ),
    Invariant(
        "pending_events_exist",
        "everything queued for subscribers is an event that was recorded",
        """
        SELECT format('pending event %s', p.event_id) FROM event_pending p LEFT JOIN event e ON e.id = p.event_id
        WHERE e.id IS NULL
        """,
    ),
    Invariant(
        "audit_chain_holds",
        "no entry of the audit trail was changed, removed, added or moved after it was sealed",
        chain.EVERYTHING_BROKEN,
    ),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """The rows that break one invariant, at most `limit` of them named."""

    invariant: Invariant
    broken: tuple[str, ...]


# Who moved last, and as many from anywhere.
_SAMPLE: Final = """
(SELECT DISTINCT member_id FROM (SELECT member_id FROM ledger_entry ORDER BY id DESC LIMIT $1) AS latest)
UNION
(SELECT member_id FROM ledger_balance
 WHERE id >= (SELECT floor(random() * coalesce(max(id), 0))::bigint FROM ledger_balance) ORDER BY id LIMIT $1)
"""


async def check_some(*, members_max: int) -> tuple[int, list[Finding]]:
    """Ask of a sample of members whatever can be asked of some alone; how many were looked at, and what is broken."""
    sample = [row["member_id"] for row in await db.fetch(_SAMPLE, members_max)]
    found = [
        Finding(invariant, tuple(str(row[0]) for row in await db.fetch(f"{invariant.of_members} LIMIT 20", sample)))
        for invariant in INVARIANTS
        if invariant.of_members is not None
    ]
    return len(sample), [finding for finding in found if finding.broken]


async def check_all(*, limit: int = 20) -> AsyncIterator[Finding]:
    """Run every invariant; one finding each, empty when it holds."""
    for invariant in INVARIANTS:
        rows = await db.fetch(f"{invariant.sql} LIMIT {limit:d}")
        yield Finding(invariant, tuple(str(row[0]) for row in rows))
