"""Refunds that people ask for."""

from tortoise import fields
from tortoise.models import Model


class RefundRequest(Model):
    """A refund asked for by one member of staff; `status` is posted, pending, refused or expired. `document` is what
    was asked for, `money_fen` what the preview promised."""

    id = fields.BigIntField(primary_key=True)
    staff_id = fields.BigIntField()
    key = fields.CharField(max_length=80)
    member_id = fields.BigIntField(db_index=True)
    purchase_id = fields.BigIntField(db_index=True)
    store_id = fields.BigIntField(null=True)
    document: fields.JSONField[dict[str, object]] = fields.JSONField()
    money_fen = fields.BigIntField()
    reason = fields.CharField(max_length=200)
    day = fields.DateField()
    status = fields.CharField(max_length=12)
    approval_id = fields.BigIntField(null=True, unique=True)
    refund_id = fields.BigIntField(null=True, unique=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "refund_request"
        unique_together = (("staff_id", "key"),)
