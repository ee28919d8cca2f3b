"""Coupon templates and the coupons that members hold."""

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
