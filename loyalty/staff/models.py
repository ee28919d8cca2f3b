"""Tables of stores, staff and partner systems."""

from tortoise import fields
from tortoise.models import Model


class Store(Model):
    """A shop of the brand."""

    id = fields.BigIntField(primary_key=True)
    code = fields.CharField(max_length=32, unique=True)
    name = fields.CharField(max_length=80)
    city = fields.CharField(max_length=40)
    status = fields.CharField(max_length=12)

    class Meta:
        table = "store"


class Staff(Model):
    """A member of staff, recognised by corp and WeCom user id, never by phone."""

    id = fields.BigIntField(primary_key=True)
    corp_id = fields.CharField(max_length=64)
    user_id = fields.CharField(max_length=64)
    name = fields.CharField(max_length=40)
    role = fields.CharField(max_length=24)
    store_id = fields.BigIntField(null=True)
    member_id = fields.BigIntField(null=True)
    status = fields.CharField(max_length=12)

    class Meta:
        table = "staff"
        unique_together = (("corp_id", "user_id"),)


class Partner(Model):
    """A till, shop or other system that calls the partner API with its key."""

    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=80)
    key_hash = fields.CharField(max_length=64, unique=True)
    store_id = fields.BigIntField(null=True)
    status = fields.CharField(max_length=12)

    class Meta:
        table = "partner"
