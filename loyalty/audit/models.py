"""The audit trail."""

from tortoise import fields
from tortoise.models import Model


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
