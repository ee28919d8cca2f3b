"""What coupons are made from."""

from tortoise import fields
from tortoise.models import Model


class CouponTemplate(Model):
    """What a coupon is worth, where it counts, how many exist; `issued` never exceeds `stock` (CHECK)."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=40, unique=True)
    name: fields.JSONField[dict[str, str]] = fields.JSONField()
    kind = fields.CharField(max_length=16)
    value: fields.JSONField[dict[str, object]] = fields.JSONField()
    min_spend_fen = fields.BigIntField(default=0, db_default=0)
    stock = fields.BigIntField(null=True)
    issued = fields.BigIntField(default=0, db_default=0)
    per_member_limit = fields.IntField()
    claimable = fields.BooleanField()
    claim_from = fields.DatetimeField()
    claim_until = fields.DatetimeField(null=True)
    valid_days = fields.IntField(null=True)
    valid_until = fields.DatetimeField(null=True)
    tiers: fields.JSONField[list[str]] = fields.JSONField()
    store_ids: fields.JSONField[list[int]] = fields.JSONField()
    status = fields.CharField(max_length=12)
    created_at = fields.DatetimeField()

    class Meta:
        table = "coupon_template"
