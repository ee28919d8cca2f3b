"""Tables of members and of the key that seals their personal values."""

from tortoise import fields
from tortoise.models import Model


class Member(Model):
    """A person who belongs to the programme (会员). Personal values are sealed with the member's own key."""

    id = fields.BigIntField(primary_key=True)
    public_id = fields.UUIDField(unique=True)
    number = fields.CharField(max_length=12, unique=True)
    status = fields.CharField(max_length=12)
    locale = fields.CharField(max_length=12)
    locale_chosen = fields.BooleanField(default=False)
    channel = fields.CharField(max_length=16)
    scene = fields.CharField(max_length=64, null=True)
    store_id = fields.BigIntField(null=True)
    referrer_id = fields.BigIntField(null=True)
    name_sealed = fields.BinaryField(null=True)
    name_masked = fields.CharField(max_length=40, null=True)
    phone_sealed = fields.BinaryField(null=True)
    phone_index = fields.CharField(max_length=64, null=True)
    phone_masked = fields.CharField(max_length=24, null=True)
    phone_verified_at = fields.DatetimeField(null=True)
    birthday_sealed = fields.BinaryField(null=True)
    birthday_month_day = fields.SmallIntField(null=True)
    is_minor = fields.BooleanField(default=False)
    profiling = fields.BooleanField(default=True)
    joined_at = fields.DatetimeField()
    registered_at = fields.DatetimeField(null=True)
    closed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "member"
        indexes = (("birthday_month_day",),)


class MemberKey(Model):
    """The member's data key, wrapped; destroying it erases every sealed value at once."""

    member_id = fields.BigIntField(primary_key=True, generated=False)
    wrapped_key = fields.BinaryField(null=True)
    root_key_version = fields.IntField()
    created_at = fields.DatetimeField()
    destroyed_at = fields.DatetimeField(null=True)

    class Meta:
        table = "member_key"
