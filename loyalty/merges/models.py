"""Table of members that became one."""

from tortoise import fields
from tortoise.models import Model


class MemberMerge(Model):
    """Two members became one; what moved is kept so that it can be undone."""

    id = fields.BigIntField(primary_key=True)
    source_id = fields.BigIntField(db_index=True)
    target_id = fields.BigIntField(db_index=True)
    reason = fields.CharField(max_length=40)
    moved: fields.JSONField[dict[str, object]] = fields.JSONField()
    at = fields.DatetimeField()
    undone_at = fields.DatetimeField(null=True)

    class Meta:
        table = "member_merge"
