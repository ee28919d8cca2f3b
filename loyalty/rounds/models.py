"""Table of daily rounds over many members."""

from tortoise import fields
from tortoise.models import Model


class DailyRound(Model):
    """One round of one business day: how far it came, so that it goes on there after a crash."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=40)
    day = fields.DateField()
    after_id = fields.BigIntField(default=0)
    done_at = fields.DatetimeField(null=True)

    class Meta:
        table = "daily_round"
        unique_together = (("name", "day"),)
