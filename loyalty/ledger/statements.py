"""The ledger's set-based statements."""

from typing import Final

OPEN: Final = """
INSERT INTO ledger_balance (member_id, asset)
SELECT member_id, asset FROM unnest($1::bigint[]) AS member_id CROSS JOIN unnest($2::text[]) AS asset
ORDER BY member_id, asset
ON CONFLICT (member_id, asset) DO NOTHING
"""
OPEN_THESE: Final = """
INSERT INTO ledger_balance (member_id, asset)
SELECT given.member_id, given.asset FROM unnest($1::bigint[], $2::text[]) AS given(member_id, asset)
JOIN ledger_balance known ON known.member_id = given.member_id AND known.asset = 'points'
ORDER BY given.member_id, given.asset
ON CONFLICT (member_id, asset) DO NOTHING
"""
LOCK: Final = """
SELECT member_id, asset, available, pending, held, arrears FROM ledger_balance
WHERE (member_id, asset) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
ORDER BY member_id, asset FOR UPDATE
"""
# LATERAL with LIMIT makes the unique index the only sensible plan, also while a young table has no statistics.
BOOKED: Final = """
SELECT found.* FROM unnest($1::bigint[], $2::text[]) AS given(member_id, key)
CROSS JOIN LATERAL (
    SELECT id, member_id, key, fingerprint, amount, delta, balance_after, pending_delta, held_delta, arrears_delta
    FROM ledger_entry entry WHERE entry.member_id = given.member_id AND entry.key = given.key LIMIT 1
) AS found
"""
_LOT: Final = (
    "lot.id, lot.member_id, lot.asset, lot.remaining, lot.state, lot.expires_at, lot.priority, lot.promotional,"
    " lot.effective_at, lot.grant_key, lot.activates_at, lot.event, lot.cancels_at, lot.expiry, lot.zone,"
    " lot.idle_months, lot.idle_on"
)
OPEN_LOTS: Final = f"""
SELECT {_LOT} FROM ledger_lot lot
WHERE (member_id, asset) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) AND remaining > 0
"""
# What each spend took per lot, less what its reversals gave back.
TAKEN: Final = f"""
WITH origin AS (
    SELECT id, member_id, key FROM ledger_entry
    WHERE (member_id, key) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
)
SELECT origin.key, {_LOT},
       taken.amount - coalesce((
           SELECT sum(back.amount) FROM ledger_posting back JOIN ledger_entry reversal ON reversal.id = back.entry_id
           WHERE reversal.member_id = origin.member_id AND reversal.reverses_id = origin.id
             AND back.member_id = origin.member_id AND back.source = 'spent' AND back.lot_id = taken.lot_id
       ), 0)::bigint AS amount
FROM origin
JOIN ledger_posting taken ON taken.entry_id = origin.id AND taken.member_id = origin.member_id
JOIN ledger_lot lot ON lot.id = taken.lot_id
WHERE taken.destination = 'spent'
ORDER BY origin.id, taken.seq
"""
# Holds that the batch names, and those of the wallets whose time is over.
HOLDS: Final = """
SELECT id, member_id, asset, key, amount, state, expires_at FROM ledger_hold
WHERE (member_id, key) IN (SELECT * FROM unnest($1::bigint[], $2::text[]))
UNION
SELECT id, member_id, asset, key, amount, state, expires_at FROM ledger_hold
WHERE (member_id, asset) IN (SELECT * FROM unnest($3::bigint[], $4::text[])) AND state = 'open' AND expires_at <= $5
ORDER BY id
"""
HOLD_SLICES: Final = f"""
SELECT posting.entry_id, posting.amount, {_LOT}
FROM ledger_posting posting JOIN ledger_lot lot ON lot.id = posting.lot_id
WHERE (posting.member_id, posting.entry_id) IN (SELECT * FROM unnest($1::bigint[], $2::bigint[]))
  AND posting.destination = 'held'
ORDER BY posting.entry_id, posting.seq
"""
# A lot has the id of the entry that made it, so that its postings need no second look for it.
WRITE: Final = """
WITH entry AS (
    INSERT INTO ledger_entry (member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta,
                              held_delta, arrears_delta, reverses_id, reason, occurred_at, booked_at)
    SELECT member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta, held_delta,
           arrears_delta, reverses_id, reason::jsonb, occurred_at, $1
    FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[],
                $15::timestamptz[]) WITH ORDINALITY
         AS given(member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta, held_delta,
                  arrears_delta, reverses_id, reason, occurred_at, place)
    ORDER BY place
    RETURNING id, member_id, key
), lot AS (
    INSERT INTO ledger_lot (id, member_id, asset, entry_id, grant_key, original, remaining, state, priority,
                            promotional, effective_at, expires_at, activates_at, event, cancels_at, expiry, zone,
                            idle_months, idle_on, created_at)
    SELECT entry.id, given.member_id, given.asset, entry.id, grant_key, original, remaining, state, priority,
           promotional, effective_at, expires_at, activates_at, event, cancels_at, expiry::jsonb, zone, idle_months,
           idle_on, $1
    FROM unnest($16::bigint[], $17::text[], $18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::text[],
                $23::smallint[], $24::boolean[], $25::timestamptz[], $26::timestamptz[], $27::timestamptz[],
                $28::text[], $29::timestamptz[], $30::text[], $31::text[], $32::smallint[], $33::text[])
         AS given(member_id, key, asset, grant_key, original, remaining, state, priority, promotional, effective_at,
                  expires_at, activates_at, event, cancels_at, expiry, zone, idle_months, idle_on)
    JOIN entry ON entry.member_id = given.member_id AND entry.key = given.key
), lot_change AS (
    UPDATE ledger_lot SET remaining = remaining + ($35::bigint[])[array_position($34::bigint[], id)]
    WHERE id = ANY($34)
), posting AS (
    INSERT INTO ledger_posting (entry_id, seq, member_id, asset, source, destination, amount, lot_id)
    SELECT entry.id, given.seq, given.member_id, given.asset, given.source, given.destination, given.amount,
           coalesce(given.lot_id, made.id)
    FROM unnest($36::bigint[], $37::text[], $38::smallint[], $39::text[], $40::text[], $41::text[], $42::bigint[],
                $43::bigint[], $44::text[])
         AS given(member_id, key, seq, asset, source, destination, amount, lot_id, lot_key)
    JOIN entry ON entry.member_id = given.member_id AND entry.key = given.key
    LEFT JOIN entry AS made ON made.member_id = given.member_id AND made.key = given.lot_key
), balance AS (
    UPDATE ledger_balance SET available = ledger_balance.available + given.available,
        pending = ledger_balance.pending + given.pending, held = ledger_balance.held + given.held,
        arrears = ledger_balance.arrears + given.arrears
    FROM unnest($45::bigint[], $46::text[], $47::bigint[], $48::bigint[], $49::bigint[], $50::bigint[])
         AS given(member_id, asset, available, pending, held, arrears)
    WHERE ledger_balance.member_id = given.member_id AND ledger_balance.asset = given.asset
)
SELECT id, member_id, key FROM entry
"""
UPDATE_LOTS: Final = """
UPDATE ledger_lot SET state = given.state, effective_at = given.effective_at, expires_at = given.expires_at
FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::timestamptz[])
     AS given(id, state, effective_at, expires_at)
WHERE ledger_lot.id = given.id AND ledger_lot.state = 'pending'
"""
WRITE_HOLDS: Final = """
INSERT INTO ledger_hold (id, member_id, asset, key, amount, state, expires_at, created_at)
SELECT id, member_id, asset, key, amount, 'open', expires_at, $1
FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[])
     AS given(id, member_id, asset, key, amount, expires_at)
"""
RESOLVE_HOLDS: Final = """
UPDATE ledger_hold SET state = given.state, resolved_at = $3 FROM unnest($1::bigint[], $2::text[]) AS given(id, state)
WHERE ledger_hold.id = given.id AND ledger_hold.state = 'open'
"""
# An activity moves the end of what still lives; nothing that is over comes back.
TOUCH: Final = """
UPDATE ledger_lot lot SET expires_at = moved.expires_at
FROM (
    SELECT kept.id, max((date_trunc('day', given.at AT TIME ZONE kept.zone) + make_interval(months => kept.idle_months))
                        AT TIME ZONE kept.zone) AS expires_at
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[]) AS given(member_id, asset, activity, at)
    JOIN ledger_lot kept ON kept.member_id = given.member_id AND kept.asset = given.asset
         AND kept.idle_months IS NOT NULL AND position(given.activity IN kept.idle_on) > 0
    WHERE kept.remaining > 0 AND kept.state = 'active' AND kept.expires_at > $5
    GROUP BY kept.id
) AS moved
WHERE lot.id = moved.id AND lot.expires_at < moved.expires_at
"""
EXPIRED_LOTS: Final = """
SELECT id, member_id, asset FROM ledger_lot WHERE remaining > 0 AND state = 'active' AND expires_at <= $1
ORDER BY expires_at, id LIMIT $2
"""
# Wallets about which time has decided something; and pending units whose event did not come.
DUE: Final = """
SELECT DISTINCT member_id, asset FROM (
    (SELECT member_id, asset FROM ledger_lot WHERE state = 'pending' AND remaining > 0 AND activates_at <= $1
     ORDER BY activates_at, id LIMIT $2)
    UNION ALL
    (SELECT member_id, asset FROM ledger_hold WHERE state = 'open' AND expires_at <= $1
     ORDER BY expires_at, id LIMIT $2)
) AS due ORDER BY member_id, asset
"""
LOST: Final = """
SELECT id, member_id, asset, grant_key FROM ledger_lot
WHERE state = 'pending' AND remaining > 0 AND cancels_at <= $1 ORDER BY cancels_at, id LIMIT $2
"""
ASSETS_OF: Final = "SELECT asset FROM ledger_balance WHERE member_id = $1 ORDER BY asset"
OPEN_HOLDS: Final = """
SELECT id, asset, key, amount, expires_at FROM ledger_hold
WHERE member_id = $1 AND state = 'open' AND expires_at > $2 ORDER BY id
"""
OPEN_HOLDS_OF: Final = """
SELECT id, member_id, asset, key FROM ledger_hold
WHERE member_id = ANY($1) AND state = 'open' AND asset NOT IN ('principal', 'bonus') ORDER BY id
"""
PROMISED: Final = """
SELECT member_id, asset, array_agg(DISTINCT grant_key) AS grant_keys FROM ledger_lot
WHERE member_id = ANY($1) AND remaining > 0 AND state = 'pending' GROUP BY member_id, asset
"""
