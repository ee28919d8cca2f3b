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
SELECT ctid, member_id, asset, available, pending, held, arrears, idle FROM ledger_balance
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
    " lot.idle_months, lot.idle_on, lot.unused, lot.moved"
)
OPEN_LOTS: Final = f"""
SELECT {_LOT} FROM ledger_lot lot
WHERE (member_id, asset) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) AND remaining > 0 ORDER BY id
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
WHERE (member_id, key) IN (SELECT * FROM unnest($1::bigint[], $2::text[])) AND state <> 'moved'
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
# A lot has the id of the entry that made it, and so has the posting that fills it. Ids are drawn first, in the order
# of the batch, so that nothing has to be found again; neither has a balance, whose row is known since it was locked.
# (Its place is that of one version of the row: were it another by now, the count of rows would tell.)
WRITE: Final = """
WITH given AS MATERIALIZED (
    SELECT nextval('ledger_entry_id_seq') AS id, member_id, key, fingerprint, kind, asset, amount, delta, balance_after,
           coalesce(pending_delta, 0) AS pending_delta, coalesce(held_delta, 0) AS held_delta,
           coalesce(arrears_delta, 0) AS arrears_delta, reverses_id, reason::jsonb AS reason,
           coalesce(occurred_at, $1) AS occurred_at, source, grant_key, used, state, priority, is_paid, effective_at,
           expires_at, activates_at, event, cancels_at, expiry, zone, idle_months, idle_on, moved, place
    FROM unnest($2::bigint[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::bigint[],
                $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::text[],
                $15::timestamptz[], $16::text[], $17::text[], $18::bigint[], $19::text[], $20::smallint[],
                $21::boolean[], $22::timestamptz[], $23::timestamptz[], $24::timestamptz[], $25::text[],
                $26::timestamptz[], $27::text[], $28::text[], $29::smallint[], $30::text[], $31::boolean[])
                WITH ORDINALITY
         AS entry(member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta, held_delta,
                  arrears_delta, reverses_id, reason, occurred_at, source, grant_key, used, state, priority, is_paid,
                  effective_at, expires_at, activates_at, event, cancels_at, expiry, zone, idle_months, idle_on, moved,
                  place)
), numbers AS MATERIALIZED (
    SELECT array_agg(id ORDER BY place) AS of_place FROM given
), entry AS (
    INSERT INTO ledger_entry (id, member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta,
                              held_delta, arrears_delta, reverses_id, reason, occurred_at, booked_at)
    SELECT id, member_id, key, fingerprint, kind, asset, amount, delta, balance_after, pending_delta, held_delta,
           arrears_delta, reverses_id, reason, occurred_at, $1
    FROM given
), lot AS (
    INSERT INTO ledger_lot (id, member_id, asset, entry_id, grant_key, original, remaining, state, priority,
                            promotional, effective_at, expires_at, activates_at, event, cancels_at, expiry, zone,
                            idle_months, idle_on, moved, created_at)
    SELECT id, member_id, asset, id, coalesce(grant_key, key), amount, amount - coalesce(used, 0),
           coalesce(state, 'active'), coalesce(priority, 0), NOT coalesce(is_paid, false),
           coalesce(effective_at, occurred_at), expires_at, activates_at, event, cancels_at, expiry::jsonb, zone,
           idle_months, idle_on, coalesce(moved, false), $1
    FROM given WHERE source IS NOT NULL
), lot_change AS (
    UPDATE ledger_lot SET remaining = remaining + ($33::bigint[])[array_position($32::bigint[], id)],
        unused = unused + coalesce(($34::bigint[])[array_position($32, id)], 0)
    WHERE id = ANY($32)
), posting AS (
    INSERT INTO ledger_posting (entry_id, seq, member_id, asset, source, destination, amount, lot_id)
    SELECT id, 0, member_id, asset, source, CASE state WHEN 'pending' THEN 'pending' ELSE 'available' END, amount, id
    FROM given WHERE source IS NOT NULL
    UNION ALL
    SELECT (SELECT of_place FROM numbers)[place], seq, member_id, asset, source, destination, amount,
           coalesce(lot_id, (SELECT of_place FROM numbers)[lot_place])
    FROM unnest($35::int[], $36::smallint[], $37::bigint[], $38::text[], $39::text[], $40::text[], $41::bigint[],
                $42::bigint[], $43::int[])
         AS moved(place, seq, member_id, asset, source, destination, amount, lot_id, lot_place)
), balance AS (
    UPDATE ledger_balance SET available = now_is.available, pending = coalesce(now_is.pending, 0),
        held = coalesce(now_is.held, 0), arrears = coalesce(now_is.arrears, 0),
        idle = coalesce(now_is.idle, false)
    FROM unnest($44::tid[], $45::bigint[], $46::bigint[], $47::bigint[], $48::bigint[],
                $49::boolean[]) AS now_is(version, available, pending, held, arrears, idle)
    WHERE ledger_balance.ctid = now_is.version
    RETURNING 1
)
SELECT of_place AS ids, (SELECT count(*) FROM balance) AS wallets FROM numbers
"""
# States that changed meanwhile would change nothing here, which the caller counts.
UPDATE_LOTS: Final = """
UPDATE ledger_lot SET state = given.state, effective_at = given.effective_at, expires_at = given.expires_at,
    activates_at = given.activates_at, event = given.event, cancels_at = given.cancels_at
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::text[],
            $8::timestamptz[]) AS given(id, found, state, effective_at, expires_at, activates_at, event, cancels_at)
