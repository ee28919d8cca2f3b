"""Table of logins."""

from tortoise import fields
from tortoise.models import Model


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
