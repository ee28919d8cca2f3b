"""Table of conversations of several steps."""

from tortoise import fields
from tortoise.models import Model


class Dialogue(Model):
    """Where somebody stands in a conversation of several steps; commits with the reply it belongs to."""

    key = fields.CharField(max_length=220, primary_key=True)
    name = fields.CharField(max_length=40)
    step = fields.CharField(max_length=40)
    data: fields.JSONField[dict[str, object]] = fields.JSONField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "dialogue"
