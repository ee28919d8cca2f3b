"""Table of rotating codes that were used."""

from tortoise import fields
from tortoise.models import Model


class MemberCodeUse(Model):
    """A rotating member code that was shown at a till; the row makes it one-use."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    step = fields.BigIntField()
    used_at = fields.DatetimeField()
    used_by = fields.CharField(max_length=64)

    class Meta:
        table = "member_code_use"
        unique_together = (("member_id", "step"),)
