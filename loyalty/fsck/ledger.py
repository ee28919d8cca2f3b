"""What must always be true of the ledger: sums that agree, whichever way they are counted."""

from typing import Final

from loyalty.fsck.invariant import Invariant

# How much a posting adds to each of the member's own accounts; what is owed grows when it is the source.
_ACCOUNTS: Final = """
    coalesce(sum(CASE 'available' WHEN destination THEN amount WHEN source THEN -amount ELSE 0 END), 0) AS available,
    coalesce(sum(CASE 'pending' WHEN destination THEN amount WHEN source THEN -amount ELSE 0 END), 0) AS pending,
    coalesce(sum(CASE 'held' WHEN destination THEN amount WHEN source THEN -amount ELSE 0 END), 0) AS held,
    coalesce(sum(CASE 'arrears' WHEN destination THEN -amount WHEN source THEN amount ELSE 0 END), 0) AS arrears
"""

LEDGER: Final = (
    Invariant(
        "balance_equals_postings",
        "a balance is the sum of everything posted to and from it",
        f"""
        SELECT format('member %s %s: balance %s/%s/%s/%s, postings %s/%s/%s/%s', b.member_id, b.asset, b.available,
                      b.pending, b.held, b.arrears, p.available, p.pending, p.held, p.arrears)
        FROM ledger_balance b LEFT JOIN (
            SELECT member_id, asset, {_ACCOUNTS} FROM ledger_posting GROUP BY member_id, asset
        ) p USING (member_id, asset)
        WHERE (b.available, b.pending, b.held, b.arrears)
              <> (coalesce(p.available, 0), coalesce(p.pending, 0), coalesce(p.held, 0), coalesce(p.arrears, 0))
        """,
    ),
    Invariant(
        "balance_equals_lots",
        "what is available and what is pending is what is left in the member's lots",
        """
        SELECT format('member %s %s: balance %s/%s, lots %s/%s', b.member_id, b.asset, b.available, b.pending,
                      coalesce(l.active, 0), coalesce(l.pending, 0))
        FROM ledger_balance b LEFT JOIN (
            SELECT member_id, asset, coalesce(sum(remaining) FILTER (WHERE state = 'active'), 0) AS active,
                   coalesce(sum(remaining) FILTER (WHERE state = 'pending'), 0) AS pending
            FROM ledger_lot GROUP BY member_id, asset
        ) l USING (member_id, asset) WHERE (b.available, b.pending) <> (coalesce(l.active, 0), coalesce(l.pending, 0))
        """,
    ),
    Invariant(
        "balance_equals_holds",
        "what is held is what open holds have reserved",
        """
        SELECT format('member %s %s: held %s, holds %s', b.member_id, b.asset, b.held, coalesce(h.total, 0))
        FROM ledger_balance b LEFT JOIN (
            SELECT member_id, asset, sum(amount) AS total FROM ledger_hold WHERE state = 'open'
            GROUP BY member_id, asset
        ) h USING (member_id, asset) WHERE b.held <> coalesce(h.total, 0)
        """,
    ),
    Invariant(
        "hold_equals_postings",
        "a hold has reserved exactly its amount from the member's lots",
        """
        SELECT format('hold %s of member %s: amount %s, postings %s', h.id, h.member_id, h.amount, coalesce(p.total, 0))
        FROM ledger_hold h LEFT JOIN (
            SELECT entry_id, sum(amount) AS total FROM ledger_posting WHERE destination = 'held' AND lot_id IS NOT NULL
            GROUP BY entry_id
        ) p ON p.entry_id = h.id WHERE h.amount <> coalesce(p.total, 0)
        """,
    ),
    Invariant(
        "lot_equals_postings",
        "what is left of a lot is what was put in less what was taken out",
        """
        SELECT format('lot %s of member %s: remaining %s, postings %s',
                      l.id, l.member_id, l.remaining, coalesce(p.total, 0))
        FROM ledger_lot l LEFT JOIN (
            SELECT lot_id, sum(CASE WHEN destination IN ('available', 'pending') THEN amount ELSE 0 END
                               - CASE WHEN source IN ('available', 'pending') THEN amount ELSE 0 END) AS total
            FROM ledger_posting WHERE lot_id IS NOT NULL GROUP BY lot_id
        ) p ON p.lot_id = l.id WHERE l.remaining <> coalesce(p.total, 0)
        """,
    ),
    Invariant(
        "entry_equals_postings",
        "the changes an entry shows are the changes its postings make",
        f"""
        SELECT format('entry %s of member %s: shows %s/%s/%s/%s', e.id, e.member_id, e.delta, e.pending_delta,
                      e.held_delta, e.arrears_delta)
        FROM ledger_entry e LEFT JOIN (
            SELECT entry_id, {_ACCOUNTS} FROM ledger_posting GROUP BY entry_id
        ) p ON p.entry_id = e.id
        WHERE (e.delta, e.pending_delta, e.held_delta, e.arrears_delta)
              <> (coalesce(p.available - p.arrears, 0), coalesce(p.pending, 0), coalesce(p.held, 0),
                  coalesce(p.arrears, 0))
        """,
    ),
    Invariant(
        "statement_readds",
        "a statement re-adds line by line to the balance it shows",
        """
        SELECT format('entry %s of member %s: shows %s, adds up to %s', id, member_id, balance_after, running) FROM (
            SELECT id, member_id, balance_after, sum(delta) OVER (PARTITION BY member_id, asset ORDER BY id) AS running
            FROM ledger_entry
        ) lines WHERE balance_after <> running
        """,
    ),
    Invariant(
        "debts_are_paid_first",
        "nobody owes units while usable ones are in their lots",
        """
        SELECT format('member %s %s: owes %s', b.member_id, b.asset, b.arrears) FROM ledger_balance b
        WHERE b.arrears > 0 AND EXISTS (
            SELECT 1 FROM ledger_lot l WHERE l.member_id = b.member_id AND l.asset = b.asset AND l.remaining > 0
              AND l.state = 'active' AND l.expires_at IS NULL
        )
        """,
    ),
    Invariant(
        "reversals_within_original",
        "all reversals of an entry together give back no more than it took",
        """
        SELECT format('entry %s of member %s: took %s, given back %s', o.id, o.member_id, o.amount, r.total)
        FROM ledger_entry o JOIN (
            SELECT reverses_id, member_id, sum(delta) AS total FROM ledger_entry
            WHERE reverses_id IS NOT NULL AND delta > 0 GROUP BY reverses_id, member_id
        ) r ON r.reverses_id = o.id AND r.member_id = o.member_id WHERE r.total > o.amount
        """,
    ),
)
