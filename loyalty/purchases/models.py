"""Purchases as facts."""

from tortoise import fields
from tortoise.models import Model


class Purchase(Model):
    """A completed sale, idempotent by (source, external_id) whatever the transport retries with.

    `amount_fen` is the price of what was bought; `points_spent` paid for part of it. `refunded_fen` and
    `points_returned` are what went back of both.
    """

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    source = fields.CharField(max_length=40)
    external_id = fields.CharField(max_length=80)
    fingerprint = fields.BinaryField()
    store_id = fields.BigIntField(null=True)
    staff_id = fields.BigIntField(null=True)
    amount_fen = fields.BigIntField()
    refunded_fen = fields.BigIntField(default=0, db_default=0)
    currency = fields.CharField(max_length=3)
    lines: fields.JSONField[list[dict[str, object]]] = fields.JSONField()
    tenders: fields.JSONField[dict[str, int]] = fields.JSONField()
    discounts: fields.JSONField[list[dict[str, object]]] = fields.JSONField()
    points_spent = fields.BigIntField(default=0, db_default=0)
    points_returned = fields.BigIntField(default=0, db_default=0)
    points = fields.BigIntField()
    growth = fields.BigIntField()
    multiplier_percent = fields.IntField(default=100, db_default=100)
    terms_version = fields.IntField()
    occurred_at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "purchase"
        unique_together = (("source", "external_id"),)
        indexes = (("member_id", "occurred_at"), ("store_id", "occurred_at"))
