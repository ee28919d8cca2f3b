"""Check-ins: one row per member and business day; the row is the guard."""

from tortoise import fields
from tortoise.models import Model


class CheckIn(Model):
    """A member checked in (签到) on a business day."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    day = fields.DateField()
    streak = fields.IntField()
    points = fields.BigIntField()
    at = fields.DatetimeField()

    class Meta:
        table = "check_in"
        unique_together = (("member_id", "day"),)
