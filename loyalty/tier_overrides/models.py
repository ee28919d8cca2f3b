"""Tiers that were set by hand."""

from tortoise import fields
from tortoise.models import Model


class TierOverride(Model):
    """Somebody set a member's tier until `ends_at`, and why; unique per person and key. At most one of a member and
    ladder counts: `active`, the newest."""

    id = fields.BigIntField(primary_key=True)
    staff_id = fields.BigIntField()
    key = fields.CharField(max_length=80)
    member_id = fields.BigIntField()
    ladder = fields.CharField(max_length=24)
    tier = fields.CharField(max_length=24)
    exactly = fields.BooleanField()
    reason = fields.CharField(max_length=200)
    status = fields.CharField(max_length=12)
    approval_id = fields.BigIntField(null=True)
    created_at = fields.DatetimeField()
    ends_at = fields.DatetimeField()
    ended_at = fields.DatetimeField(null=True)
    ended_by = fields.BigIntField(null=True)

    class Meta:
        table = "tier_override"
        unique_together = (("staff_id", "key"),)
        indexes = (("member_id", "id"),)
