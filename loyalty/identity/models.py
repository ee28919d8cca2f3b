"""Tables of who somebody is on which channel, and of what they are in the middle of."""

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
    union_id = fields.CharField(max_length=128, null=True, db_index=True)
    state = fields.CharField(max_length=12)
    scene = fields.CharField(max_length=64, null=True)
    locale = fields.CharField(max_length=12, null=True)
    staff_user_id = fields.CharField(max_length=64, null=True)
    first_seen_at = fields.DatetimeField()
    last_seen_at = fields.DatetimeField()

    class Meta:
        table = "channel_identity"
        unique_together = (("channel", "app_id", "external_id"),)


class LinkCode(Model):
    """A one-use code by which a member proves on another channel who they are."""

    code_hash = fields.CharField(max_length=64, primary_key=True)
    member_id = fields.BigIntField()
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "link_code"


class PhoneCode(Model):
    """A code sent by SMS to prove a phone number."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    phone_index = fields.CharField(max_length=64, db_index=True)
    code_hash = fields.CharField(max_length=64)
    attempts = fields.SmallIntField(default=0)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()
    used_at = fields.DatetimeField(null=True)

    class Meta:
        table = "phone_code"
        indexes = (("member_id", "id"),)


class Dialogue(Model):
    """Where somebody stands in a conversation of several steps; commits with the reply it belongs to."""

    key = fields.CharField(max_length=220, primary_key=True)
    name = fields.CharField(max_length=40)
    step = fields.CharField(max_length=40)
    data: fields.JSONField[dict[str, object]] = fields.JSONField()
    expires_at = fields.DatetimeField(db_index=True)

    class Meta:
        table = "dialogue"


class Session(Model):
    """A login: opaque token, stored hashed; exactly one of member, staff."""

    token_hash = fields.CharField(max_length=64, primary_key=True)
    audience = fields.CharField(max_length=12)
    member_id = fields.BigIntField(null=True, db_index=True)
    staff_id = fields.BigIntField(null=True, db_index=True)
    identity_id = fields.BigIntField(null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField(db_index=True)
    revoked_at = fields.DatetimeField(null=True)

    class Meta:
        table = "session"


class MemberMerge(Model):
    """Two members became one; what moved is kept so that it can be undone."""

    id = fields.BigIntField(primary_key=True)
    source_id = fields.BigIntField(db_index=True)
    target_id = fields.BigIntField(db_index=True)
    reason = fields.CharField(max_length=40)
    moved: fields.JSONField[dict[str, object]] = fields.JSONField()
    at = fields.DatetimeField()

    class Meta:
        table = "member_merge"


class MemberCodeUse(Model):
    """A rotating member code that was shown at a till; the row makes it one-use."""

    id = fields.BigIntField(primary_key=True)
    member_id = fields.BigIntField()
    step = fields.BigIntField()
    used_at = fields.DatetimeField()
    used_by = fields.CharField(max_length=64)

    class Meta:
        table = "member_code_use"
        unique_together = (("member_id", "step"),)
