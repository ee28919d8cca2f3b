"""What came in: reservation and stored answer per (source, key)."""

from tortoise import fields
from tortoise.models import Model


class InboxEntry(Model):
    """One delivery from outside; a repeat of (source, key) gets `answer` again."""

    id = fields.BigIntField(primary_key=True)
    source = fields.CharField(max_length=80)
    key = fields.CharField(max_length=200)
    kind = fields.CharField(max_length=40)
    answer: fields.JSONField[object] = fields.JSONField(null=True)
    fields_kept: fields.JSONField[dict[str, str]] = fields.JSONField(null=True)
    received_at = fields.DatetimeField()

    class Meta:
        table = "inbox"
        unique_together = (("source", "key"),)
