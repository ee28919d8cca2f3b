"""Signed codes that were uploaded with a sale."""

from tortoise import fields
from tortoise.models import Model


class OfflineCodeUse(Model):
    """The one sale that a signed member code stands for: (source, external_id) names it, `member_id` is whom the code
    was made for and `step` when."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    step = fields.BigIntField()
    source = fields.CharField(max_length=40)
    external_id = fields.CharField(max_length=80)
    used_at = fields.DatetimeField()

    class Meta:
        table = "offline_code_use"
        unique_together = (("member_id", "step"),)