WHERE ledger_lot.id = given.id AND ledger_lot.state = given.found
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
         AND kept.idle_months IS NOT NULL AND given.activity = ANY(string_to_array(kept.idle_on, ','))
    WHERE kept.remaining > 0 AND kept.state = 'active' AND kept.expires_at > $5
    GROUP BY kept.id
) AS moved
WHERE lot.id = moved.id AND lot.expires_at < moved.expires_at
"""
# What the member did since each of these lots came, as an inactivity rule counts it.
ACTIVITIES: Final = """
SELECT lot.id, done.activity, entry.kind, entry.occurred_at, entry.booked_at
FROM ledger_lot lot
JOIN ledger_entry entry ON entry.member_id = lot.member_id AND entry.asset = lot.asset AND entry.id > lot.id
CROSS JOIN LATERAL (
    SELECT CASE WHEN posting.source = 'issued' THEN 'earn' ELSE 'spend' END AS activity FROM ledger_posting posting
    WHERE posting.member_id = entry.member_id AND posting.entry_id = entry.id
      AND (posting.source = 'issued' OR posting.destination = 'spent') LIMIT 1
) AS done
WHERE lot.id = ANY($1) ORDER BY entry.id
"""
# Lots that are over and whose end is not booked yet, used up or not. The end of an inactivity programme's lot that is
# used up is not known before units come back to it.
EXPIRED_LOTS: Final = """
SELECT id, member_id, asset, expires_at FROM ledger_lot
WHERE state = 'active' AND expires_at <= $1 AND (remaining > 0 OR idle_months IS NULL)
ORDER BY expires_at, id LIMIT $2
"""
NAMED_LOTS: Final = f"""
SELECT {_LOT} FROM ledger_lot lot WHERE lot.id = ANY($1)
UNION ALL
SELECT {_LOT} FROM ledger_lot lot WHERE lot.moved AND (lot.member_id, lot.grant_key)
    IN (SELECT * FROM unnest($2::bigint[], $3::text[]))
"""
# Wallets about which time has decided something.
DUE: Final = """
SELECT DISTINCT member_id, asset FROM (
    (SELECT member_id, asset FROM ledger_lot WHERE state = 'pending' AND remaining > 0 AND activates_at <= $1
     ORDER BY activates_at, id LIMIT $2)
    UNION ALL
    (SELECT member_id, asset FROM ledger_lot WHERE state = 'pending' AND remaining > 0 AND cancels_at <= $1
     ORDER BY cancels_at, id LIMIT $2)
    UNION ALL
    (SELECT member_id, asset FROM ledger_hold WHERE state = 'open' AND expires_at <= $1
     ORDER BY expires_at, id LIMIT $2)
) AS due ORDER BY member_id, asset
"""
ASSETS_OF: Final = "SELECT asset FROM ledger_balance WHERE member_id = $1 ORDER BY asset"
OPEN_HOLDS: Final = """
SELECT id, asset, key FROM ledger_hold WHERE member_id = $1 AND state = 'open' ORDER BY id
"""
# What a merge gave a member, as far as it is still there.
RECEIVED_LOTS: Final = """
SELECT lot.id FROM ledger_entry entry JOIN ledger_lot lot ON lot.id = entry.id
WHERE entry.member_id = $1 AND starts_with(entry.key, $2) AND lot.remaining > 0
"""
RECEIVED_HOLDS: Final = """
SELECT hold.id, hold.asset, hold.key FROM ledger_hold hold JOIN ledger_entry entry ON entry.id = hold.id
WHERE hold.member_id = $1 AND hold.state = 'open' AND starts_with(entry.reason->>'moved_by', $2) ORDER BY hold.id
"""
RECEIVED_DEBTS: Final = """
SELECT asset, sum(amount)::bigint AS amount FROM ledger_entry
WHERE member_id = $1 AND starts_with(key, $2) AND kind = 'assumed_in' GROUP BY asset ORDER BY asset
"""
OPEN_HOLDS_OF: Final = """
SELECT id, member_id, asset, key FROM ledger_hold
WHERE member_id = ANY($1) AND state = 'open' AND asset NOT IN ('principal', 'bonus') ORDER BY id
"""
PROMISED: Final = """
SELECT min(id) AS id, member_id, asset, grant_key FROM ledger_lot
WHERE member_id = ANY($1) AND remaining > 0 AND state = 'pending' GROUP BY member_id, asset, grant_key ORDER BY id
"""
