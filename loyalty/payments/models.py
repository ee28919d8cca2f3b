"""Payments asked for at a payment platform."""

from tortoise import fields
from tortoise.models import Model


class Payment(Model):
    """Money asked for, once: `number` is our order number there (out_trade_no), `transaction` the platform's own.
    `purpose` and `details` say what it buys. `alert` names what differed in a receipt that was not credited."""

    id = fields.BigIntField(primary_key=True)
    number = fields.CharField(max_length=32, unique=True)
    platform = fields.CharField(max_length=16)
    account = fields.CharField(max_length=40)
    merchant = fields.CharField(max_length=32)
    app_id = fields.CharField(max_length=32)
    member_id = fields.BigIntField(db_index=True)
    purpose = fields.CharField(max_length=24)
    details: fields.JSONField[dict[str, object]] = fields.JSONField()
    amount_fen = fields.BigIntField()
    status = fields.CharField(max_length=8)
    transaction = fields.CharField(max_length=40, null=True)
    alert = fields.CharField(max_length=40, null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    ask_at = fields.DatetimeField(null=True)
    asked = fields.SmallIntField(default=0, db_default=0)
    paid_at = fields.DatetimeField(null=True)

    class Meta:
        table = "payment"
        indexes = (("status", "ask_at"),)
