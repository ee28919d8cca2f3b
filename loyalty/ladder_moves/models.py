"""Going over all members with a version of a ladder."""

from tortoise import fields
from tortoise.models import Model


class LadderMove(Model):
    """A dry run of a version, or its application to everybody: how far it came (`after_id`) and what it found, so
    that it goes on there after a crash."""

    id = fields.BigIntField(primary_key=True)
    ladder = fields.CharField(max_length=24)
    version = fields.IntField()
    is_dry = fields.BooleanField()
    downgrades = fields.CharField(max_length=12)
    status = fields.CharField(max_length=12)
    due_at = fields.DatetimeField()
    after_id = fields.BigIntField(default=0)
    members = fields.BigIntField()
    looked_at = fields.BigIntField(default=0)
    found: fields.JSONField[dict[str, object]] = fields.JSONField()
    created_by = fields.CharField(max_length=64)
    created_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "ladder_move"
        indexes = (("ladder", "id"),)
