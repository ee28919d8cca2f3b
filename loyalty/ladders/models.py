"""Ladders as versions: what was written, by whom, and from when it counts."""

from tortoise import fields
from tortoise.models import Model


class LadderVersion(Model):
    """One version of one ladder; the newest published one with `effective_from` not in the future is in force."""

    id = fields.BigIntField(primary_key=True)
    ladder = fields.CharField(max_length=24)
    version = fields.IntField()
    status = fields.CharField(max_length=12)
    document: fields.JSONField[dict[str, object]] = fields.JSONField()
    created_by = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    published_by = fields.CharField(max_length=64, null=True)
    published_at = fields.DatetimeField(null=True)
    effective_from = fields.DatetimeField(null=True)

    class Meta:
        table = "ladder_version"
        unique_together = (("ladder", "version"),)
