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

# The same question is asked of everybody and of some members; a lot and a hold have the id of their entry.
_EVERYBODY: Final = """
WITH balance AS NOT MATERIALIZED (TABLE ledger_balance), entry AS NOT MATERIALIZED (TABLE ledger_entry),
     posting AS NOT MATERIALIZED (TABLE ledger_posting), lot AS NOT MATERIALIZED (TABLE ledger_lot),
     hold AS NOT MATERIALIZED (TABLE ledger_hold)
"""
_SOME: Final = """
WITH balance AS NOT MATERIALIZED (SELECT * FROM ledger_balance WHERE member_id = ANY($1)),
     entry AS NOT MATERIALIZED (SELECT * FROM ledger_entry WHERE member_id = ANY($1)),
     posting AS NOT MATERIALIZED (
         SELECT p.* FROM ledger_entry e JOIN ledger_posting p ON p.entry_id = e.id WHERE e.member_id = ANY($1)
     ),
     lot AS NOT MATERIALIZED (
         SELECT l.* FROM ledger_entry e JOIN ledger_lot l ON l.id = e.id WHERE e.member_id = ANY($1)
     ),
     hold AS NOT MATERIALIZED (
         SELECT h.* FROM ledger_entry e JOIN ledger_hold h ON h.id = e.id WHERE e.member_id = ANY($1)
     )
"""


def _of_the_ledger(name: str, meaning: str, sql: str) -> Invariant:
    return Invariant(name, meaning, _EVERYBODY + sql, _SOME + sql)


