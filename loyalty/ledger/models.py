"""Tables of the ledger: balances, lots, entries and postings. Only `loyalty.ledger.service` writes them."""

from tortoise import fields
from tortoise.models import Model


class Balance(Model):
    """What a member has of one asset; created with the member, guarded by CHECK, re-added by `fsck`."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    available = fields.BigIntField(default=0, db_default=0)
    pending = fields.BigIntField(default=0, db_default=0)
    held = fields.BigIntField(default=0, db_default=0)
    arrears = fields.BigIntField(default=0, db_default=0)

    class Meta:
        table = "ledger_balance"
        unique_together = (("member_id", "asset"),)


class Lot(Model):
    """Units that came together and expire together; `id` is that of the entry that made it."""

    id = fields.BigIntField(primary_key=True, generated=False)
    member_id = fields.BigIntField()
    asset = fields.CharField(max_length=24)
    entry_id = fields.BigIntField()
    original = fields.BigIntField()
    remaining = fields.BigIntField()
    state = fields.CharField(max_length=12)
    priority = fields.SmallIntField()
    promotional = fields.BooleanField()
    effective_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "ledger_lot"


class Entry(Model):
    """One movement of value (journal entry), unique per member and operation key, never edited."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    key = fields.CharField(max_length=160)
    fingerprint = fields.BinaryField()
    kind = fields.CharField(max_length=24)
    asset = fields.CharField(max_length=24)
    amount = fields.BigIntField()
    delta = fields.BigIntField()
    balance_after = fields.BigIntField()
    reverses_id = fields.BigIntField(null=True)
    reason: fields.JSONField[dict[str, object]] = fields.JSONField()
    occurred_at = fields.DatetimeField()
    booked_at = fields.DatetimeField()

    class Meta:
        table = "ledger_entry"
        unique_together = (("member_id", "key"),)
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
        unique_together = (("member_id", "entry_id", "seq"),)
