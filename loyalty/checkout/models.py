"""What tills have reserved."""

from tortoise import fields
from tortoise.models import Model


class Checkout(Model):
    """An order at a till, known by (source, order). `price` is what was evaluated and held, whole.

    `status` is held, settled or voided; a held one whose time is over holds nothing any more.
    """

    id = fields.BigIntField(primary_key=True)
    source = fields.CharField(max_length=40)
    order = fields.CharField(max_length=80)
    member_id = fields.BigIntField(db_index=True)
    store_id = fields.BigIntField(null=True)
    status = fields.CharField(max_length=12)
    attempt = fields.IntField()
    price_hash = fields.CharField(max_length=64)
    price: fields.JSONField[dict[str, object]] = fields.JSONField()
    expires_at = fields.DatetimeField()
    created_at = fields.DatetimeField()

    class Meta:
        table = "checkout"
        unique_together = (("source", "order"),)


class CouponLock(Model):
    """A coupon that a checkout has reserved until `expires_at`; afterwards anybody may take the row over."""

    coupon_id = fields.BigIntField(primary_key=True, generated=False)
    checkout_id = fields.BigIntField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "coupon_lock"
