"""Table of what members allowed and refused."""

from tortoise import fields
from tortoise.models import Model


class Consent(Model):
    """One answer to one purpose, append-only; the newest row per purpose is in force."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    purpose = fields.CharField(max_length=32)
    granted = fields.BooleanField()
    text_version = fields.IntField()
    channel = fields.CharField(max_length=16)
    evidence = fields.CharField(max_length=200)
    at = fields.DatetimeField()

    class Meta:
        table = "consent"
        indexes = (("member_id", "purpose", "id"),)
