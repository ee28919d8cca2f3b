"""Tables of the ledger: balances, lots, holds, entries and postings. Only `loyalty.ledger.service` writes them."""

from tortoise import fields
from tortoise.models import Model


class Balance(Model):
    """What a member has of one asset; guarded by CHECK, re-added by `fsck`. Pending and held units are not
    available; arrears are owed. `idle` once lots of an inactivity programme came in."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    available = fields.BigIntField(default=0, db_default=0)
    pending = fields.BigIntField(default=0, db_default=0)
    held = fields.BigIntField(default=0, db_default=0)
    arrears = fields.BigIntField(default=0, db_default=0)
    idle = fields.BooleanField(default=False, db_default=False)

    class Meta:
        table = "ledger_balance"
        unique_together = (("member_id", "asset"),)


class Lot(Model):
    """Units that came together and expire together; `id` is that of the entry that made it.

    `grant_key` names the grant that the units are of, also after they were `moved` to another member. A pending
    lot waits for `activates_at` or for `event`, at the longest until `cancels_at`; `expiry` is the rule by which
    it ends once an event has activated it. `idle_months` and `idle_on` are those of an inactivity programme.
    `unused` are units that ended without having been used and that no claw-back counted yet. `state` is active,
    pending, cancelled (nothing became usable) or closed (its end is booked).
    """

    id = fields.BigIntField(primary_key=True, generated=False)
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    entry_id = fields.BigIntField()
    grant_key = fields.CharField(max_length=200)
    original = fields.BigIntField()
    remaining = fields.BigIntField()
    unused = fields.BigIntField(default=0, db_default=0)
    state = fields.CharField(max_length=12)
    priority = fields.SmallIntField()
    promotional = fields.BooleanField()
    effective_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    activates_at = fields.DatetimeField(null=True)
    event = fields.CharField(max_length=48, null=True)
    cancels_at = fields.DatetimeField(null=True)
    expiry: fields.JSONField[dict[str, object]] = fields.JSONField(null=True)
    zone = fields.CharField(max_length=40, null=True)
    idle_months = fields.SmallIntField(null=True)
    idle_on = fields.CharField(max_length=200, null=True)
    moved = fields.BooleanField(default=False, db_default=False)
    created_at = fields.DatetimeField()

    class Meta:
        table = "ledger_lot"


class Hold(Model):
    """Units reserved until `expires_at`; `id` is that of the entry that reserved them, whose postings say from
    which lots. `key` is what it is called by, once per member. `state` is open, captured, voided, expired or moved
    (to another member), and an open hold past its end counts as expired."""

    id = fields.BigIntField(primary_key=True, generated=False)
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    key = fields.CharField(max_length=200)
    amount = fields.BigIntField()
    state = fields.CharField(max_length=12)
    expires_at = fields.DatetimeField()
    resolved_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "ledger_hold"


class Entry(Model):
    """One movement of value (journal entry), unique per member and operation key, never edited.

    `delta` is the change of what the member sees (available less arrears) and `balance_after` what that became.
    """

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    key = fields.CharField(max_length=200)
    fingerprint = fields.BinaryField()
    kind = fields.CharField(max_length=24)
    asset = fields.CharField(max_length=24)
    amount = fields.BigIntField()
    delta = fields.BigIntField()
    balance_after = fields.BigIntField()
    pending_delta = fields.BigIntField(default=0, db_default=0)
    held_delta = fields.BigIntField(default=0, db_default=0)
    arrears_delta = fields.BigIntField(default=0, db_default=0)
    reverses_id = fields.BigIntField(null=True)
    reason: fields.JSONField[dict[str, object]] = fields.JSONField()
    occurred_at = fields.DatetimeField()
    booked_at = fields.DatetimeField()

    class Meta:
        table = "ledger_entry"
        # Keys begin with what they are about and a running number or day: in this order new ones lie side by side.
        unique_together = (("key", "member_id"),)
        indexes = (("member_id", "asset", "id"),)


class Posting(Model):
    """`amount` units of an entry moved from one account of the member to another; the lot is the allocation."""

    id = fields.BigIntField(primary_key=True)
    entry_id = fields.BigIntField()
    seq = fields.SmallIntField()
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    source = fields.CharField(max_length=16)
    destination = fields.CharField(max_length=16)
    amount = fields.BigIntField()
    lot_id = fields.BigIntField(null=True)

    class Meta:
        table = "ledger_posting"
        unique_together = (("entry_id", "seq", "member_id"),)
