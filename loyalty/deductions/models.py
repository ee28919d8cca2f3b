"""Points that staff take by hand."""

from tortoise import fields
from tortoise.models import Model


class PointDeduction(Model):
    """A deduction asked for by one member of staff; `status` is posted, pending, refused or expired. Of `points`,
    `taken` left the member, `owed` is owed and `forgiven` was out of the policy's reach."""

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
    taken = fields.BigIntField(default=0, db_default=0)
    owed = fields.BigIntField(default=0, db_default=0)
    forgiven = fields.BigIntField(default=0, db_default=0)
    created_at = fields.DatetimeField()

    class Meta:
        table = "point_deduction"
        unique_together = (("staff_id", "key"),)