LEDGER: Final = (
    _of_the_ledger(
        "balance_equals_postings",
        "a balance is the sum of everything posted to and from it",
        f"""
        SELECT format('member %s %s: balance %s/%s/%s/%s, postings %s/%s/%s/%s', b.member_id, b.asset, b.available,
                      b.pending, b.held, b.arrears, p.available, p.pending, p.held, p.arrears)
        FROM balance b LEFT JOIN (
            SELECT member_id, asset, {_ACCOUNTS} FROM posting GROUP BY member_id, asset
        ) p USING (member_id, asset)
        WHERE (b.available, b.pending, b.held, b.arrears)
              <> (coalesce(p.available, 0), coalesce(p.pending, 0), coalesce(p.held, 0), coalesce(p.arrears, 0))
        """,
    ),
    _of_the_ledger(
        "balance_equals_lots",
        "what is available and what is pending is what is left in the member's lots",
        """
        SELECT format('member %s %s: balance %s/%s, lots %s/%s', b.member_id, b.asset, b.available, b.pending,
                      coalesce(l.active, 0), coalesce(l.pending, 0))
        FROM balance b LEFT JOIN (
            SELECT member_id, asset, coalesce(sum(remaining) FILTER (WHERE state = 'active'), 0) AS active,
                   coalesce(sum(remaining) FILTER (WHERE state = 'pending'), 0) AS pending
            FROM lot GROUP BY member_id, asset
        ) l USING (member_id, asset) WHERE (b.available, b.pending) <> (coalesce(l.active, 0), coalesce(l.pending, 0))
        """,
    ),
    _of_the_ledger(
        "balance_equals_holds",
        "what is held is what open holds have reserved",
        """
        SELECT format('member %s %s: held %s, holds %s', b.member_id, b.asset, b.held, coalesce(h.total, 0))
        FROM balance b LEFT JOIN (
            SELECT member_id, asset, sum(amount) AS total FROM hold WHERE state = 'open'
            GROUP BY member_id, asset
        ) h USING (member_id, asset) WHERE b.held <> coalesce(h.total, 0)
        """,
    ),
    _of_the_ledger(
        "hold_equals_postings",
        "a hold has reserved exactly its amount from the member's lots",
        """
        SELECT format('hold %s of member %s: amount %s, postings %s', h.id, h.member_id, h.amount, coalesce(p.total, 0))
        FROM hold h LEFT JOIN (
            SELECT entry_id, sum(amount) AS total FROM posting WHERE destination = 'held' AND lot_id IS NOT NULL
            GROUP BY entry_id
        ) p ON p.entry_id = h.id WHERE h.amount <> coalesce(p.total, 0)
        """,
    ),
    _of_the_ledger(
        "lot_equals_postings",
        "what is left of a lot is what was put in less what was taken out",
        """
        SELECT format('lot %s of member %s: remaining %s, postings %s',
                      l.id, l.member_id, l.remaining, coalesce(p.total, 0))
        FROM lot l LEFT JOIN (
            SELECT lot_id, sum(CASE WHEN destination IN ('available', 'pending') THEN amount ELSE 0 END
                               - CASE WHEN source IN ('available', 'pending') THEN amount ELSE 0 END) AS total
            FROM posting WHERE lot_id IS NOT NULL GROUP BY lot_id
        ) p ON p.lot_id = l.id WHERE l.remaining <> coalesce(p.total, 0)
        """,
    ),
    _of_the_ledger(
        "entry_equals_postings",
        "the changes an entry shows are the changes its postings make",
        f"""
        SELECT format('entry %s of member %s: shows %s/%s/%s/%s', e.id, e.member_id, e.delta, e.pending_delta,
                      e.held_delta, e.arrears_delta)
        FROM entry e LEFT JOIN (
            SELECT entry_id, {_ACCOUNTS} FROM posting GROUP BY entry_id
        ) p ON p.entry_id = e.id
        WHERE (e.delta, e.pending_delta, e.held_delta, e.arrears_delta)
              <> (coalesce(p.available - p.arrears, 0), coalesce(p.pending, 0), coalesce(p.held, 0),
                  coalesce(p.arrears, 0))
        """,
    ),
    _of_the_ledger(
        "statement_readds",
        "a statement re-adds line by line to the balance it shows",
        """
        SELECT format('entry %s of member %s: shows %s, adds up to %s', id, member_id, balance_after, running) FROM (
            SELECT id, member_id, balance_after, sum(delta) OVER (PARTITION BY member_id, asset ORDER BY id) AS running
            FROM entry
        ) lines WHERE balance_after <> running
        """,
    ),
    _of_the_ledger(
        "debts_are_paid_first",
        "nobody owes units while usable ones are in their lots",
        """
        SELECT format('member %s %s: owes %s', b.member_id, b.asset, b.arrears) FROM balance b
        WHERE b.arrears > 0 AND EXISTS (
            SELECT 1 FROM lot l WHERE l.member_id = b.member_id AND l.asset = b.asset AND l.remaining > 0
              AND l.state = 'active' AND l.expires_at IS NULL
        )
        """,
    ),
    _of_the_ledger(
        "reversals_within_original",
        "all reversals of an entry together give back no more than it took",
        """
        SELECT format('entry %s of member %s: took %s, given back %s', o.id, o.member_id, o.amount, r.total)
        FROM entry o JOIN (
            SELECT reverses_id, member_id, sum(delta) AS total FROM entry
            WHERE reverses_id IS NOT NULL AND delta > 0 GROUP BY reverses_id, member_id
        ) r ON r.reverses_id = o.id AND r.member_id = o.member_id WHERE r.total > o.amount
        """,
    ),
    _of_the_ledger(
        "statement_ends_at_balance",
        "the last line of a statement shows the balance",
        """
        SELECT format('member %s %s: statement ends at %s, balance is %s', b.member_id, b.asset, last.balance_after,
                      b.available - b.arrears)
        FROM balance b JOIN (
            SELECT DISTINCT ON (member_id, asset) member_id, asset, balance_after FROM entry
            ORDER BY member_id, asset, id DESC
        ) last USING (member_id, asset) WHERE last.balance_after <> b.available - b.arrears
        """,
    ),
    _of_the_ledger(
        "ends_equal_plan",
        "what is to end at an instant was planned to, less what was taken, plus what came back, less what ended",
        """
        SELECT format('member %s %s, end %s: planned %s, taken %s, returned %s, ended %s, left %s', l.member_id,
                      l.asset, l.expires_at, sum(p.planned), sum(p.taken), sum(p.returned), sum(p.ended),
                      sum(l.remaining))
        FROM lot l LEFT JOIN (
            SELECT lot_id,
                   sum(amount) FILTER (WHERE destination IN ('available', 'pending')
                                         AND source NOT IN ('available', 'pending', 'held', 'spent')) AS planned,
                   sum(amount) FILTER (WHERE source IN ('available', 'pending', 'held') AND destination
                                         NOT IN ('available', 'pending', 'held', 'expired', 'lapsed')) AS taken,
                   sum(amount) FILTER (WHERE source = 'spent') AS returned,
                   sum(amount) FILTER (WHERE destination IN ('expired', 'lapsed')) AS ended,
                   sum(CASE 'held' WHEN destination THEN amount WHEN source THEN -amount END) AS held
            FROM posting WHERE lot_id IS NOT NULL GROUP BY lot_id
        ) p ON p.lot_id = l.id
        GROUP BY l.member_id, l.asset, l.expires_at
        HAVING coalesce(sum(p.planned), 0) - coalesce(sum(p.taken), 0) + coalesce(sum(p.returned), 0)
               - coalesce(sum(p.ended), 0) <> sum(l.remaining) + coalesce(sum(p.held), 0)
        """,
    ),
    _of_the_ledger(
        "unused_equals_postings",
        "what a lot counts as ended unused is what expired and lapsed, less what claw-backs found gone",
        """
        SELECT format('lot %s of member %s: unused %s, postings %s', l.id, l.member_id, l.unused, coalesce(p.total, 0))
        FROM lot l LEFT JOIN (
            SELECT lot_id, sum(CASE WHEN destination IN ('expired', 'lapsed') THEN amount
                                    WHEN source IN ('expired', 'lapsed') THEN -amount END) AS total
            FROM posting WHERE lot_id IS NOT NULL GROUP BY lot_id
        ) p ON p.lot_id = l.id WHERE l.unused <> coalesce(p.total, 0)
        """,
    ),
    Invariant(
        "transfers_arrive",
        "what leaves a member for another one arrives there",
        """
        SELECT format('%s: %s more left than arrived', asset, sum(left_)) FROM (
            SELECT asset, CASE 'transfer' WHEN destination THEN amount WHEN source THEN -amount ELSE 0 END AS left_
            FROM ledger_posting
        ) p GROUP BY asset HAVING sum(left_) <> 0
        """,
    ),
)
