"""Points that staff give by hand."""

from tortoise import fields
from tortoise.models import Model


class PointGrant(Model):
    """A grant asked for by one member of staff; `status` is posted, pending, refused or expired."""

    id = fields.BigIntField(primary_key=True)
    staff_id = fields.BigIntField()
    key = fields.CharField(max_length=80)
    member_id = fields.BigIntField(db_index=True)
    store_id = fields.BigIntField(null=True)
    points = fields.BigIntField()
    reason = fields.CharField(max_length=200)
    day = fields.DateField()
    status = fields.CharField(max_length=12)
    approval_id = fields.BigIntField(null=True, unique=True)
    entry_id = fields.BigIntField(null=True)
    created_at = fields.DatetimeField()

    class Meta:
        table = "point_grant"
        unique_together = (("staff_id", "key"),)
        indexes = (("store_id", "day"),)


class GrantDay(Model):
    """What one member of staff granted and asked for on one business day: the counter behind the daily limit."""

    id = fields.BigIntField(primary_key=True)
    staff_id = fields.BigIntField()
    day = fields.DateField()
    points = fields.BigIntField()

    class Meta:
        table = "point_grant_day"
        unique_together = (("staff_id", "day"),)
