"""Table of phone numbers that two members say are theirs."""

from tortoise import fields
from tortoise.models import Model


class PhoneClaim(Model):
    """Somebody proved a number that another member holds; it moves at `effective_at` unless the holder objects."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(db_index=True)
    holder_id = fields.BigIntField(db_index=True)
    phone_index = fields.CharField(max_length=64)
    phone_sealed = fields.BinaryField(null=True)
    status = fields.CharField(max_length=12)
    requested_at = fields.DatetimeField()
    effective_at = fields.DatetimeField()
    finished_at = fields.DatetimeField(null=True)

    class Meta:
        table = "phone_claim"
