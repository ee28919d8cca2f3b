"""Requests of value that wait for another person."""

from tortoise import fields
from tortoise.models import Model


class Approval(Model):
    """A request of value that waits for another person; bound to the exact payload by its hash."""

    id = fields.BigIntField(primary_key=True)
    public_id = fields.CharField(max_length=40, unique=True)
    kind = fields.CharField(max_length=32)
    payload: fields.JSONField[dict[str, object]] = fields.JSONField()
    payload_hash = fields.CharField(max_length=64)
    amount = fields.BigIntField()
    requested_by = fields.BigIntField(db_index=True)
    store_id = fields.BigIntField(null=True)
    member_id = fields.BigIntField(null=True)
    status = fields.CharField(max_length=12)
    decided_by = fields.BigIntField(null=True)
    decided_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "approval"
        indexes = (("status", "expires_at"),)
