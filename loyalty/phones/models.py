"""Table of codes sent by SMS."""

from tortoise import fields
from tortoise.models import Model


class PhoneCode(Model):
    """A code sent by SMS to prove a phone number."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    phone_index = fields.CharField(max_length=64)
    code_hash = fields.CharField(max_length=64)
    attempts = fields.SmallIntField(default=0)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "phone_code"
        indexes = (("member_id", "id"), ("phone_index", "id"))
