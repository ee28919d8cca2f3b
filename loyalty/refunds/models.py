"""Refunds as facts."""

from tortoise import fields
from tortoise.models import Model


class Refund(Model):
    """A return: `amount_fen` is the price of what came back, of which `money_fen` was given back in money and
    `points_returned` in points; `stored_fen` of the money went to stored value. `lines` says how many of which line.
    `points_taken` of what was earned left the balance or was cancelled before it was usable, `points_owed` is owed,
    `points_forgiven` was out of reach."""

    id = fields.BigIntField(primary_key=True)
    purchase_id = fields.BigIntField(db_index=True)
    member_id = fields.BigIntField()
    source = fields.CharField(max_length=40)
    external_id = fields.CharField(max_length=80)
    amount_fen = fields.BigIntField()
    money_fen = fields.BigIntField()
    points_returned = fields.BigIntField(default=0, db_default=0)
    stored_fen = fields.BigIntField(default=0, db_default=0)
    method = fields.CharField(max_length=16)
    lines: fields.JSONField[dict[str, int]] = fields.JSONField()
    points_taken = fields.BigIntField()
    points_forgiven = fields.BigIntField()
    points_owed = fields.BigIntField(default=0, db_default=0)
    growth_taken = fields.BigIntField()
    occurred_at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "refund"
        unique_together = (("source", "external_id"),)
