"""The coupons that members hold."""

from tortoise import fields
from tortoise.models import Model


class Coupon(Model):
    """One coupon of one member; `ordinal` counts the member's coupons of a template and makes limits exact."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    template_id = fields.BigIntField()
    ordinal = fields.IntField()
    status = fields.CharField(max_length=12)
    origin = fields.CharField(max_length=24)
    claim_key = fields.CharField(max_length=120, null=True)
    claimed_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    redeemed_at = fields.DatetimeField(null=True)
    redeemed_store_id = fields.BigIntField(null=True)
    redeemed_by = fields.CharField(max_length=64, null=True)
    redemption_key = fields.CharField(max_length=120, null=True)

    class Meta:
        table = "coupon"
        unique_together = (("template_id", "member_id", "ordinal"), ("template_id", "member_id", "claim_key"))
        indexes = (("member_id", "status", "expires_at"), ("redeemed_store_id", "redeemed_at"))
