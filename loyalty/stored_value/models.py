"""Stored value: who may use theirs, each top-up, each use, each payout."""

from tortoise import fields
from tortoise.models import Model


class StoredAccount(Model):
    """The member's stored value as a whole: its lock, whether it is frozen and why, and the PIN for larger payments."""

    member_id = fields.BigIntField(primary_key=True, generated=False)
    frozen_at = fields.DatetimeField(null=True)
    frozen_by = fields.CharField(max_length=64, null=True)
    frozen_reason = fields.CharField(max_length=200, null=True)
    pin = fields.BinaryField(null=True)

    class Meta:
        table = "stored_account"


class StoredSlice(Model):
    """One top-up: what was paid and given on top, when, and by what evidence. Its units are the two ledger lots whose
    grant keys are `stored:{id}:principal` and `stored:{id}:bonus`. Append-only but for `status`."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(db_index=True)
    key = fields.CharField(max_length=120, unique=True)
    source = fields.CharField(max_length=16)
    paid_fen = fields.BigIntField()
    bonus_fen = fields.BigIntField()
    evidence: fields.JSONField[dict[str, object]] = fields.JSONField()
    terms_version = fields.IntField()
    store_id = fields.BigIntField(null=True)
    staff_id = fields.BigIntField(null=True)
    status = fields.CharField(max_length=10)
    paid_at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "stored_slice"


class StoredUse(Model):
    """One payment with stored value: `list_fen` is the price before any discount of what it paid for, which the law
    counts when the consumer asks for the rest. `key` names the purchase."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(db_index=True)
    key = fields.CharField(max_length=120, unique=True)
    amount_fen = fields.BigIntField()
    list_fen = fields.BigIntField()
    returned_fen = fields.BigIntField(default=0, db_default=0)
    occurred_at = fields.DatetimeField()

    class Meta:
        table = "stored_use"


class StoredPart(Model):
    """What one use took of one top-up, less what came back to it: the ledger's own allocation, by top-up."""

    id = fields.BigIntField(primary_key=True)
    use_id = fields.BigIntField()
    slice_id = fields.BigIntField(db_index=True)
    principal_fen = fields.BigIntField()
    bonus_fen = fields.BigIntField()

    class Meta:
        table = "stored_part"
        unique_together = (("use_id", "slice_id"),)


class StoredPayout(Model):
    """What was paid out of one top-up, with the whole arithmetic in `calculation`; a top-up is paid out once."""

    id = fields.BigIntField(primary_key=True)
    slice_id = fields.BigIntField(unique=True)
    member_id = fields.BigIntField(db_index=True)
    cause = fields.CharField(max_length=12)
    principal_fen = fields.BigIntField()
    interest_fen = fields.BigIntField()
    principal_taken_fen = fields.BigIntField()
    bonus_taken_fen = fields.BigIntField()
    calculation: fields.JSONField[dict[str, object]] = fields.JSONField()
    reason = fields.CharField(max_length=200)
    staff_id = fields.BigIntField(null=True)
    ended_on = fields.DateField()
    paid_out_at = fields.DatetimeField()

    class Meta:
        table = "stored_payout"


class StoredPermit(Model):
    """The member agreed to a larger payment, by PIN or by the code on their screen; good for the one purchase `key`."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(db_index=True)
    key = fields.CharField(max_length=120, unique=True)
    amount_fen = fields.BigIntField()
    how = fields.CharField(max_length=8)
    expires_at = fields.DatetimeField()

    class Meta:
        table = "stored_permit"
