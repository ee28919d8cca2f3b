"""Tables of tiers: where each member stands on each ladder, and what they held as intervals."""

from tortoise import fields
from tortoise.models import Model


class TierStanding(Model):
    """Where a member stands on one ladder by right, with every date on which that changes by itself; `due_at` is the
    next of them. Written under its row lock and only over the `revision` that was read."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    ladder = fields.CharField(max_length=24)
    tier = fields.CharField(max_length=24)
    since = fields.DatetimeField()
    counted_from = fields.DatetimeField()
    cycle_from = fields.DatetimeField(null=True)
    review_at = fields.DatetimeField(null=True)
    falls_at = fields.DatetimeField(null=True)
    rises_at = fields.DatetimeField(null=True)
    before: fields.JSONField[list[dict[str, object]]] = fields.JSONField()
    lost: fields.JSONField[list[dict[str, object]]] = fields.JSONField(null=True)
    told = fields.SmallIntField(null=True)
    override_id = fields.BigIntField(null=True)
    pinned_tier = fields.CharField(max_length=24, null=True)
    pinned_until = fields.DatetimeField(null=True)
    pinned_exactly = fields.BooleanField(default=False, db_default=False)
    due_at = fields.DatetimeField(null=True)
    revision = fields.IntField(default=0, db_default=0)

    class Meta:
        table = "tier_standing"
        unique_together = (("member_id", "ladder"),)
        indexes = (("ladder", "tier"),)


class TierInterval(Model):
    """A member held `tier` of `ladder` in [starts_at, ends_at), open while `ends_at` is null; no two of them overlap
    (exclusion). `reason` and `evidence` tell why it began, `version` by which version of the ladder."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    ladder = fields.CharField(max_length=24)
    tier = fields.CharField(max_length=24)
    reason = fields.CharField(max_length=40)
    evidence: fields.JSONField[dict[str, object]] = fields.JSONField()
    version = fields.IntField()
    starts_at = fields.DatetimeField()
    ends_at = fields.DatetimeField(null=True)

    class Meta:
        table = "tier_interval"
        indexes = (("member_id", "ladder", "id"),)
