"""Tables of stores, staff, partner systems, approvals and the audit trail."""

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


class Approval(Model):
    """A request of value that waits for another person; bound to the exact payload by its hash."""

    id = fields.BigIntField(primary_key=True)
    public_id = fields.CharField(max_length=40, unique=True)
    kind = fields.CharField(max_length=32)
    payload: fields.JSONField[dict[str, object]] = fields.JSONField()
    payload_hash = fields.CharField(max_length=64)
    amount = fields.BigIntField()
    requested_by = fields.BigIntField(db_index=True)
    store_id = fields.BigIntField(null=True)
    member_id = fields.BigIntField()
    status = fields.CharField(max_length=12)
    decided_by = fields.BigIntField(null=True)
    decided_at = fields.DatetimeField(null=True)
    created_at = fields.DatetimeField()
    expires_at = fields.DatetimeField()

    class Meta:
        table = "approval"
        indexes = (("status", "expires_at"),)


class AuditEntry(Model):
    """Who did or tried what to whom, append-only."""

    id = fields.BigIntField(primary_key=True)
    at = fields.DatetimeField()
    actor_kind = fields.CharField(max_length=12)
    actor_id = fields.BigIntField(null=True)
    action = fields.CharField(max_length=48)
    member_id = fields.BigIntField(null=True)
    store_id = fields.BigIntField(null=True)
    outcome = fields.CharField(max_length=16)
    reason = fields.CharField(max_length=200)
    details: fields.JSONField[dict[str, object]] = fields.JSONField()

    class Meta:
        table = "audit_entry"
        indexes = (("member_id", "id"), ("actor_kind", "actor_id", "id"))
