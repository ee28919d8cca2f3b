"""Tables of who somebody is on which channel."""

from tortoise import fields
from tortoise.models import Model


class ChannelIdentity(Model):
    """A person on one channel: openid per app, WeCom external_userid per corp, Telegram id per bot."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField(db_index=True)
    channel = fields.CharField(max_length=16)
    app_id = fields.CharField(max_length=64)
    external_id = fields.CharField(max_length=128)
    account = fields.CharField(max_length=40)
    union_family = fields.CharField(max_length=64, null=True)
    union_id = fields.CharField(max_length=128, null=True)
    union_asked_at = fields.DatetimeField(null=True)
    state = fields.CharField(max_length=12)
    scene = fields.CharField(max_length=64, null=True)
    locale = fields.CharField(max_length=12, null=True)
    staff_user_id = fields.CharField(max_length=64, null=True)
    first_seen_at = fields.DatetimeField()
    last_seen_at = fields.DatetimeField()

    class Meta:
        table = "channel_identity"
        unique_together = (("channel", "app_id", "external_id"),)


class UnionLink(Model):
    """One unionid of one open-platform family is one member; the row decides when two apps meet a person at once."""

    id = fields.BigIntField(primary_key=True)
    family = fields.CharField(max_length=64)
    union_id = fields.CharField(max_length=128)
    member_id = fields.BigIntField(db_index=True)

    class Meta:
        table = "union_link"
        unique_together = (("family", "union_id"),)


class LinkCode(Model):
    """A one-use code by which a member proves on another channel who they are."""

    code_hash = fields.CharField(max_length=64, primary_key=True)
    member_id = fields.BigIntField()
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "link_code"
