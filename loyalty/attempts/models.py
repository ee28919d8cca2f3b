"""Table of wrong codes, counted per person who typed them."""

from tortoise import fields
from tortoise.models import Model


class Attempts(Model):
    """How often `actor` was wrong since `window_started_at`: the counter that stops guessing."""

    actor = fields.CharField(max_length=80, primary_key=True)
    misses = fields.IntField()
    window_started_at = fields.DatetimeField()

    class Meta:
        table = "attempts"
