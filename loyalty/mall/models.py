"""The points mall: what is on offer, the codes of virtual goods, orders and their history."""

from tortoise import fields
from tortoise.models import Model


class MallItem(Model):
    """Something to exchange points for; `document` is a `rules.NewItem`. `taken` counts the orders that hold one
    of the stock and never exceeds it (CHECK)."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=40, unique=True)
    version = fields.IntField()
    document = fields.TextField()
    status = fields.CharField(max_length=8)
    stock = fields.BigIntField()
    taken = fields.BigIntField(default=0, db_default=0)
    updated_by = fields.CharField(max_length=64)
    updated_at = fields.DatetimeField()

    class Meta:
        table = "mall_item"


class MallItemVersion(Model):
    """What an item was at each version, append-only: an order keeps the one that it was made under."""

    id = fields.BigIntField(primary_key=True)
    item_id = fields.BigIntField()
    version = fields.IntField()
    document = fields.TextField()
    written_by = fields.CharField(max_length=64)
    at = fields.DatetimeField()

    class Meta:
        table = "mall_item_version"
        unique_together = (("item_id", "version"),)


class MallCode(Model):
    """One virtual code, sealed; `hidden` finds a repeated upload. A code belongs to one order at most."""

    id = fields.BigIntField(primary_key=True)
    item_id = fields.BigIntField()
    hidden = fields.CharField(max_length=64)
    sealed = fields.BinaryField()
    order_id = fields.BigIntField(null=True, unique=True)
    revealed_at = fields.DatetimeField(null=True)
    uploaded_at = fields.DatetimeField()

    class Meta:
        table = "mall_code"
        unique_together = (("item_id", "hidden"),)


class MallOrder(Model):
    """An exchange. `account_id` is who paid and whose key seals the address; a merge moves `member_id` only."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    account_id = fields.BigIntField()
    key = fields.CharField(max_length=160)
    item_id = fields.BigIntField()
    item_version = fields.IntField()
    delivery = fields.CharField(max_length=8)
    state = fields.CharField(max_length=20)
    asset = fields.CharField(max_length=24)
    points = fields.BigIntField()
    money_fen = fields.BigIntField()
    holds_stock = fields.BooleanField()
    pay_by = fields.DatetimeField(null=True)
    payment_ref = fields.CharField(max_length=96, null=True, unique=True)
    coupon_id = fields.BigIntField(null=True)
    address_sealed = fields.BinaryField(null=True)
    tracking = fields.CharField(max_length=64, null=True)
    store_id = fields.BigIntField(null=True)
    at = fields.DatetimeField()
    updated_at = fields.DatetimeField()

    class Meta:
        table = "mall_order"
        unique_together = (("account_id", "key"),)
        indexes = (("member_id", "item_id"), ("item_id", "state"), ("state", "id"))


class MallOrderStep(Model):
    """One step in the life of an order, append-only: when it came to `state`, and by whom."""

    id = fields.BigIntField(primary_key=True)
    order_id = fields.BigIntField(db_index=True)
    state = fields.CharField(max_length=20)
    actor = fields.CharField(max_length=64)
    reason = fields.CharField(max_length=200)
    at = fields.DatetimeField()

    class Meta:
        table = "mall_order_step"
