"""What other systems tell of members: a review written, a class attended, a parcel received."""

from tortoise import fields
from tortoise.models import Model


class MemberEvent(Model):
    """One event as its system reported it, idempotent by (source, external_id)."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    source = fields.CharField(max_length=40)
    external_id = fields.CharField(max_length=80)
    name = fields.CharField(max_length=40)
    data: fields.JSONField[dict[str, object]] = fields.JSONField()
    occurred_at = fields.DatetimeField()
    recorded_at = fields.DatetimeField()

    class Meta:
        table = "member_event"
        unique_together = (("source", "external_id"),)
        indexes = (("member_id", "occurred_at"),)
