"""Refunds as facts."""

from tortoise import fields
from tortoise.models import Model


class Refund(Model):
    """Money given back for a purchase, with the points and growth that went back with it."""

    id = fields.BigIntField(primary_key=True)
    purchase_id = fields.BigIntField(db_index=True)
    member_id = fields.BigIntField()
    source = fields.CharField(max_length=40)
    external_id = fields.CharField(max_length=80)
    amount_fen = fields.BigIntField()
    points_taken = fields.BigIntField()
    points_forgiven = fields.BigIntField()
    growth_taken = fields.BigIntField()
    occurred_at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "refund"
        unique_together = (("source", "external_id"),)
