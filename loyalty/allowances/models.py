"""What people did alone of what their allowance bounds."""

from tortoise import fields
from tortoise.models import Model


class StaffAllowance(Model):
    """How much of one kind of deed (`what`: its action) one member of staff did and asked for on one business day, in
    points or fen."""

    id = fields.BigIntField(primary_key=True)
    staff_id = fields.BigIntField()
    day = fields.DateField()
    what = fields.CharField(max_length=32)
    used = fields.BigIntField()

    class Meta:
        table = "staff_allowance"
        unique_together = (("staff_id", "day", "what"),)
