-- What a posting takes at the least, with nothing around it: a key that books once, a balance, lots that are used
-- oldest first, and a history. One call of book() is one transaction of pgbench.
CREATE TABLE yard_key (key uuid PRIMARY KEY, entry_id bigint);
CREATE TABLE yard_balance (member_id bigint PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0))
    WITH (fillfactor = 70);
CREATE TABLE yard_lot (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member_id bigint NOT NULL,
    remaining bigint NOT NULL,
    expires_on date NOT NULL
);
CREATE INDEX yard_lot_open ON yard_lot (member_id, expires_on, id) WHERE remaining > 0;
CREATE TABLE yard_entry (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    member_id bigint NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    booked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX yard_entry_of_member ON yard_entry (member_id, id);

CREATE FUNCTION yard_book(asked_key uuid, asked_member bigint, asked_amount bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    balance bigint;
    missing bigint := -asked_amount;
    lot record;
    entry bigint;
BEGIN
    INSERT INTO yard_key (key) VALUES (asked_key) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN (SELECT entry_id FROM yard_key WHERE key = asked_key);
    END IF;
    UPDATE yard_balance SET available = available + asked_amount WHERE member_id = asked_member
        RETURNING available INTO balance;
    IF asked_amount > 0 THEN
        INSERT INTO yard_lot (member_id, remaining, expires_on) VALUES (asked_member, asked_amount, current_date + 365);
    END IF;
    FOR lot IN
        SELECT id, remaining FROM yard_lot WHERE member_id = asked_member AND remaining > 0 AND missing > 0
        ORDER BY expires_on, id
    LOOP
        EXIT WHEN missing <= 0;
        UPDATE yard_lot SET remaining = remaining - least(lot.remaining, missing) WHERE id = lot.id;
        missing := missing - least(lot.remaining, missing);
    END LOOP;
    INSERT INTO yard_entry (member_id, amount, balance_after) VALUES (asked_member, asked_amount, balance)
        RETURNING id INTO entry;
    UPDATE yard_key SET entry_id = entry WHERE key = asked_key;
    RETURN entry;
END $$;
