"""Tier history as intervals."""

from tortoise import fields
from tortoise.models import Model


class TierInterval(Model):
    """A member held `tier` from `starts_at` until `ends_at` (open while null)."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    tier = fields.CharField(max_length=24)
    reason = fields.CharField(max_length=40)
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "tier_interval"
        indexes = (("member_id", "id"),)
